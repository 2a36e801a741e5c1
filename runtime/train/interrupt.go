package train

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// interrupt waits for Ctrl-C and SIGTERM. The first one asks the run to save and end, a second one ends the process
// where it stands.
type interrupt struct {
	code    atomic.Int32
	signals chan os.Signal
}

// watch begins to wait and says so on stderr when it happens.
func watch(stderr io.Writer) *interrupt {
	i := &interrupt{signals: make(chan os.Signal, 2)}
	signal.Notify(i.signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		for s := range i.signals {
			code := 128 + int32(s.(syscall.Signal))
			if !i.code.CompareAndSwap(0, code) {
				os.Exit(int(code))
			}
			fmt.Fprintln(stderr, "interrupted: the step at hand is finished, then a checkpoint saved; interrupt again to stop without")
		}
	}()
	return i
}

// status is the exit status that an interrupt asks for, 0 while there was none.
func (i *interrupt) status() int { return int(i.code.Load()) }

// done stops waiting; signals do what they did before.
func (i *interrupt) done() {
	signal.Stop(i.signals)
	close(i.signals)
}
