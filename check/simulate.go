package check

import (
	"encoding/binary"
	"fmt"

	"moegen/kernels/gpu"
	"moegen/runtime/driver"
	"moegen/runtime/sim"
)

// simulate runs the case under schedules 0 to seeds-1 and stops at the first failure: on one GPU for each of the ranks, which
// differ in what their buffers hold, all at the same time. The number of blocks of persistent kernels differs between
// schedules: outputs must have the same bits all the same. It returns what the buffers of each rank held. config is the simulator's
// but for the schedule.
func (r *Result) simulate(ranks []*program, seeds int, config sim.Config) ([]memory, *Failure) {
	module, err := sim.Parse(ranks[0].text)
	if err != nil {
		return nil, finding(err, 0)
	}
	var first []memory
	for i := range seeds {
		seed := uint64(i)
		config.Seed, config.GPUs = seed, len(ranks)
		before, after, counters, err := simulateOnce(ranks, module, config)
		r.Schedules++
		if err != nil {
			return nil, finding(err, seed)
		}
		if first == nil {
			first = after
			r.count(counters)
		}
		for rank, p := range ranks {
			if i == 0 {
				if failure := r.judge(p, before[rank], after[rank]); failure != nil {
					failure.Simulated = true
					return nil, failure
				}
			} else if where := p.differ(first[rank], after[rank]); where != "" {
				return nil, &Failure{Check: Schedule, Message: where + " under schedules 0 and this", Seed: seed, Simulated: true}
			}
		}
	}
	return first, nil
}

// judge holds a rank's outputs against the truth, and keeps the worst of all ranks.
func (r *Result) judge(p *program, before, after memory) *Failure {
	r.Sum += p.sum(after)
	worst, failure := p.compare(before, after)
	if r.Worst == nil || worst != nil && worst.Miss > r.Worst.Miss {
		r.Worst = worst
	}
	return failure
}

// simulateOnce runs the launches of all ranks on a fresh machine and returns what the buffers held before and after.
func simulateOnce(ranks []*program, module *sim.Module, config sim.Config) (before, after []memory, counters []sim.Counters, err error) {
	m := sim.New(config)
	var runs []*simulation
	for rank, p := range ranks {
		s := &simulation{program: p, Machine: m, gpu: rank, base: map[string]uint64{}}
		runs = append(runs, s)
		if err := s.place(); err != nil {
			return nil, nil, nil, err
		}
	}
	if err := introduce(runs); err != nil {
		return nil, nil, nil, err
	}
	if before, err = readAll(runs); err != nil {
		return nil, nil, nil, err
	}
	for _, s := range runs {
		if err := s.start(module, config.Seed); err != nil {
			return nil, nil, nil, err
		}
	}
	if err := m.Sync(); err != nil {
		return nil, nil, nil, err
	}
	if after, err = readAll(runs); err != nil {
		return nil, nil, nil, err
	}
	for _, s := range runs {
		for _, w := range s.works {
			counters = append(counters, w.Counters())
		}
		if err := s.defined(); err != nil {
			return nil, nil, nil, err
		}
	}
	return before, after, counters, nil
}

// introduce tells ranks where the others are, if there are several.
func introduce(runs []*simulation) error {
	var bases []uint64
	for _, s := range runs {
		bases = append(bases, s.base[s.Buffers[0].Name])
	}
	for _, s := range runs {
		for _, peer := range runs {
			if peer.gpu == s.gpu {
				continue
			}
			if err := s.EnablePeer(s.gpu, peer.gpu); err != nil {
				return err
			}
		}
		if len(runs) == 1 {
			continue
		}
		if err := s.Write(s.base[gpu.World], addresses(bases)); err != nil {
			return err
		}
	}
	return nil
}

// addresses is how a rank's gpu.World begins: where the ranks' first buffers are.
func addresses(bases []uint64) (table []byte) {
	for _, base := range bases {
		table = binary.LittleEndian.AppendUint64(table, base)
	}
	return table
}

// A simulation is one rank's run on a machine.
type simulation struct {
	*program
	*sim.Machine
	gpu   int
	base  map[string]uint64
	works []*sim.Work
}

// place puts the buffers into the memory of the rank's GPU.
func (s *simulation) place() error {
	for _, b := range s.Buffers {
		address, err := s.Alloc(s.gpu, int64(b.Len*b.Elem.Bytes()))
		if err != nil {
			return err
		}
		s.base[b.Name] = address
		s.Label(address, b.Name)
		if data := b.Bytes(); data != nil {
			if err := s.Write(address, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// start starts the launches, one after the other.
func (s *simulation) start(module *sim.Module, seed uint64) error {
	loaded, err := s.Load(s.gpu, module)
	if err != nil {
		return err
	}
	for _, g := range s.grids {
		params, err := s.params(g, func(buffer string) uint64 { return s.base[buffer] }, encodeTensor)
		if err != nil {
			return err
		}
		w, err := s.Start(sim.Launch{Program: loaded, Entry: g.Entry, Grid: [3]int{blocks(g, residents(seed)), 1, 1},
			Block: [3]int{g.Threads, 1, 1}, Cluster: [3]int{g.Cluster, 1, 1}, SharedBytes: g.Shared, Params: params,
			Programmatic: g.Dependent && len(s.works) > 0}, s.works[max(0, len(s.works)-1):]...)
		if err != nil {
			return err
		}
		s.works = append(s.works, w)
	}
	return nil
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

func readAll(runs []*simulation) (out []memory, err error) {
	for _, s := range runs {
		m, err := s.read()
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
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
