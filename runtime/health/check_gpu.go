package health

import (
	"fmt"
	"os"
	"strings"
)

// contextBytes is the memory that a process takes of a GPU before it has any for itself, measured on an H100.
const contextBytes = 526 << 20

// gpuChecks judges the GPUs. Where there are none, one check says so.
func gpuChecks(m *Machine, n Need) []Check {
	g := m.GPUs
	if g == nil {
		return nil
	}
	if none, ok := absent(m, n); ok {
		return []Check{none}
	}
	checks := []Check{checkDriver(g), checkGPUs(g, n)}
	if !g.Driver.Management {
		return append(checks, checkNCCL(g))
	}
	checks = append(checks, checkMemory(g, n))
	if len(g.Usable()) > 1 {
		checks = append(checks, checkLinks(g, n))
	}
	return append(checks, checkNCCL(g), checkPCIe(g), checkClocks(g), checkPower(g), checkThrottle(g), checkECC(g), checkRows(g), checkXid(m))
}

// absent says in one line that there is no GPU, where there is none.
func absent(m *Machine, n Need) (Check, bool) {
	g, c := m.GPUs, Check{Name: "GPU", Status: OK}
	switch {
	case len(g.GPUs) > 0 || g.Driver.Found && g.Driver.Problem != "":
		return c, false
	case !g.Driver.Found && m.System.NVIDIA > 0:
		c.Status = Fail
		c.Found = fmt.Sprintf("%d NVIDIA %s on the PCI bus and no driver (%s)", m.System.NVIDIA, plural(m.System.NVIDIA, "GPU"), g.Driver.Problem)
		c.Advice = fmt.Sprintf("install driver release %s or later; in a container start it with its GPUs", g.Driver.OldestRelease)
	case !g.Driver.Found:
		c.Found = "none, and no NVIDIA driver"
	default:
		c.Found = fmt.Sprintf("none, with NVIDIA driver %s", g.Driver.Release)
	}
	if n.GPUs > 0 && c.Status == OK {
		c.Status, c.Advice = Warning, fmt.Sprintf("this binary trains on %d %s; here --device sim runs it in the simulator", n.GPUs, plural(n.GPUs, "GPU"))
	}
	return c, true
}

func checkDriver(g *GPUs) Check {
	d := &g.Driver
	var r remarks
	if d.Problem != "" {
		found, advice := d.Problem, "see whether nvidia-smi works"
		if colon := strings.LastIndex(found, ": "); colon >= 0 {
			found, advice = found[:colon], found[colon+2:]
		}
		r.all(Fail, advice, "%s", found)
	}
	oldest := fmt.Sprintf("CUDA %s, driver release %s", cudaName(d.OldestCUDA), d.OldestRelease)
	if d.CUDA < d.OldestCUDA && d.Problem == "" {
		r.all(Fail, fmt.Sprintf("install driver release %s or later", d.OldestRelease), "release %s serves CUDA %s; the oldest that kernels are tested with is %s", d.Release, cudaName(d.CUDA), oldest)
	}
	if !d.Management {
		r.all(Warning, "install libnvidia-ml.so.1, which comes with the driver", "its management library does not work, so clocks, power, errors and what else uses the GPUs are not known")
	}
	return r.check("driver", fmt.Sprintf("release %s, CUDA %s (oldest supported: %s)", d.Release, cudaName(d.CUDA), oldest))
}

func checkGPUs(g *GPUs, n Need) Check {
	var r remarks
	usable := g.Usable()
	fit := 0
	for _, x := range usable {
		if n.Capability == 0 || x.Capability == n.Capability {
			fit++
		}
	}
	for i := range g.GPUs {
		switch x := &g.GPUs[i]; {
		case x.Lost:
			r.of(x, Fail, "reset it or restart the machine; the kernel log has its Xid", "does not answer")
		case x.Ordinal < 0 && g.Driver.Problem == "":
			r.of(x, OK, "", "hidden from programs (CUDA_VISIBLE_DEVICES=%s)", os.Getenv("CUDA_VISIBLE_DEVICES"))
		case x.Ordinal >= 0 && n.Capability > 0 && x.Capability != n.Capability:
			status := Warning
			if fit == 0 || x.Ordinal < n.GPUs { // a binary takes the first ones
				status = Fail
			}
			r.of(x, status, "choose others with CUDA_VISIBLE_DEVICES", "compute capability %s, and kernels are for %s alone", CapabilityName(x.Capability), CapabilityName(n.Capability))
		}
	}
	if n.GPUs > fit && g.Driver.Problem == "" {
		r.all(Fail, "build it for the GPUs that there are, or see nvidia-smi and CUDA_VISIBLE_DEVICES", "%d can be used and the binary was built for %d", fit, n.GPUs)
	}
	c := r.check("GPUs", "")
	inventory := inventory(g.GPUs)
	if c.Found == "" {
		c.Found = inventory
	} else {
		c.Found = inventory + "; " + c.Found
	}
	return c
}

