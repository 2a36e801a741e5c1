package sim

import "moegen/runtime/driver"

// event is a point in a stream: what comes before it, as nodes or as parts of a capture.
type event struct {
	timing   bool
	recorded bool
	nodes    []*node
	at       float64 // nominal milliseconds
	capture  *capture
	parts    []int
}

func (d *device) NewEvent(timing bool) (driver.Event, error) {
	err := d.enter()
	defer d.mutex.Unlock()
	if err != nil {
		return driver.Event{}, err
	}
	d.events = append(d.events, &event{timing: timing})
	return driver.Event{Handle: uintptr(len(d.events)), Timing: timing}, nil
}

func (m *machine) event(e driver.Event) (*event, error) {
	if e.Handle == 0 || int(e.Handle) > len(m.events) || m.events[e.Handle-1] == nil {
		return nil, refuse("there is no event %d", e.Handle)
	}
	return m.events[e.Handle-1], nil
}

func (d *device) FreeEvent(e driver.Event) error {
	err := d.enter()
	defer d.mutex.Unlock()
	if err == nil {
		_, err = d.event(e)
	}
	if err == nil {
		d.events[e.Handle-1] = nil
	}
	return err
}

func (s *stream) Record(handle driver.Event) error {
	err := s.enter()
	defer s.mutex.Unlock()
	if err != nil {
		return err
	}
	e, err := s.event(handle)
	if err != nil {
		return err
	}
	switch {
	case s.capture == nil:
		e.nodes, e.at, e.recorded, e.capture = s.tail, 0, true, nil
		for _, n := range s.tail {
			e.at = max(e.at, n.end)
		}
	case e.timing:
		return s.give(op{stamp: e}, false)
	default:
		e.capture, e.parts = s.capture, s.pending
	}
	return nil
}

func (s *stream) Wait(handle driver.Event) error {
	err := s.enter()
	defer s.mutex.Unlock()
	if err != nil {
		return err
	}
	e, err := s.event(handle)
	if err != nil {
		return err
	}
	if e.capture == nil && s.capture == nil {
		s.tail, s.joined = union(s.tail, e.nodes), true
		return nil
	}
	if e.capture == nil || e.capture.origin.capture != e.capture || s.capture != nil && s.capture != e.capture {
		return refuse("a captured stream and one that is not captured, or not by the same capture, cannot wait for each other")
	}
	if s.capture == nil {
		e.capture.join(s)
	}
	s.pending, s.joined = union(s.pending, e.parts), true
	return nil
}

// union returns a and what of b is not in it.
func union[T comparable](a, b []T) []T {
	seen := map[T]bool{}
	var out []T
	for _, list := range [][]T{a, b} {
		for _, x := range list {
			if !seen[x] {
				seen[x] = true
				out = append(out, x)
			}
		}
	}
	return out
}

func (d *device) Await(handle driver.Event) error {
	err := d.enter()
	defer d.mutex.Unlock()
	if err != nil {
		return err
	}
	e, err := d.event(handle)
	if err != nil {
		return err
	}
	return d.wait(e.nodes...)
}

func (d *device) Elapsed(from, to driver.Event) (float64, error) {
	err := d.enter()
	defer d.mutex.Unlock()
	if err != nil {
		return 0, err
	}
	var at [2]float64
	for i, handle := range []driver.Event{from, to} {
		e, err := d.event(handle)
		if err != nil {
			return 0, err
		}
		if !e.timing || !e.recorded {
			return 0, refuse("event %d takes no time, or has not been recorded", handle.Handle)
		}
		for _, n := range e.nodes {
			if !n.finished && (n.work == nil || !n.work.Done()) {
				return 0, refuse("event %d has not happened", handle.Handle)
			}
		}
		at[i] = e.at
	}
	return at[1] - at[0], nil
}
