package checkpoint

import (
	"math"

	"moegen/runtime/safetensors"
)

// Memory is the arenas of all ranks of this process. Rank r has the coordinate r mod EP on the
// expert-parallel axis; ranks of equal coordinate hold the same values of sharded parameters, all ranks those of the others.
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

// array is one of the arrays that a parameter has in the arena. All ranks that hold the parameter have its value; a spread array, the
// gradient or one of the optimizer, is distributed over them.
type array struct {
	Array
	spread bool
}

// kind selects an array of a parameter.
type kind func(*Param) array

func value(p *Param) array { return array{p.Value, false} }

// stretch is elements of a chunk that lie next to each other in the arenas of some ranks: first, first+step, ...
type stretch struct {
	first, step int
	local       int // the first one's place in the array of such a rank, in elements
	at, n       int // its position in the chunk, and how many
	part        int // of a spread array: which of the ranks that share it has them
}

// stretches calls f for the stretches of an array's elements in a chunk.
func (m *Memory) stretches(c *chunk, a array, f func(stretch) error) error {
	p := c.param
	return c.runs(c.first, len(c.values), func(at, element, length int) error {
		part := p.LocalElements(m.EP)
		for length > 0 {
			s := stretch{step: 1, local: element % part, at: at, n: min(length, part-element%part)}
			if p.Sharded {
				s.first, s.step = element/part, m.EP
			}
			if a.spread {
				place := p.First + s.local
				s.part = place / p.Share
				s.local, s.n = place%p.Share, min(s.n, p.Share-place%p.Share)
				s.first, s.step = s.first+s.part*s.step, m.Ranks
			}
			if err := f(s); err != nil {
				return err
			}
			at, element, length = at+s.n, element+s.n, length-s.n
		}
		return nil
	})
}

// written returns how many ranks have an arena.
func (m *Memory) written() int {
	if m.Alone {
		return 1
	}
	return m.Ranks
}

// wants reports whether an arena holds something of an array's elements in a chunk.
func (m *Memory) wants(c *chunk, a array) bool {
	wanted := false
	m.stretches(c, a, func(s stretch) error {
		wanted = wanted || s.first < m.written()
		return nil
	})
	return wanted
}

// put stores a chunk, given in the array's own type, on every rank that holds it.
func (m *Memory) put(c *chunk, a array, raw []byte) error {
	width := a.DType.Bytes()
	return m.stretches(c, a, func(s stretch) error {
		for rank := s.first; rank < m.written(); rank += s.step {
			if err := m.Write(rank, a.At+int64(s.local*width), raw[s.at*width:(s.at+s.n)*width]); err != nil {
				return err
			}
		}
		return nil
	})
}

// get fetches a chunk, in the array's own type, from the first rank that holds it.
func (m *Memory) get(c *chunk, a array, raw []byte) error {
	width := a.DType.Bytes()
	return m.stretches(c, a, func(s stretch) error {
		return m.Read(s.first, raw[s.at*width:(s.at+s.n)*width], a.At+int64(s.local*width))
	})
}

// putValues stores the chunk's values, rounded to the array's type.
func (m *Memory) putValues(c *chunk, a array) error {
	raw := c.raw(a.DType)
	if a.DType != safetensors.F32 {
		safetensors.Encode(a.DType, c.values, raw)
	}
	return m.put(c, a, raw)
}

// getValues fetches the chunk's values.
func (m *Memory) getValues(c *chunk, a array) error {
	raw := c.raw(a.DType)
	err := m.get(c, a, raw)
	if err == nil && a.DType != safetensors.F32 {
		safetensors.Decode(a.DType, raw, c.values)
	}
	return err
}

// getGrads fetches the gradient's values. A rank that is alone has its own part of what several hold, and nobody has the rest: these
// are no numbers.
func (m *Memory) getGrads(c *chunk) error {
	grad := array{c.param.Grad, true}
	if err := m.getValues(c, grad); err != nil || !m.Alone {
		return err
	}
	return m.stretches(c, grad, func(s stretch) error {
		if s.part > 0 {
			for i := range c.values[s.at:][:s.n] {
				c.values[s.at+i] = float32(math.NaN())
			}
		}
		return nil
	})
}