// inventory names the GPUs, equal ones once.
func inventory(list []GPU) string {
	var texts []string
	count := map[string]int{}
	for _, x := range list {
		if x.Lost {
			continue
		}
		text := fmt.Sprintf("%s, compute capability %s, %s", x.Name, CapabilityName(x.Capability), amount(x.MemoryBytes))
		if count[text]++; count[text] == 1 {
			texts = append(texts, text)
		}
	}
	for i, text := range texts {
		texts[i] = fmt.Sprintf("%d × %s", count[text], text)
	}
	return strings.Join(texts, "; ")
}

func checkMemory(g *GPUs, n Need) Check {
	var r remarks
	for _, x := range g.Usable() {
		need := n.MemoryBytes + contextBytes
		if x.Ordinal < n.GPUs && x.FreeBytes < need {
			r.of(x, Fail, "end what else uses it, or build for more GPUs or a smaller --micro-batch", "%s of %s free, and the binary takes %s", amount(x.FreeBytes), amount(x.MemoryBytes), amount(need))
		}
		var users []string
		for _, p := range x.Processes {
			users = append(users, strings.TrimSpace(fmt.Sprintf("process %d %s", p.PID, p.Name)))
		}
		const end = "if it was left behind by an earlier run, end it"
		switch {
		case len(users) > 0:
			r.of(x, Warning, end, "%s in use by %s", amount(x.UsedBytes), strings.Join(users, ", "))
		case x.UsedBytes >= contextBytes:
			r.of(x, Warning, end+"; it may run in another container", "%s in use by processes that cannot be seen from here", amount(x.UsedBytes))
		}
	}
	return r.check("GPU memory", "nothing else uses it")
}

// slowCopy is the share of what a link is made for that a measured copy should reach; sound ones reach 0.8 and more.
const slowCopy = 0.5

func checkLinks(g *GPUs, n Need) Check {
	var r remarks
	for _, x := range g.Usable() {
		active := 0
		for _, p := range x.NVLinks {
			if p.Active {
				active++
			}
		}
		if active > 0 && active < len(x.NVLinks) {
			r.of(x, Warning, "see nvidia-smi nvlink --status and reset the GPU; the kernel log may have Xid 74", "%d of %d NVLinks are up", active, len(x.NVLinks))
		}
	}
	links := g.Links()
	for _, l := range links {
		switch {
		case l.Kind == Host && l.GPUs[0] < n.GPUs && l.GPUs[1] < n.GPUs:
			r.all(Fail, "choose GPUs joined by NVLink, or all behind one PCIe switch; with NVSwitches see whether nvidia-fabricmanager runs", "no peer access between %s", joined(l))
		case l.Kind == Host:
			r.all(Warning, "a binary for several GPUs takes those joined by NVLink, or all behind one PCIe switch; with NVSwitches see whether nvidia-fabricmanager runs", "no peer access between %s", joined(l))
		case l.Kind == PCIe:
			r.all(Warning, "what ranks exchange travels slowly; choose GPUs joined by NVLink where there are some", "%s by PCIe alone, %s", joined(l), rate(l.BytesPerSecond))
		}
	}
	if g.Copies != nil {
		for i, a := range g.Usable() {
			for _, b := range g.Usable()[i+1:] {
				made, got := join(a, b).BytesPerSecond, min(g.Copies[a.Ordinal][b.Ordinal], g.Copies[b.Ordinal][a.Ordinal])
				if float64(got) < slowCopy*float64(made) {
					r.all(Warning, "see whether something else uses the GPUs, and nvidia-smi topo --matrix", "CUDA devices %d and %d copy at %s over what is made for %s", a.Ordinal, b.Ordinal, rate(got), rate(made))
				}
			}
		}
	}
	return r.check("links", "every pair of GPUs by NVLink, "+slowest(links))
}

