package device

import (
	"time"

	"moegen/runtime/driver"
	"moegen/runtime/train"
)

// period is the time between two looks at the sensors.
const period = 50 * time.Millisecond

func (m *machine) Observe(run func() error) (train.Observation, error) {
	var o train.Observation
	busy := m.busy()
	watch := m.watch()
	err := run()
	o.Joules, o.Watts, o.ClockMHz = watch()
	if err != nil {
		return o, err
	}
	o.HostMS = float64((m.busy() - busy).Nanoseconds()) / 1e6 / float64(len(m.workers))
	for _, g := range m.gpus {
		err := g.ranks[0].do(func() error {
			free, total, err := g.device.Memory()
			o.AllocatedBytes += g.before - free
			o.DeviceBytes += total - free
			return err
		})
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

// busy is what all workers' hosts have spent.
func (m *machine) busy() (sum time.Duration) {
	for _, w := range m.workers {
		sum += w.busy
	}
	return sum
}

// watch begins to look at the sensors. What it returns ends that, and returns joules and watts of all GPUs and the mean
// clock; zeros where there are no sensors.
func (m *machine) watch() (end func() (joules, watts, clock float64)) {
	energy := func() (sum float64, ok bool) {
		for _, g := range m.gpus {
			s, err := g.device.Sensors()
			if err != nil {
				return 0, false
			}
			sum += s.Energy
		}
		return sum, true
	}
	first, ok := energy()
	if !ok {
		return func() (float64, float64, float64) { return 0, 0, 0 }
	}
	begin, stop, done := time.Now(), make(chan struct{}), make(chan struct{})
	clocks, looks := 0, 0
	look := func(d driver.Device) {
		if s, err := d.Sensors(); err == nil && s.Clock > 0 {
			clocks, looks = clocks+s.Clock, looks+1
		}
	}
	go func() {
		defer close(done)
		ticks := time.NewTicker(period)
		defer ticks.Stop()
		for {
			for _, g := range m.gpus {
				look(g.device)
			}
			select {
			case <-stop:
				return
			case <-ticks.C:
			}
		}
	}()
	return func() (joules, watts, clock float64) {
		close(stop)
		<-done
		last, ok := energy()
		if ok {
			joules = last - first
			watts = joules / time.Since(begin).Seconds()
		}
		return joules, watts, float64(clocks) / float64(max(looks, 1))
	}
}
