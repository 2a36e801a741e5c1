package driver

import "fmt"

// MinCUDA is the oldest CUDA version that a driver may serve: 12.4, driver release 550. Its compiler is the
// oldest that the kernels are assembled with in tests.
const MinCUDA = 12040

// MinRelease is the driver's release that serves MinCUDA.
const MinRelease = "550"

// Need is what a program asks of a machine.
type Need struct {
	GPUs       int
	On         []int // their numbers, each once; nil: the first ones
	Capability int   // compute capability of the kernels, 90; code for sm_90a runs on 9.0 and nothing else
	Memory     int64 // bytes a GPU
	Peers      bool  // GPUs access each other's memory
}

// gpus returns the numbers of the GPUs.
func (n *Need) gpus() []int {
	if n.On != nil {
		return n.On
	}
	first := make([]int, n.GPUs)
	for i := range first {
		first[i] = i
	}
	return first
}

// Acquire opens Need.GPUs GPUs, bound to each other as peers where that is asked for, or returns an
// *Error that says why this machine cannot run the program. Nothing has been loaded then and everything is
// closed again. The calling thread is left bound to the last GPU.
func Acquire(d Driver, need Need) (devices []Device, err error) {
	if err := fit(d, need); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			for _, device := range devices {
				if device.Bind() == nil {
					device.Close()
				}
			}
			devices = nil
		}
	}()
	for _, gpu := range need.gpus() {
		device, err := d.Open(gpu)
		if err != nil {
			return devices, err
		}
		devices = append(devices, device)
		if err := ready(device, gpu, need.Memory); err != nil {
			return devices, err
		}
	}
	if need.Peers {
		return devices, connect(d, devices, need.gpus())
	}
	return devices, nil
}

// fit checks what can be known without opening a GPU.
func fit(d Driver, need Need) error {
	if cuda, release := d.Version(); cuda < MinCUDA {
		if release != "" {
			release = " " + release
		}
		return errorf(OldDriver, "the NVIDIA driver%s serves CUDA %s and %s is the oldest that the kernels are tested with: install driver release %s or later",
			release, cudaName(cuda), cudaName(MinCUDA), MinRelease)
	}
	if have := d.Devices(); have < need.GPUs {
		if lost := d.Lost(); len(lost) > 0 {
			return errorf(Lost, "GPU %d (nvidia-smi's number) does not answer any more, and %s can be used where %d are needed: reset it or restart the machine, the kernel log has its Xid",
				lost[0], plural(have, "GPU"), need.GPUs)
		}
		return errorf(NoGPU, "%s can be used here and the program was built for %d: see nvidia-smi and CUDA_VISIBLE_DEVICES, or build it for the GPUs there are",
			plural(have, "GPU"), need.GPUs)
	}
	for _, gpu := range need.gpus() {
		if gpu < 0 || gpu >= d.Devices() {
			return errorf(NoGPU, "there is no GPU %d: %s can be used here, counted from 0, see nvidia-smi and CUDA_VISIBLE_DEVICES", gpu, plural(d.Devices(), "GPU"))
		}
		info, err := d.Describe(gpu)
		if err != nil {
			return err
		}
		if info.Capability != need.Capability {
			return errorf(NoGPU, "GPU %d (%s) has compute capability %s and the kernels are for %s alone: choose other GPUs with CUDA_VISIBLE_DEVICES",
				gpu, info.Name, capabilityName(info.Capability), capabilityName(need.Capability))
		}
		if info.Memory < need.Memory {
			return errorf(NoMemory, "GPU %d has %s of memory and the program needs %s: build it for more GPUs or a smaller --micro-batch",
				gpu, gib(info.Memory), gib(need.Memory))
		}
	}
	return nil
}

// ready checks an open GPU's health and free memory.
func ready(device Device, gpu int, memory int64) error {
	if s, err := device.Sensors(); err == nil && s.RowsFailed {
		return errorf(Lost, "GPU %d (%s) has broken memory rows that it could not replace: take it out of service", gpu, device.Info().Bus)
	}
	free, total, err := device.Memory()
	if err != nil {
		return err
	}
	if free < memory {
		return errorf(NoMemory, "GPU %d has %s of %s free and the program needs %s: end what else uses it (nvidia-smi lists it), or build for more GPUs or a smaller --micro-batch",
			gpu, gib(free), gib(total), gib(memory))
	}
	return nil
}

// connect gives every device access to all others.
func connect(d Driver, devices []Device, numbers []int) error {
	for i, device := range devices {
		if err := device.Bind(); err != nil {
			return err
		}
		for j, peer := range devices {
			if i == j {
				continue
			}
			can, err := d.CanPeer(numbers[i], numbers[j])
			if err != nil {
				return err
			}
			if !can {
				return errorf(NoGPU, "GPU %d cannot reach the memory of GPU %d: the program needs GPUs joined by NVLink, or all behind one PCIe switch", numbers[i], numbers[j])
			}
			if err := device.EnablePeer(peer); err != nil {
				return err
			}
		}
	}
	return nil
}

func cudaName(v int) string       { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }
func capabilityName(c int) string { return fmt.Sprintf("%d.%d", c/10, c%10) }
func gib(bytes int64) string      { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
