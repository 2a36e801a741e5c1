package sim

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"moegen/runtime/driver"
	"moegen/runtime/driver/conformance"
	"moegen/runtime/sim"
)

func TestConformance(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			conformance.Run(t, func() (driver.Driver, error) {
				return New(Config{Config: sim.Config{GPUs: 2, Seed: seed}}), nil
			})
		})
	}
}

// gpu opens a simulated GPU with the suite's kernels on it, and returns it with a stream.
func gpu(t *testing.T, c Config) (driver.Device, driver.Module, driver.Stream) {
	t.Helper()
	runtime.LockOSThread()
	d, err := New(c).Open(0)
	must(t, err)
	m, _, err := d.Load([]byte(conformance.Kernels))
	must(t, err)
	return d, m, newStream(t, d)
}

func newStream(t *testing.T, d driver.Device) driver.Stream {
	t.Helper()
	s, err := d.NewStream(false)
	must(t, err)
	return s
}

// step is a launch of the suite's kernel of that name, or one like it: *at = 3 * *at + v.
func step(t *testing.T, d driver.Device, m driver.Module, name string, at driver.Addr, v uint32) *driver.Launch {
	t.Helper()
	f, err := d.Function(m, name, 0)
	must(t, err)
	l := &driver.Launch{Function: f, Grid: driver.Dim{1, 1, 1}, Block: driver.Dim{1, 1, 1}}
	l.Params.Addr(at)
	l.Params.U32(v)
	return l
}

// cell returns 4 bytes of device memory that hold 7.
func cell(t *testing.T, d driver.Device) driver.Addr {
	t.Helper()
	a, err := d.Alloc(4)
	must(t, err)
	must(t, d.Write(a, []byte{7, 0, 0, 0}))
	return a
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A copy to the host arrives when the host has waited for it and no sooner; another from there sees it.
func TestCopiesToTheHostArriveLate(t *testing.T) {
	d, _, s := gpu(t, Config{})
	h, err := d.AllocHost(8)
	must(t, err)
	a, b := cell(t, d), cell(t, d)
	must(t, s.Copy(h.Addr+4, a, 4))
	other := newStream(t, d)
	must(t, other.Sync())
	if h.Bytes[4] != 0 {
		t.Error("the copy has arrived though nothing has waited for it")
	}
	must(t, s.Sync())
	if h.Bytes[4] != 7 {
		t.Errorf("after Sync the host has %d", h.Bytes)
	}
	h.Bytes[0], h.Bytes[4] = 9, 0
	must(t, s.Copy(b, h.Addr, 4))
	h.Bytes[0] = 1 // the copy may have been made
	must(t, s.Copy(h.Addr+4, b, 4))
	must(t, s.Copy(a, h.Addr+4, 4))
	must(t, s.Sync())
	got := make([]byte, 4)
	must(t, d.Read(got, a))
	if got[0] != 9 || h.Bytes[4] != 9 {
		t.Errorf("by way of the host arrived %d", got)
	}
}

// What a program forgot to order is a race, whatever the schedule, and the simulator's report comes along.
func TestForgottenOrder(t *testing.T) {
	for what, forget := range map[string]func(d driver.Device, m driver.Module, s, other driver.Stream, a driver.Addr) error{
		"an event": func(d driver.Device, m driver.Module, s, other driver.Stream, a driver.Addr) error {
			must(t, s.Launch(step(t, d, m, "step", a, 1)))
			must(t, other.Launch(step(t, d, m, "step", a, 1)))
			return d.Sync()
		},
		"an event before a copy": func(d driver.Device, m driver.Module, s, other driver.Stream, a driver.Addr) error {
			must(t, s.Launch(step(t, d, m, "step", a, 1)))
			must(t, other.Copy(cell(t, d), a, 4))
			return d.Sync()
		},
		"to wait for the primary": func(d driver.Device, m driver.Module, s, other driver.Stream, a driver.Addr) error {
			l := step(t, d, m, "step", a, 1)
			l.Overlap = true
			must(t, s.Launch(step(t, d, m, "chain", a, 1)))
			must(t, s.Launch(l))
			return s.Sync()
		},
	} {
		for seed := range uint64(3) {
			d, m, s := gpu(t, Config{Config: sim.Config{Seed: seed}})
			a := cell(t, d)
			err := forget(d, m, s, newStream(t, d), a)
			var ours *driver.Error
			var report *sim.Error
			if !errors.As(err, &ours) || ours.Kind != driver.Lost || !errors.As(err, &report) || report.Kind != sim.Race {
				t.Errorf("a program that forgets %s, seed %d: %v", what, seed, err)
			}
			if _, again := d.Alloc(4); again == nil || err == nil || again.Error() != err.Error() {
				t.Errorf("after the fault Alloc says %v", again)
			}
		}
	}
}

// When one GPU will not do, all are closed again.
func TestAcquireClosesAgain(t *testing.T) {
	runtime.LockOSThread()
	d := New(Config{Config: sim.Config{GPUs: 2, Memory: 1 << 20}})
	full, err := d.Open(1)
	must(t, err)
	_, err = full.Alloc(1 << 20)
	must(t, err)
	for range 2 {
		_, err := driver.Acquire(d, driver.Need{GPUs: 2, Capability: 90, Memory: 1})
		if err == nil || !strings.Contains(err.Error(), "GPU 1 is open already") {
			t.Errorf("%v", err)
		}
	}
	must(t, full.Bind())
	must(t, full.Close())
	devices, err := driver.Acquire(d, driver.Need{GPUs: 2, Capability: 90, Memory: 1 << 20})
	if err != nil || len(devices) != 2 {
		t.Errorf("%d devices, %v", len(devices), err)
	}
}

// A thread that nobody has bound is told so: on hardware its calls would fail now and then.
func TestUnboundThread(t *testing.T) {
	d, _, _ := gpu(t, Config{})
	said := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		_, err := d.Alloc(4)
		said <- err
	}()
	if err := <-said; err == nil || !strings.Contains(err.Error(), "this thread is not bound to GPU 0") {
		t.Errorf("%v", err)
	}
}

