package host

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// mapArena maps zeroed memory outside the garbage collector's heap, on huge pages where the system gives them, and makes
// the system provide all of it now: what is not there must show at the start, not in the middle of a run.
func mapArena(size int64) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	// Advice only: without huge pages everything works, with more TLB misses.
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
	if err := populate(b); err != nil {
		unmapArena(b)
		return nil, err
	}
	return b, nil
}

func unmapArena(b []byte) {
	if err := unix.Munmap(b); err != nil {
		panic(fmt.Sprintf("BUG: host: cannot unmap an arena: %v", err))
	}
}

// populate writes to every page, on all cores: zeroing is what takes the time.
func populate(b []byte) error {
	const page = 2 << 20
	workers := runtime.GOMAXPROCS(0)
	share := (len(b)/workers + page) &^ (page - 1)
	var all sync.WaitGroup
	failed := make([]error, workers)
	for i := range workers {
		part := b[min(i*share, len(b)):min((i+1)*share, len(b))]
		if len(part) == 0 {
			continue
		}
		all.Go(func() { failed[i] = populatePart(part) })
	}
	all.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

func populatePart(b []byte) error {
	switch err := unix.Madvise(b, unix.MADV_POPULATE_WRITE); err {
	case nil, unix.ENOMEM, unix.EHWPOISON:
		return err
	}
	// Linux before 5.14 does not know the advice: touch the pages.
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 0
	}
	return nil
}

// freeMemory is what the system could give this process, in bytes: the machine's available memory, or what is left of
// the control group's limit. Unknown: the largest number.
func freeMemory() int64 {
	free := int64(math.MaxInt64)
	if f, err := os.Open("/proc/meminfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == "MemAvailable:" {
				if kib, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
					free = kib << 10
				}
			}
		}
	}
	limit, okLimit := readNumber("/sys/fs/cgroup/memory.max")
	used, okUsed := readNumber("/sys/fs/cgroup/memory.current")
	if okLimit && okUsed {
		free = min(free, limit-used)
	}
	return free
}

func readNumber(file string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}
