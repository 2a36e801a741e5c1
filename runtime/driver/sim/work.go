package sim

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"moegen/runtime/driver"
	"moegen/runtime/sim"
)

// op is something that a stream is given: exactly one of its parts is set.
type op struct {
	launch *sim.Launch
	copy   *transfer
	fill   *filling
	stamp  *event // takes the time
}

type transfer struct {
	to, from driver.Addr
	bytes    int64
}

type filling struct {
	to    driver.Addr
	word  uint32
	words int64
}

// node is work that was started. It is finished once the host knows that it is done.
type node struct {
	work     *sim.Work // nil if it takes no work
	after    []*node   // nil once finished
	end      float64   // nominal milliseconds
	finished bool
	kernel   string // of a launch
	staging  uint64 // device memory that a copy from or to the host passes through; 0 without
	deliver  []byte // host memory that takes it
}

// operation is the nominal time of an operation, in milliseconds.
const operation = 1e-3

// works appends the work that a node stands for: what it came after, if it takes none itself; none that the host has
// waited for.
func (n *node) works(to []*sim.Work) []*sim.Work {
	if n.finished {
		return to
	}
	if n.work != nil {
		return append(to, n.work)
	}
	for _, a := range n.after {
		to = a.works(to)
	}
	return to
}

// start starts an operation after others. overlap is for launches that may begin before these, if they are launches
// too, have ended.
func (d *device) start(o op, after []*node, overlap bool) (*node, error) {
	n := &node{after: after}
	var works []*sim.Work
	for _, a := range after {
		n.end = max(n.end, a.end)
		overlap = overlap && a.kernel != ""
		works = a.works(works)
	}
	n.end += operation
	var err error
	switch {
	case o.launch != nil:
		l := *o.launch
		l.Programmatic = overlap && len(works) > 0
		n.kernel = l.Entry
		n.work, err = d.sim.Start(l, works...)
	case o.copy != nil:
		err = d.startTransfer(n, o.copy, works)
	case o.fill != nil:
		n.work, err = d.startFilling(o.fill, works)
	default:
		o.stamp.nodes, o.stamp.at, o.stamp.recorded = after, n.end, true
	}
	return n, refused(err)
}

// startTransfer starts a copy. One from the host takes the bytes as they are now, one to the host delivers them
// when the host learns that it is done: as early, and as late, as a program must expect. Between them the bytes lie in
// device memory.
func (d *device) startTransfer(n *node, t *transfer, after []*sim.Work) (err error) {
	to, from := uint64(t.to), uint64(t.from)
	target, source := d.pinnedAt(t.to, t.bytes), d.pinnedAt(t.from, t.bytes)
	if target != nil && target.readOnly {
		return refuse("a registered mapping is only read")
	}
	if target != nil && source != nil {
		return refuse("a copy within the host's memory is the host's to make")
	}
	if target != nil || source != nil {
		if n.staging, err = d.sim.Alloc(d.gpu, t.bytes); err != nil {
			return err
		}
	}
	if target != nil {
		to, n.deliver = n.staging, target.part(t.to, t.bytes)
		d.coming = append(d.coming, n)
	}
	if source != nil {
		from = n.staging
		if err := d.arrive(source.part(t.from, t.bytes)); err != nil {
			return err
		}
		if err := d.sim.Write(from, source.part(t.from, t.bytes)); err != nil {
			return err
		}
	}
	n.work, err = d.sim.StartCopy(sim.Copy{Destination: to, Source: from, Size: t.bytes}, after...)
	return err
}

// arrive waits for copies to a piece of the host's memory, before a copy from there.
func (d *device) arrive(bytes []byte) error {
	for _, n := range slices.Clone(d.coming) {
		a, b := uintptr(unsafe.Pointer(&n.deliver[0])), uintptr(unsafe.Pointer(&bytes[0]))
		if a < b+uintptr(len(bytes)) && b < a+uintptr(len(n.deliver)) {
			if err := d.wait(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// part returns the bytes at an address of pinned memory.
func (p *pinned) part(at driver.Addr, bytes int64) []byte {
	return p.bytes[at-p.at:][:bytes]
}

// startFilling stores the word once, byte by byte, and copies what there is of it behind itself until all is full.
func (d *device) startFilling(f *filling, after []*sim.Work) (*sim.Work, error) {
	to, bytes := uint64(f.to), 4*f.words
	var word [4]byte
	binary.LittleEndian.PutUint32(word[:], f.word)
	if word[0] == word[1] && word[1] == word[2] && word[2] == word[3] {
		return d.sim.StartCopy(sim.Copy{Destination: to, Size: bytes, Value: word[0]}, after...)
	}
	// What does not fit is found before anything is started.
	if _, err := d.sim.Defined(to, int(bytes)); err != nil {
		return nil, err
	}
	var last *sim.Work
	var err error
	for i, b := range word {
		if last, err = d.sim.StartCopy(sim.Copy{Destination: to + uint64(i), Size: 1, Value: b}, after...); err != nil {
			return nil, err
		}
		after = []*sim.Work{last}
	}
	for have := int64(4); have < bytes; have *= 2 {
		if last, err = d.sim.StartCopy(sim.Copy{Destination: to + uint64(have), Source: to, Size: min(have, bytes-have)}, last); err != nil {
			return nil, err
		}
	}
	return last, nil
}

// wait runs the machine until nodes are done, and finishes them and what they came after.
func (d *device) wait(nodes ...*node) error {
	for _, n := range nodes {
		if n.finished {
			continue
		}
		if n.work != nil {
			if err := d.sim.Wait(n.work); err != nil {
				return d.fault(err)
			}
		} else if err := d.wait(n.after...); err != nil {
			return err
		}
		if err := d.finish(n); err != nil {
			return err
		}
	}
	return nil
}

// finish is what happens when the host learns that a node is done, and with it all that it came after.
func (d *device) finish(n *node) error {
	if n.finished {
		return nil
	}
	for _, a := range n.after {
		if err := d.finish(a); err != nil {
			return err
		}
	}
	n.finished, n.after = true, nil
	if n.kernel != "" && d.config.Finished != nil {
		d.config.Finished(n.kernel, n.work.Counters())
	}
	if n.staging == 0 {
		return nil
	}
	if n.deliver != nil {
		d.coming = slices.DeleteFunc(d.coming, func(other *node) bool { return other == n })
		if err := d.sim.Read(n.staging, n.deliver); err != nil {
			return d.fault(err)
		}
	}
	if err := d.sim.Free(n.staging); err != nil {
		panic("BUG: " + err.Error())
	}
	return nil
}
