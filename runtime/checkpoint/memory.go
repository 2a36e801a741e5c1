package checkpoint

import "moegen/runtime/safetensors"

// Memory is the arenas of all ranks of this process. Rank r has the coordinate r mod EP on the
// expert-parallel axis; ranks of equal coordinate hold the same values.
type Memory struct {
	Ranks int
	EP    int
	// Alone says that only rank 0 has an arena: nothing is written to the others, and reads of theirs give what it has.
	Alone bool
	Arena
}

// Arena copies bytes into the arena of a rank and out of it, from offset off on. Several goroutines may do so at the
// same time.
type Arena interface {
	Write(rank int, off int64, from []byte) error
	Read(rank int, to []byte, off int64) error
}

// kind selects one of the arrays that a parameter has in the arena.
type kind func(*Param) Array

func value(p *Param) Array { return p.Value }

// stretch is elements of a chunk that lie next to each other in the arena of the ranks of one coordinate.
type stretch struct {
	axis  int
	local int // the first one, in the local part of the parameter
	at, n int // its position in the chunk, and how many
}

// stretches calls f for the stretches of a chunk.
func (m *Memory) stretches(c *chunk, f func(stretch) error) error {
	return c.runs(c.first, len(c.values), func(at, element, length int) error {
		share := c.param.LocalElements(m.EP)
		for length > 0 {
			s := stretch{element / share, element % share, at, min(length, share-element%share)}
			if err := f(s); err != nil {
				return err
			}
			at, element, length = at+s.n, element+s.n, length-s.n
		}
		return nil
	})
}

// holds reports whether a rank has what lies on a coordinate.
func (m *Memory) holds(rank int, p *Param, axis int) bool { return !p.Sharded || rank%m.EP == axis }

// written returns how many ranks have an arena.
func (m *Memory) written() int {
	if m.Alone {
		return 1
	}
	return m.Ranks
}

// wants reports whether an arena holds something of a chunk.
func (m *Memory) wants(c *chunk) bool {
	wanted := false
	m.stretches(c, func(s stretch) error {
		for rank := range m.written() {
			wanted = wanted || m.holds(rank, c.param, s.axis)
		}
		return nil
	})
	return wanted
}

// put stores a chunk, given in the array's own type, on every rank that holds it.
func (m *Memory) put(c *chunk, a Array, raw []byte) error {
	width := a.DType.Bytes()
	return m.stretches(c, func(s stretch) error {
		for rank := range m.written() {
			if !m.holds(rank, c.param, s.axis) {
				continue
			}
			if err := m.Write(rank, a.At+int64(s.local*width), raw[s.at*width:(s.at+s.n)*width]); err != nil {
				return err
			}
		}
		return nil
	})
}

// get fetches a chunk, in the array's own type, from the first rank that holds it.
func (m *Memory) get(c *chunk, a Array, raw []byte) error {
	width := a.DType.Bytes()
	return m.stretches(c, func(s stretch) error {
		return m.Read(s.axis, raw[s.at*width:(s.at+s.n)*width], a.At+int64(s.local*width))
	})
}

// putValues stores the chunk's values, rounded to the array's type.
func (m *Memory) putValues(c *chunk, a Array) error {
	raw := c.raw(a.DType)
	if a.DType != safetensors.F32 {
		safetensors.Encode(a.DType, c.values, raw)
	}
	return m.put(c, a, raw)
}

// getValues fetches the chunk's values.
func (m *Memory) getValues(c *chunk, a Array) error {
	raw := c.raw(a.DType)
	err := m.get(c, a, raw)
	if err == nil && a.DType != safetensors.F32 {
		safetensors.Decode(a.DType, raw, c.values)
	}
	return err
}

// sumValues adds the values up over the ranks that hold them, in the order of the ranks.
func (m *Memory) sumValues(c *chunk, a Array) error {
	width := a.DType.Bytes()
	part, raw := make([]float32, len(c.values)), make([]byte, len(c.values)*width)
	clear(c.values)
	return m.stretches(c, func(s stretch) error {
		for rank := range m.Ranks {
			if !m.holds(rank, c.param, s.axis) {
				continue
			}
			if err := m.Read(rank, raw[:s.n*width], a.At+int64(s.local*width)); err != nil {
				return err
			}
			safetensors.Decode(a.DType, raw, part[:s.n])
			for i, x := range part[:s.n] {
				c.values[s.at+i] += x
			}
		}
		return nil
	})
}
