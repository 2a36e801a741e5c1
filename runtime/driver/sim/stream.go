package sim

import (
	"slices"

	"moegen/runtime/driver"
	"moegen/runtime/sim"
)

// stream is a queue of work. Its tail is what the next operation comes after: the last one, and before it those
// that overlapping launches have not waited for.
type stream struct {
	*device
	tail   []*node
	joined bool // an event was waited for since the last operation

	capture *capture // nil when nothing is captured
	pending []int    // the tail, as places in the capture
}

func (d *device) NewStream(bool) (driver.Stream, error) {
	err := d.enter()
	defer d.mutex.Unlock()
	if err != nil {
		return nil, err
	}
	s := &stream{device: d}
	d.streams = append(d.streams, s)
	return s, nil
}

// give starts an operation, or adds it to the capture.
func (s *stream) give(o op, overlap bool) error {
	overlap = overlap && !s.joined // what another stream did is waited for in full
	if s.capture != nil {
		if s.capture.spoilt {
			return refuse("the capture of the stream is spoilt by a call that is not possible during it")
		}
		s.capture.parts = append(s.capture.parts, part{op: o, after: s.pending, overlap: overlap})
		at := len(s.capture.parts) - 1
		if !overlap {
			s.pending = nil
		}
		s.pending = append(slices.Clip(s.pending), at)
		s.joined = false
		return nil
	}
	n, err := s.start(o, s.tail, overlap)
	if err != nil {
		return err
	}
	if !overlap {
		s.tail = nil
	}
	s.tail = append(slices.Clip(s.tail), n)
	s.joined = false
	return nil
}

func (s *stream) Launch(l *driver.Launch) error {
	err := s.enter()
	defer s.mutex.Unlock()
	if err != nil {
		return err
	}
	f := l.Function
	m, err := s.module(driver.Module(f.Handle))
	if err != nil {
		return err
	}
	if err := l.Check(); err != nil {
		return err
	}
	if l.Cluster != (driver.Dim{}) && slices.Contains(l.Cluster[:], 0) {
		return refuse("kernel %s in clusters of %v", f.Name, l.Cluster)
	}
	return s.give(op{launch: &sim.Launch{
		Program: m.program, Entry: f.Name, Grid: ints(l.Grid), Block: ints(l.Block), Cluster: ints(l.Cluster), SharedBytes: f.Shared, Params: slices.Clone(l.Params),
	}}, l.Overlap)
}

func ints(d driver.Dim) [3]int { return [3]int{int(d[0]), int(d[1]), int(d[2])} }

func (s *stream) Copy(to, from driver.Addr, bytes int64) error {
	err := s.enter()
	defer s.mutex.Unlock()
	if err != nil {
		return err
	}
	return s.give(op{copy: &transfer{to, from, bytes}}, false)
}

func (s *stream) Fill(to driver.Addr, word uint32, words int64) error {
	err := s.enter()
	defer s.mutex.Unlock()
	if err != nil {
		return err
	}
	if to%4 != 0 || words < 1 {
		return refuse("%d words at %#x cannot be filled", words, uint64(to))
	}
	return s.give(op{fill: &filling{to, word, words}}, false)
}

func (s *stream) Run(g driver.Graph) error {
	err := s.enter()
	defer s.mutex.Unlock()
	if err != nil {
		return err
	}
	if s.capture != nil {
		return refuse("a graph cannot be run by a stream that is captured")
	}
	if g == 0 || int(g) > len(s.graphs) || s.graphs[g-1] == nil {
		return refuse("there is no graph %d", g)
	}
	tail, err := s.graphs[g-1].run(s.device, s.tail)
	if err == nil {
		s.tail, s.joined = tail, false
	}
	return err
}

func (s *stream) Sync() error {
	err := s.enter()
	defer s.mutex.Unlock()
	if err != nil {
		return err
	}
	if s.capture != nil {
		s.capture.spoilt = true
		return refuse("a stream that is captured has nothing to wait for")
	}
	return s.wait(s.tail...)
}

// Done waits: what is done is done sooner than a program must expect, and time passes only while it is waited for.
func (s *stream) Done() (bool, error) {
	err := s.Sync()
	return err == nil, err
}

func (s *stream) Close() error {
	if err := s.Sync(); err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.streams = slices.DeleteFunc(s.streams, func(other *stream) bool { return other == s })
	return nil
}
