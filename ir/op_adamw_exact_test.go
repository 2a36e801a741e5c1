package ir

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// The two parts of a weight are its bits, and the upper one is the nearest bf16.
func TestSplit(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	list := []uint32{0, 1 << 31, 0x3F807FFF, 0x3F808000, 0x3F808001, 0x3F818000, 0x7F800000, 0xFF800000, 0x8000, 0x7FFF, 0x007FFFFF}
	for range 100000 {
		list = append(list, rng.Uint32())
	}
	for _, bits := range list {
		w := math.Float32frombits(bits)
		value, low := split(w)
		if w != w {
			if value == value {
				t.Fatalf("%#x, no number, is split into %g and %g", bits, value, low)
			}
			continue
		}
		if again := math.Float32bits(float32(value)) + uint32(int32(low)); again != bits {
			t.Fatalf("%#x is split into %g and %g, which is %#x", bits, value, low, again)
		}
		if nearest := RoundBF16(float64(w)); nearest != value && low != -0x8000 {
			t.Fatalf("%g is split into %g and %g; the nearest bf16 is %g", w, value, low, nearest)
		}
	}
}

// Over all thresholds the mean of what a number is rounded to is the number.
func TestRoundingIsUnbiased(t *testing.T) {
	for _, x := range []float32{1, 1.2345, -3e-5, 0x1.fffffep10, 0x1p-140, 7.7e30} {
		sum := 0.0
		for threshold := range uint32(1 << 16) {
			sum += roundAt(x, threshold)
		}
		if sum/(1<<16) != float64(x) {
			t.Errorf("%g is rounded to %g in the mean", x, sum/(1<<16))
		}
	}
	if x := roundAt(float32(math.NaN()), 0xFFFF); x == x {
		t.Errorf("what is no number is rounded to %g", x)
	}
}

// adamwCase is a node of n elements and its operands, with a record of a step.
type adamwCase struct {
	node *Node
	in   []*Tensor
}

func newAdamwCase(op *Op, n int, attrs Attrs, step, seed, rank float64) adamwCase {
	b := NewBuilder("g")
	var c adamwCase
	var values []*Value
	types := map[string]DType{"value": BF16, "grad": BF16, "low": I16, "m": F32, "v": F32, "master": F32}
	if op != adamwMaster {
		types["m"], types["v"] = BF16, BF16
	}
	for k, name := range op.Operands {
		typ := Fixed(F32, 1)
		if d, ok := types[name]; ok {
			typ = Fixed(d, n)
		} else if name == "record" {
			typ = recordType
		}
		x := NewTensor(typ)
		for i := range x.Data {
			x.Data[i] = RoundBF16(math.Sin(float64(3*i + 11*k + 1)))
		}
		switch name {
		case "v":
			for i, y := range x.Data {
				x.Data[i] = RoundBF16(y * y / 100)
			}
		case "low":
			for i := range x.Data {
				x.Data[i] = float64((i*7919)%65536 - 32768)
			}
		case "scale":
			x.Data[0] = 0.75
		case "record":
			for i, y := range map[int]float64{
				RecordLR: 1e-3, RecordBeta1: 0.875, RecordBeta2: 0.96875, RecordGain1: 0.125, RecordGain2: 0.03125, RecordEps: 1e-8, RecordDecay: 0.1,
				RecordBias1: 0.3, RecordBias2: 0.01, RecordStep: step, RecordSeed: seed, RecordRank: rank,
			} {
				x.Data[i] = float64(float32(y))
			}
		}
		c.in = append(c.in, x)
		values = append(values, b.Outside(name, Input, typ))
	}
	b.Op(op, "out", attrs, values...)
	c.node = b.Graph.Nodes[0]
	return c
}

func (c adamwCase) run() []*Tensor {
	var out []*Tensor
	for _, v := range c.node.Out {
		out = append(out, NewTensor(v.Type))
	}
	c.node.Op.Eval(c.node, c.in, out)
	return out
}

// Both keep what adamw computes to within a few roundings to float32; what moments are rounded to besides is the nearest bf16 but
// one at most.
func TestExactOptimizersAgainstAdamw(t *testing.T) {
	const n = 500
	for _, op := range []*Op{adamwMaster, adamwSplit} {
		attrs := alone
		if op == adamwSplit {
			attrs = append(Attrs{{"stream", 9}}, alone...)
		}
		c := newAdamwCase(op, n, attrs, 2, 3, 0)
		weight := NewTensor(Fixed(F32, n))
		for i := range weight.Data {
			weight.Data[i] = c.in[2].Data[i]
			if op == adamwSplit {
				weight.Data[i] = float64(math.Float32frombits(math.Float32bits(float32(c.in[0].Data[i])) + uint32(int32(c.in[2].Data[i]))))
			}
		}
		want := []*Tensor{NewTensor(weight.Type), NewTensor(weight.Type), NewTensor(weight.Type)}
		adamw.Eval(&Node{Op: adamw, Attrs: alone}, []*Tensor{weight, c.in[1], c.in[3], c.in[4], c.in[5], c.in[6]}, want)
		got := c.run()
		for i := range n {
			w := got[1].Data[i]
			moments := 0x1p-7
			if op == adamwSplit {
				w = float64(math.Float32frombits(math.Float32bits(float32(got[0].Data[i])) + uint32(int32(w))))
			} else if moments = 0x1p-22; got[0].Data[i] != RoundBF16(w) {
				t.Errorf("element %d is %g, its weight %g", i, w, got[0].Data[i])
			}
			near := func(what string, got, want, size, rel float64) {
				if math.Abs(got-want) > rel*size {
					t.Errorf("%s: element %d: %s is %g, want %g", op.Name, i, what, got, want)
				}
			}
			near("the weight", w, want[0].Data[i], math.Abs(weight.Data[i])+math.Abs(want[0].Data[i]-weight.Data[i]), 0x1p-21)
			near("m", got[2].Data[i], want[1].Data[i], math.Abs(c.in[3].Data[i])+math.Abs(c.in[1].Data[i]), moments)
			near("v", got[3].Data[i], want[2].Data[i], want[2].Data[i], moments)
		}
	}
}

