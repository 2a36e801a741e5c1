package health

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// System is what every machine has. Sizes are in bytes; -1 says that there is no limit.
type System struct {
	CPU            string `json:"cpu,omitempty"`
	Cores          int    `json:"cores"`        // that this process may use
	MemoryBytes    int64  `json:"memory_bytes"` // that this process may have: the machine's, or its container's limit
	AvailableBytes int64  `json:"available_bytes"`
	MemlockBytes   int64  `json:"memlock_bytes"` // that a process may lock
	ShmBytes       int64  `json:"shm_bytes"`     // of /dev/shm; 0: there is none
	NVIDIA         int    `json:"nvidia_gpus"`   // GPUs on the PCI bus
	KernelLog      bool   `json:"kernel_log"`    // whether it could be read
	Xids           []Xid  `json:"xids,omitempty"`
	Disk           Disk   `json:"disk"`
}

// Xid is an error of a GPU that the driver has put into the kernel log.
type Xid struct {
	Bus    string `json:"bus"` // PCI address, "0000:1b:00"
	Number int    `json:"number"`
	Count  int    `json:"count"`
}

// ReadSystem reads what every machine has, and tries out the disk of a folder, which takes a few seconds and writes at
// most 256 MiB to a file that is gone afterwards.
func ReadSystem(folder string) System {
	s := System{CPU: processor(), Cores: runtime.GOMAXPROCS(0), NVIDIA: nvidia("/sys/bus/pci/devices")}
	s.MemoryBytes, s.AvailableBytes = memory()
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) == nil {
		s.MemlockBytes = -1
		if limit.Cur != unix.RLIM_INFINITY {
			s.MemlockBytes = int64(limit.Cur)
		}
	}
	var shm unix.Statfs_t
	if unix.Statfs("/dev/shm", &shm) == nil {
		s.ShmBytes = int64(shm.Blocks) * shm.Bsize
	}
	if log, ok := kernelLog(); ok {
		s.KernelLog, s.Xids = true, xids(log)
	}
	s.Disk = tryDisk(folder)
	return s
}

// processor returns the name of the processor.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range bytes.Lines(text) {
		if name, value, _ := bytes.Cut(line, []byte(":")); string(bytes.TrimSpace(name)) == "model name" {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}

// memory returns the memory that this process may have and what of it is free, or can be made so. A container's limit
// counts where it is the smaller.
func memory() (total, available int64) {
	const group = "/sys/fs/cgroup/"
	total, available = value("/proc/meminfo", "MemTotal:")<<10, value("/proc/meminfo", "MemAvailable:")<<10
	if limit := number(group + "memory.max"); limit > 0 && limit < total {
		used := number(group+"memory.current") - value(group+"memory.stat", "inactive_file") // files in memory give way
		total, available = limit, min(available, max(0, limit-used))
	}
	return total, available
}

// value returns the number behind a name in a file of names and numbers, 0 without.
func value(path, name string) int64 {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}

// number reads a file with one number, 0 if it has none.
func number(path string) int64 {
	text, _ := os.ReadFile(path)
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n
}

// nvidia counts NVIDIA's display and compute controllers (PCI class 03) below a folder of PCI devices.
func nvidia(devices string) (n int) {
	vendors, _ := filepath.Glob(filepath.Join(devices, "*", "vendor"))
	for _, path := range vendors {
		vendor, _ := os.ReadFile(path)
		class, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "class"))
		if strings.TrimSpace(string(vendor)) == "0x10de" && strings.HasPrefix(string(class), "0x03") {
			n++
		}
	}
	return n
}

// kernelLog reads the kernel's messages, as far as it still has them.
func kernelLog() ([]byte, bool) {
	const readAll, size = 3, 10 // actions of syslog(2)
	n, err := unix.Klogctl(size, nil)
	if err != nil || n <= 0 {
		return nil, false
	}
	log := make([]byte, n)
	n, err = unix.Klogctl(readAll, log)
	return log[:max(0, n)], err == nil
}

var xidLine = regexp.MustCompile(`NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+)`)

// xids counts the errors of GPUs in a kernel log, by GPU and number, in the order of their first appearance.
func xids(log []byte) []Xid {
	var found []Xid
	for lines := bufio.NewScanner(bytes.NewReader(log)); lines.Scan(); {
		m := xidLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		n, _ := strconv.Atoi(m[2])
		at := slices.IndexFunc(found, func(x Xid) bool { return x.Bus == m[1] && x.Number == n })
		if at < 0 {
			at, found = len(found), append(found, Xid{Bus: m[1], Number: n})
		}
		found[at].Count++
	}
	return found
}
