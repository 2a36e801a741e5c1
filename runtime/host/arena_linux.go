package host

import (
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

// freeMemory is what the system could give this process, in bytes: the machine's available memory, or what its control
// group may still take. Unknown: the largest number.
func freeMemory() int64 {
	free := int64(math.MaxInt64)
	if kib, ok := readField("/proc/meminfo", "MemAvailable:"); ok {
		free = kib << 10
	}
	if group, ok := groupMemory("/sys/fs/cgroup"); ok {
		free = min(free, group)
	}
	return free
}

// groupMemory is what a control group (version 2) leaves of its limit. Cached files that nobody uses give way, so they do
// not count as taken.
func groupMemory(dir string) (int64, bool) {
	limit, okLimit := readField(dir+"/memory.max", "")
	taken, okTaken := readField(dir+"/memory.current", "")
	cached, okCached := readField(dir+"/memory.stat", "inactive_file")
	return limit - taken + cached, okLimit && okTaken && okCached
}

// readField returns the number after a name that begins a line, or, without a name, the file's only number.
func readField(file, name string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), " kB")), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