// Random bits are the same for the same seed, step, rank, stream and place in the rank's part, and others otherwise.
func TestStochasticRoundingIsReproducible(t *testing.T) {
	const n = 1000
	moments := func(stream, step, seed, rank int) string {
		c := newAdamwCase(adamwSplit, n, append(Attrs{{"stream", stream}}, alone...), float64(step), float64(seed), float64(rank))
		out := c.run()
		return fmt.Sprint(out[2].Data, out[3].Data)
	}
	first := moments(1, 2, 3, 0)
	if moments(1, 2, 3, 0) != first {
		t.Error("the same step rounds otherwise the second time")
	}
	for _, other := range [][4]int{{2, 2, 3, 0}, {1, 3, 3, 0}, {1, 2, 4, 0}, {1, 2, 3, 1}} {
		if moments(other[0], other[1], other[2], other[3]) == first {
			t.Errorf("stream, step, seed and rank %v round as 1 2 3 0 do", other)
		}
	}
}

// alone says that no other rank holds what a rank holds.
var alone = Replicas{1, 1}.Attrs()

// A rank that updates its part of an array does what it would do if the part were all there is, and nothing else.
func TestOptimizersUpdateTheirPart(t *testing.T) {
	const n, parts, stride, share = 1000, 3, 2, 384
	for _, op := range []*Op{adamw, adamwMaster, adamwSplit} {
		for rank := range 8 {
			var stream Attrs
			if op == adamwSplit {
				stream = Attrs{{"stream", 9}}
			}
			whole := newAdamwCase(op, n, append(stream, alone...), 1, 3, float64(rank))
			first := rank / stride % parts * share
			end := min(first+share, n)
			part := newAdamwCase(op, end-first, append(stream, alone...), 1, 3, float64(rank))
			spread := whole
			spread.in = append([]*Tensor(nil), whole.in...)
			b := NewBuilder("g")
			var values []*Value
			for i, name := range op.Operands {
				x := whole.in[i]
				switch {
				case len(x.Data) != n:
				case i == 0:
					part.in[i].Data = x.Data[first:end]
				default: // of the gradient and the state a rank has a share; what no element has is anything
					part.in[i].Data = x.Data[first:end]
					spread.in[i] = NewTensor(Fixed(x.Type.DType, share))
					unspecified(spread.in[i])
					copy(spread.in[i].Data, x.Data[first:end])
				}
				values = append(values, b.Outside(name, Input, spread.in[i].Type))
			}
			b.Op(op, "out", append(stream, Replicas{parts, stride}.Attrs()...), values...)
			spread.node = b.Graph.Nodes[0]
			got, want := spread.run(), part.run()
			for i, name := range op.Results {
				at := 0
				if i == 0 {
					at = first
				}
				for e, x := range got[i].Data {
					inside := e >= at && e < at+end-first
					if inside && x != want[i].Data[e-at] || !inside && x == x {
						t.Fatalf("%s: rank %d: %s of element %d is %g", op.Name, rank, name, e, x)
					}
				}
			}
		}
	}
}

// The hash's bits are ones half the time, also as differences between neighbours and between steps: within five standard
// deviations of 2^16 draws.
func TestRandomBits(t *testing.T) {
	const n = 1 << 16
	key := func(step uint32) uint32 { return hash32(hash32(77) + step) }
	for name, draw := range map[string]func(i uint32) uint32{
		"places":     func(i uint32) uint32 { return hash32(hash32(i) + key(1)) },
		"neighbours": func(i uint32) uint32 { return hash32(hash32(i)+key(1)) ^ hash32(hash32(i+1)+key(1)) },
		"steps":      func(i uint32) uint32 { return hash32(hash32(5)+key(i)) ^ hash32(hash32(5)+key(i+1)) },
		"two steps":  func(i uint32) uint32 { return hash32(hash32(i)+key(1)) ^ hash32(hash32(i)+key(2)) },
	} {
		var ones [32]int
		for i := range uint32(n) {
			x := draw(i)
			for b := range ones {
				ones[b] += int(x >> b & 1)
			}
		}
		for b, count := range ones {
			if math.Abs(float64(count)-n/2) > 5*math.Sqrt(n)/2 {
				t.Errorf("%s: bit %d is 1 in %d of %d draws", name, b, count, n)
			}
		}
	}
}