// Launches are reported once each, in order, when the program has waited for them.
func TestFinished(t *testing.T) {
	var kernels []string
	var lanes int64
	d, m, s := gpu(t, Config{Finished: func(kernel string, c sim.Counters) {
		kernels = append(kernels, kernel)
		lanes += c.LaneInstructions
	}})
	a := cell(t, d)
	must(t, s.Begin())
	must(t, s.Launch(step(t, d, m, "chain", a, 1)))
	must(t, s.Launch(step(t, d, m, "store", a, 1)))
	g, err := s.End()
	must(t, err)
	must(t, s.Launch(step(t, d, m, "step", a, 1)))
	must(t, s.Run(g))
	must(t, s.Run(g))
	if len(kernels) > 0 {
		t.Errorf("%v finished before the program waited", kernels)
	}
	must(t, d.Sync())
	must(t, d.Sync())
	if want := []string{"step", "chain", "store", "chain", "store"}; !slices.Equal(kernels, want) || lanes < 20 {
		t.Errorf("%v finished with %d instructions, want %v", kernels, lanes, want)
	}
}

// Two GPUs wait for each other's kernels, which two goroutines launch and wait for: none is late, none is a deadlock.
// Then one is never launched.
func TestKernelsThatWaitForEachOther(t *testing.T) {
	const exchange = `.version 8.1
.target sm_90a
.address_size 64
// Raises the peer's flag to v and waits until its own is as high.
.visible .entry exchange(.param .u64 mine, .param .u64 theirs, .param .u32 v)
{
	.reg .b64 %mine, %theirs;
	.reg .b32 %v, %x;
	.reg .pred %low;
	ld.param.u64 %mine, [mine];
	cvta.to.global.u64 %mine, %mine;
	ld.param.u64 %theirs, [theirs];
	cvta.to.global.u64 %theirs, %theirs;
	ld.param.u32 %v, [v];
	st.release.sys.global.u32 [%theirs], %v;
wait:
	ld.acquire.sys.global.u32 %x, [%mine];
	setp.lt.u32 %low, %x, %v;
	@%low bra wait;
	ret;
}
`
	for _, rounds := range [][2]int{{20, 20}, {20, 19}} {
		d := New(Config{Config: sim.Config{GPUs: 2}})
		if rounds[0] != rounds[1] {
			d.(*machine).patience = 50 * time.Millisecond
		}
		var devices []driver.Device
		var flags [2]driver.Addr
		done := make(chan error)
		go func() { // on a thread that ends
			runtime.LockOSThread()
			done <- func() (err error) {
				devices, err = driver.Acquire(d, driver.Need{GPUs: 2, Capability: 90, Peers: true})
				for i, d := range devices {
					err = errors.Join(err, d.Bind())
					flags[i], _ = d.Alloc(4)
					err = errors.Join(err, d.Write(flags[i], make([]byte, 4)))
				}
				return err
			}()
		}()
		must(t, <-done)
		for i, d := range devices {
			go func() {
				runtime.LockOSThread()
				done <- exchangeRounds(d, exchange, rounds[i], flags[i], flags[1-i])
			}()
		}
		deadlocks := 0
		for range devices {
			err := <-done
			if report := (*sim.Error)(nil); errors.As(err, &report) && report.Kind == sim.Deadlock {
				deadlocks++
			} else {
				must(t, err)
			}
		}
		if (deadlocks > 0) != (rounds[0] != rounds[1]) {
			t.Errorf("%d rounds: %d deadlocks", rounds, deadlocks)
		}
	}
}

// exchangeRounds launches kernel exchange so often, and waits for each.
func exchangeRounds(d driver.Device, kernel string, rounds int, mine, theirs driver.Addr) error {
	if err := d.Bind(); err != nil {
		return err
	}
	m, _, err := d.Load([]byte(kernel))
	if err != nil {
		return err
	}
	f, err := d.Function(m, "exchange", 0)
	if err != nil {
		return err
	}
	s, err := d.NewStream(false)
	if err != nil {
		return err
	}
	for v := range rounds {
		l := &driver.Launch{Function: f, Grid: driver.Dim{1, 1, 1}, Block: driver.Dim{1, 1, 1}}
		l.Params.Addr(mine)
		l.Params.Addr(theirs)
		l.Params.U32(uint32(v + 1))
		if err := s.Launch(l); err != nil {
			return err
		}
		if err := s.Sync(); err != nil {
			return err
		}
	}
	return nil
}
