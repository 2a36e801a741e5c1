package arith

import (
	"encoding/binary"
	"strings"
	"testing"
)

// TestAtomicVectors: floating-point atomics, which give {old, new} (or their exclusive or), and reductions into a buffer.
func TestAtomicVectors(t *testing.T) {
	v := load(t, "atom")
	pairs := func(f func(a, b uint32) uint32) func(a, b uint64) uint64 {
		return func(a, b uint64) uint64 { return uint64(f(uint32(a), uint32(b))) }
	}
	shared := pairs(func(a, b uint32) uint32 { return Add32M(a, b, Mode{}) })
	global := pairs(func(a, b uint32) uint32 { return Add32M(a, b, Mode{FTZ: true}) })
	bulk := pairs(Add32)
	add := func(h Half) func(a, b uint64) uint64 {
		return pairs(func(a, b uint32) uint32 { return h.Add2(a, b, Mode{}) })
	}
	extreme := func(h Half, o MinMax) func(a, b uint64) uint64 {
		return pairs(func(a, b uint32) uint32 { return o.Half2(h, a, b) })
	}
	functions := map[string]func(old, x uint64) uint64{
		"atom.shared.add.f32":                 shared,
		"atom.global.add.f32":                 global,
		"atom.shared.add.noftz.bf16x2":        add(BF16),
		"atom.global.add.noftz.bf16x2":        add(BF16),
		"atom.shared.add.noftz.f16x2":         add(F16),
		"atom.global.add.noftz.f16x2":         add(F16),
		"atom.shared.add.f64 (old xor new)":   Add64,
		"atom.global.add.f64 (old xor new)":   Add64,
		"red.global.add.v4.f32":               global,
		"red.global.add.v2.f32":               global,
		"red.global.add.noftz.v4.bf16x2":      add(BF16),
		"red.global.add.noftz.v4.f16x2":       add(F16),
		"cp.reduce.async.bulk.add.f32":        bulk,
		"cp.reduce.async.bulk.add.noftz.bf16": add(BF16),
		"cp.reduce.async.bulk.add.noftz.f16":  add(F16),
		"cp.reduce.async.bulk.min.bf16":       extreme(BF16, MinMax{}),
		"cp.reduce.async.bulk.max.f16":        extreme(F16, MinMax{Max: true}),
	}
	if len(v.Cases) != len(functions) {
		t.Errorf("%d cases, %d functions", len(v.Cases), len(functions))
	}
	for _, c := range v.Cases {
		f := functions[c.Name]
		if f == nil {
			t.Errorf("%s: no function", c.Name)
			continue
		}
		a, b, want := unpack(t, v.Inputs[c.In[0]]), unpack(t, v.Inputs[c.In[1]]), unpack(t, c.Want)
		wide := strings.Contains(c.Name, "f64")
		for i := range elements {
			x, y := element(a, i, elements), element(b, i, elements)
			if strings.HasPrefix(c.Name, "atom") {
				old, w := x, element(want, i, elements)
				got := f(old, y)<<32 | old
				if wide {
					got = f(old, y) ^ old
				}
				if got != w {
					t.Errorf("%s(%x, %x): %x, hardware %x", c.Name, old, y, got, w)
				}
				continue
			}
			// Reductions: the first input is the source, the second the buffer. A thread has 16 bytes, of which .v2.f32 adds 8.
			got, w := uint32(f(y, x)), binary.LittleEndian.Uint32(want[4*i:])
			if strings.Contains(c.Name, ".v2.") && i%4 >= 2 {
				got = uint32(y)
			}
			if got != w {
				t.Errorf("%s element %d: %08x + %08x gives %08x, hardware %08x", c.Name, i, y, x, got, w)
			}
		}
	}
}
