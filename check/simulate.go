package check

import (
	"fmt"

	"moegen/runtime/driver"
	"moegen/runtime/sim"
)

// simulate runs the case under schedules 0 to seeds-1 and stops at the first failure. The number of blocks of persistent
// kernels differs between them: outputs must have the same bits all the same. It returns what the buffers held. config
// is the simulator's but for the schedule.
func (r *Result) simulate(p *program, seeds int, config sim.Config) (memory, *Failure) {
	module, err := sim.Parse(p.text)
	if err != nil {
		return nil, finding(err, 0)
	}
	var first memory
	for i := range seeds {
		seed := uint64(i)
		config.Seed = seed
		run := &simulation{program: p, Machine: sim.New(config), base: map[string]uint64{}}
		before, after, err := run.do(module, seed)
		r.Schedules++
		if err != nil {
			return nil, finding(err, seed)
		}
		if first == nil {
			first = after
			r.Sum = p.sum(after)
			r.count(run.counters)
			var failure *Failure
			if r.Worst, failure = p.compare(before, after); failure != nil {
				failure.Simulated = true
				return nil, failure
			}
		} else if where := p.differ(first, after); where != "" {
			return nil, &Failure{Check: Schedule, Message: where + " under schedules 0 and this", Seed: seed, Simulated: true}
		}
	}
	return first, nil
}

// A simulation is one run on a fresh machine.
type simulation struct {
	*program
	*sim.Machine
	base     map[string]uint64
	counters []sim.Counters
}

// do runs the launches and returns what the buffers held before and after.
func (s *simulation) do(module *sim.Module, seed uint64) (before, after memory, err error) {
	for _, b := range s.Buffers {
		address, err := s.Alloc(0, int64(b.Len*b.Elem.Bytes()))
		if err != nil {
			return nil, nil, err
		}
		s.base[b.Name] = address
		s.Label(address, b.Name)
		if data := b.Bytes(); data != nil {
			if err := s.Write(address, data); err != nil {
				return nil, nil, err
			}
		}
	}
	if before, err = s.read(); err != nil {
		return nil, nil, err
	}
	loaded, err := s.Load(0, module)
	if err != nil {
		return nil, nil, err
	}
	var works []*sim.Work
	for _, g := range s.grids {
		params, err := s.params(g, func(buffer string) uint64 { return s.base[buffer] }, encodeTensor)
		if err != nil {
			return nil, nil, err
		}
		w, err := s.Start(sim.Launch{Program: loaded, Entry: g.Entry, Grid: [3]int{blocks(g, residents(seed)), 1, 1},
			Block: [3]int{g.Threads, 1, 1}, Cluster: [3]int{g.Cluster, 1, 1}, SharedBytes: g.Shared, Params: params,
			Programmatic: g.Dependent && len(works) > 0}, works[max(0, len(works)-1):]...)
		if err != nil {
			return nil, nil, err
		}
		works = append(works, w)
	}
	if err := s.Sync(); err != nil {
		return nil, nil, err
	}
	for _, w := range works {
		s.counters = append(s.counters, w.Counters())
	}
	if after, err = s.read(); err != nil {
		return nil, nil, err
	}
	return before, after, s.defined()
}

// residents is how many blocks of a persistent kernel run in a schedule: few, so that each has several tiles, or many.
func residents(seed uint64) int { return [...]int{2, 132, 4, 1, 6}[seed%5] }

func encodeTensor(t *driver.Tensor) (driver.TensorMap, error) {
	m := sim.TensorMap{Type: int(t.Element), Address: uint64(t.Base)}
	for i, d := range t.Dims {
		m.Dims = append(m.Dims, uint64(d))
		m.Box = append(m.Box, uint32(t.Box[i]))
	}
	for _, s := range t.Strides {
		m.Strides = append(m.Strides, uint64(s))
	}
	for span := 16; span < t.Swizzle; span *= 2 {
		m.Swizzle++
	}
	return m.Encode()
}

func (s *simulation) read() (memory, error) {
	out := make(memory, len(s.Buffers))
	for i, b := range s.Buffers {
		out[i] = make([]byte, b.Len*b.Elem.Bytes())
		if err := s.Read(s.base[b.Name], out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// defined returns an error when an element of an output that must be written was not.
func (s *simulation) defined() error {
	for _, o := range s.Outputs {
		b, _ := s.Buffer(o.Buffer)
		size := b.Elem.Bytes()
		for i := 0; i < b.Len; i++ {
			at := s.base[b.Name] + uint64(i*size)
			n, err := s.Defined(at, (b.Len-i)*size)
			if err != nil {
				return err
			}
			i += n / size // the first element with an undefined byte, or the end
			if i < b.Len {
				if _, _, ok := o.Want(i); ok {
					return &sim.Error{Kind: sim.Undefined, Warp: -1, Lane: -1, Msg: fmt.Sprintf("element %d of %s was never written", i, b.Name)}
				}
			}
		}
	}
	return nil
}

// count adds up what the launches did.
func (r *Result) count(list []sim.Counters) {
	for _, c := range list {
		r.Moved += c.Global.Read + c.Global.Written + c.Async.Read + c.Async.Written
		r.Conflicts += c.BankConflicts
	}
}