// joined names the GPUs of a link, by the CUDA driver's numbers.
func joined(l Link) string {
	if len(l.GPUs) == 2 {
		return fmt.Sprintf("CUDA devices %d and %d", l.GPUs[0], l.GPUs[1])
	}
	return "CUDA devices " + numbers(l.GPUs)
}

// slowest says what the slowest link is made for.
func slowest(links []Link) string {
	t := Topology{Links: links}
	text := rate(t.Slowest().BytesPerSecond) + " in one direction"
	if t.Slowest().Measured {
		text += ", measured"
	}
	if len(links) > 1 {
		text = "at least " + text
	}
	return text
}

func checkNCCL(g *GPUs) Check {
	var r remarks
	if g.NCCL == "" {
		r.all(Warning, "only runs over several nodes need it; install NCCL 2, or put its folder into LD_LIBRARY_PATH", "libnccl.so.2 is not found")
	}
	return r.check("NCCL", "version "+g.NCCL)
}

func checkPCIe(g *GPUs) Check {
	var r remarks
	for _, x := range g.Usable() {
		if x.PCIe.Width < x.PCIe.MaxWidth {
			r.of(x, Warning, "checkpoints load and save slowly; seat the card again or have its slot looked at", "%d of %d PCIe lanes", x.PCIe.Width, x.PCIe.MaxWidth)
		}
		if made := x.PCIe.bytesPerSecond(); g.Copies != nil && float64(g.Copies[x.Ordinal][x.Ordinal]) < slowCopy*float64(made) {
			r.of(x, Warning, "checkpoints load and save slowly; see whether something else uses the GPU, and nvidia-smi --query --display=PCI", "copies from the host at %s over what is made for %s", rate(g.Copies[x.Ordinal][x.Ordinal]), rate(made))
		}
	}
	return r.check("PCIe", summary(g, func(x *GPU) string {
		if x.PCIe.Width == 0 {
			return "not shown"
		}
		text := fmt.Sprintf("generation %d, %d lanes", x.PCIe.MaxGeneration, x.PCIe.Width)
		if g.Copies != nil {
			text += ", from the host " + rate(g.Copies[x.Ordinal][x.Ordinal])
		}
		return text
	}))
}

func checkClocks(g *GPUs) Check {
	var r remarks
	for _, x := range g.Usable() {
		for _, c := range []struct {
			name  string
			clock Clock
		}{{"multiprocessors", x.SMClock}, {"memory", x.MemoryClock}} {
			if c.clock.Set > 0 && c.clock.Set < c.clock.Default {
				r.of(x, Warning, "nvidia-smi --reset-applications-clocks", "clock of the %s set to %d MHz, by default %d", c.name, c.clock.Set, c.clock.Default)
			}
		}
	}
	return r.check("clocks", summary(g, func(x *GPU) string {
		return fmt.Sprintf("at most %d MHz, memory %d MHz", x.SMClock.Max, x.MemoryClock.Max)
	}))
}

func checkPower(g *GPUs) Check {
	var r remarks
	for _, x := range g.Usable() {
		// A watt is what limits are rounded to.
		if p := x.Power; p.Limit > 0 && p.Limit < p.Default-1 {
			r.of(x, Warning, fmt.Sprintf("nvidia-smi --power-limit=%.0f, unless it was lowered on purpose", p.Default), "limited to %.0f W, by default %.0f", p.Limit, p.Default)
		}
	}
	return r.check("power", summary(g, func(x *GPU) string { return fmt.Sprintf("limit %.0f W of at most %.0f", x.Power.Limit, x.Power.Max) }))
}

