package health

import (
	"fmt"
	"runtime"
)

// systemChecks judges what every machine has.
func systemChecks(m *Machine, n Need) []Check {
	s := &m.System
	gpus := 0
	if m.GPUs != nil {
		gpus = len(m.GPUs.Usable())
	}
	return []Check{checkCores(s, gpus), checkHostMemory(s, n), checkMemlock(s, gpus), checkShm(s), checkSpace(s, n), checkSpeed(s, n)}
}

func checkCores(s *System, gpus int) Check {
	var r remarks
	if s.Cores < 2*gpus { // one has the GPU's queue filled, one reads data and writes checkpoints
		r.all(Warning, "give the process more, in Slurm with --cpus-per-task", "%d %s for %d %s, which want two each", s.Cores, plural(s.Cores, "core"), gpus, plural(gpus, "GPU"))
	}
	name := s.CPU
	if name == "" {
		name = runtime.GOARCH
	}
	return r.check("processor", fmt.Sprintf("%d %s of %s", s.Cores, plural(s.Cores, "core"), name))
}

func checkHostMemory(s *System, n Need) Check {
	var r remarks
	switch {
	case s.AvailableBytes < n.HostBytes:
		r.all(Fail, "end what else runs, or build for a smaller --micro-batch or --seq", "%s of %s free, and the binary takes %s", amount(s.AvailableBytes), amount(s.MemoryBytes), amount(n.HostBytes))
	case s.AvailableBytes < s.MemoryBytes/10:
		r.all(Warning, "see what else runs on the machine", "%s of %s free", amount(s.AvailableBytes), amount(s.MemoryBytes))
	}
	return r.check("memory", fmt.Sprintf("%s of %s free", amount(s.AvailableBytes), amount(s.MemoryBytes)))
}

func checkMemlock(s *System, gpus int) Check {
	var r remarks
	if s.MemlockBytes >= 0 && gpus > 0 {
		r.all(Warning, "InfiniBand locks what it sends, so runs over several nodes want ulimit -l unlimited; a container wants --ulimit memlock=-1", "limited to %s", amount(s.MemlockBytes))
	}
	well := "no limit"
	if s.MemlockBytes >= 0 {
		well = amount(s.MemlockBytes)
	}
	return r.check("memlock", well)
}

// leastShm is what NCCL and MPI can do with on a node; containers are often given 64 MiB.
const leastShm = 1 << 30

func checkShm(s *System) Check {
	var r remarks
	const advice = "NCCL and MPI need it in runs over several processes; a container wants --shm-size=1g or more"
	switch {
	case s.ShmBytes == 0:
		r.all(Warning, advice, "there is no /dev/shm")
	case s.ShmBytes < leastShm:
		r.all(Warning, advice, "%s", amount(s.ShmBytes))
	}
	return r.check("/dev/shm", amount(s.ShmBytes))
}

func checkSpace(s *System, n Need) Check {
	d := &s.Disk
	var r remarks
	// While a checkpoint is saved the one before it is still there.
	switch {
	case d.FreeBytes < n.CheckpointBytes:
		r.all(Fail, "make room, or give another --dir", "%s free in %s, and a checkpoint takes %s", amount(d.FreeBytes), d.Folder, amount(n.CheckpointBytes))
	case d.FreeBytes < 2*n.CheckpointBytes:
		r.all(Warning, "a run keeps its last checkpoint until the next is there; make room, or give another --dir", "%s free in %s, and a checkpoint takes %s", amount(d.FreeBytes), d.Folder, amount(n.CheckpointBytes))
	}
	return r.check("disk", fmt.Sprintf("%s free in %s", amount(d.FreeBytes), d.Folder))
}

// slowDisk is what a checkpoint should be written and read with, in bytes a second: below it one of 30 billion
// parameters, at 8 bytes each with what the optimizer keeps, takes more than 20 minutes.
const slowDisk = 200e6

func checkSpeed(s *System, n Need) Check {
	d := &s.Disk
	var r remarks
	if d.Problem != "" {
		r.all(Fail, "checkpoints could not be written there; give another --dir", "%s: %s", d.Folder, d.Problem)
		return r.check("checkpoints", "")
	}
	speed := fmt.Sprintf("written at %s, read at %s", rate(d.WriteBytesPerSecond), rate(d.ReadBytesPerSecond))
	if !d.Direct {
		speed += " (through the memory that caches files)"
	}
	if n.CheckpointBytes > 0 {
		speed += fmt.Sprintf("; one of this binary's, %s, takes some %.0f s", amount(n.CheckpointBytes), max(1, float64(n.CheckpointBytes)/float64(d.WriteBytesPerSecond)))
	}
	if min(d.WriteBytesPerSecond, d.ReadBytesPerSecond) < slowDisk {
		r.all(Warning, "training waits while a checkpoint is saved; give another --dir, a local disk for example", "%s", speed)
	}
	return r.check("checkpoints", speed)
}