func checkThrottle(g *GPUs) Check {
	const hardware, heat = HWSlowdown | HWThermal | PowerBrake, SWThermal | HWThermal
	var r remarks
	for _, x := range g.Usable() {
		hot := fmt.Sprintf("%d °C", x.Temperature)
		if x.Hottest > 0 {
			hot += fmt.Sprintf(", slowed down from %d", x.Hottest)
		}
		switch why := x.Throttle &^ (Idle | PowerCap); {
		case why&hardware != 0:
			r.of(x, Fail, "its clock is cut to half or less: look to cooling and power supply of the machine", "slowed down by the hardware (%v; %s)", why, hot)
		case why&heat != 0:
			r.of(x, Warning, "look to the cooling of the machine", "slowed down because of heat (%v; %s)", why, hot)
		case why&^ApplicationSet != 0:
			r.of(x, Warning, "see nvidia-smi --query --display=PERFORMANCE", "slowed down (%v)", why)
		case x.Throttle&PowerCap != 0:
			r.of(x, OK, "", "at its power limit, as under load")
		}
	}
	return r.check("throttling", summary(g, func(x *GPU) string { return "none" }))
}

func checkECC(g *GPUs) Check {
	var r remarks
	for _, x := range g.Usable() {
		e := x.ECC
		if e.Uncorrected > 0 {
			r.of(x, Fail, "reset it; if it happens again take it out of service", "%d uncorrected memory %s since the driver was loaded", e.Uncorrected, plural(int(e.Uncorrected), "error"))
		}
		if !e.On && e.Pending {
			r.of(x, Warning, "reset it", "error correction will be on after a reset")
		} else if !e.On {
			r.of(x, Warning, "nvidia-smi --ecc-config=1, then reset it: without, a flipped bit is not noticed", "error correction is off")
		}
		if e.AggregateUncorrected > e.Uncorrected {
			r.of(x, Warning, "watch it; if the number grows take it out of service", "%d uncorrected memory %s in its life", e.AggregateUncorrected, plural(int(e.AggregateUncorrected), "error"))
		}
		if e.Corrected > 0 {
			r.of(x, OK, "", "%d corrected since the driver was loaded", e.Corrected)
		}
	}
	return r.check("ECC", "on, no errors")
}

func checkRows(g *GPUs) Check {
	var r remarks
	for _, x := range g.Usable() {
		switch rows := x.Rows; {
		case rows.Failed:
			r.of(x, Fail, "take it out of service", "rows of its memory are broken and could not be replaced")
		case rows.Pending:
			r.of(x, Warning, "reset it before the next run", "rows of its memory wait for a reset to be replaced")
		case rows.Corrected+rows.Uncorrected > 0:
			r.of(x, OK, "", "%d replaced by spare ones", rows.Corrected+rows.Uncorrected)
		}
	}
	return r.check("memory rows", "none replaced")
}

// programXids are those that a fault of a program leaves: 13 and 31 by its memory accesses, 43 and 45 when it was ended.
var programXids = map[int]bool{13: true, 31: true, 43: true, 45: true}

func checkXid(m *Machine) Check {
	if !m.System.KernelLog {
		return Check{Name: "Xid", Status: OK, Found: "not known: this user may not read the kernel log (dmesg)"}
	}
	var r remarks
	for _, e := range m.System.Xids {
		x := m.GPUs.At(e.Bus)
		if x == nil {
			continue
		}
		if programXids[e.Number] {
			r.of(x, OK, "", "Xid %d ×%d, faults of programs", e.Number, e.Count)
		} else {
			r.of(x, Warning, "look it up in NVIDIA's list of Xid errors; if it comes again take the GPU out of service", "Xid %d ×%d in the kernel log", e.Number, e.Count)
		}
	}
	return r.check("Xid", "none in the kernel log")
}

// At returns the GPU at a PCI address that may lack its last part, nil if there is none.
func (g *GPUs) At(bus string) *GPU {
	for i := range g.GPUs {
		if x := &g.GPUs[i]; strings.HasPrefix(strings.ToLower(x.Bus), strings.ToLower(bus)) {
			return x
		}
	}
	return nil
}

// summary says something of all GPUs that programs can use, once where it is the same.
func summary(g *GPUs, say func(*GPU) string) string {
	var texts []string
	var last string
	for _, x := range g.Usable() {
		if text := say(x); text != last {
			texts, last = append(texts, text), text
		}
	}
	if len(texts) == 0 {
		return "no GPU that programs can use"
	}
	return strings.Join(texts, ", ")
}
