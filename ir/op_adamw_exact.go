package ir

import (
	"fmt"
	"math"
)

// adamwMaster is adamw whose weight has an exact value in float32 beside it, of which the weight is the nearest bf16; moments
// are float32. In the first step the exact value is the weight's, which is as the checkpoint has it. What it leaves is defined
// to the bit: float32 arithmetic, every operation rounded once, in the order of step32.
var adamwMaster = &Op{
	Name:     "adamw_master",
	Operands: []string{"value", "grad", "master", "m", "v", "scale", "record"},
	Results:  []string{"value", "master", "m", "v"},
	Attrs:    Attrs{{"parts", 0}, {"stride", 0}},
	Infer: func(n *Node) ([]Type, error) {
		if err := n.checkReplicas(0); err != nil {
			return nil, err
		}
		t := Type{BF16, n.In[0].Type.Shape}
		exact := n.replicas().shareOf(F32, t)
		return []Type{t, exact, exact, exact}, n.wantAll(t, n.replicas().shareOf(BF16, t), exact, exact, exact, Fixed(F32, 1), recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		s := newStep32(in[5], in[6])
		eachOwn(n, in[6], in[0], out, func(i, e int) {
			x := in[2].Data[i]
			if in[6].Data[RecordStep] == 1 {
				x = in[0].Data[e]
			}
			w, m, v := s.update(float32(x), float32(in[1].Data[i]), float32(in[3].Data[i]), float32(in[4].Data[i]))
			out[0].Data[e] = RoundBF16(float64(w))
			out[1].Data[i], out[2].Data[i], out[3].Data[i] = float64(w), float64(m), float64(v)
		})
	},
	Cost:    updateCost,
	InPlace: [][2]int{{0, 0}, {1, 2}, {2, 3}, {3, 4}},
}

// adamwSplit is adamw with an exact weight in float32 split in two: value is the nearest bf16 to it, ties away from zero, and
// low its distance from that in units of 2^-16 of bf16's last place, so that the bits of both together, value·2^16 + low,
// are the weight's. The moments are bf16, rounded stochastically: up with the probability that keeps the mean. What it
// leaves is defined to the bit, as adamw_master's is. Random bits are a hash of the record's seed, step and rank, of stream, a
// number of the array's own, and of an element's place in the rank's part, modulo 2^32:
//
//	bits = hash(hash(place) + hash(hash(hash(stream + rank) + seed) + step)), the lower half for m, the upper for v
var adamwSplit = &Op{
	Name:     "adamw_split",
	Operands: []string{"value", "grad", "low", "m", "v", "scale", "record"},
	Results:  []string{"value", "low", "m", "v"},
	Attrs:    Attrs{{"stream", 0}, {"parts", 0}, {"stride", 0}},
	Infer: func(n *Node) ([]Type, error) {
		if err := n.checkReplicas(0); err != nil {
			return nil, err
		}
		t := Type{BF16, n.In[0].Type.Shape}
		low, moment := n.replicas().shareOf(I16, t), n.replicas().shareOf(BF16, t)
		if s := n.Attrs.Int("stream"); s < 0 || s > math.MaxUint32 {
			return nil, fmt.Errorf("stream is %d, which is no 32-bit number", s)
		}
		return []Type{t, low, moment, moment}, n.wantAll(t, moment, low, moment, moment, Fixed(F32, 1), recordType)
	},
	Eval: func(n *Node, in, out []*Tensor) {
		s, field := newStep32(in[5], in[6]), func(i int) uint32 { return uint32(in[6].Data[i]) }
		key := hash32(hash32(hash32(uint32(n.Attrs.Int("stream"))+field(RecordRank))+field(RecordSeed)) + field(RecordStep))
		eachOwn(n, in[6], in[0], out, func(i, e int) {
			bits := math.Float32bits(float32(in[0].Data[e])) + uint32(int32(in[2].Data[i]))
			w, m, v := s.update(math.Float32frombits(bits), float32(in[1].Data[i]), float32(in[3].Data[i]), float32(in[4].Data[i]))
			out[0].Data[e], out[1].Data[i] = split(w)
			random := hash32(hash32(uint32(i)) + key)
			out[2].Data[i], out[3].Data[i] = roundAt(m, random&0xFFFF), roundAt(v, random>>16)
		})
	},
	Cost:    updateCost,
	InPlace: [][2]int{{0, 0}, {1, 2}, {2, 3}, {3, 4}},
}

// split returns the bf16 nearest to a float32, ties away from zero, and how many units in the last place of the float32 lie
// between: 16 bits with a sign.
func split(w float32) (value, low float64) {
	if w != w {
		return math.NaN(), 0
	}
	bits := math.Float32bits(w)
	return float64(math.Float32frombits((bits + 0x8000) &^ 0xFFFF)), float64(int16(bits))
}

// roundAt rounds to bf16: away from zero where what is cut off, in units of 2^-16 of the last place, and threshold make a
// whole one. With a random threshold below 2^16 the mean is x.
func roundAt(x float32, threshold uint32) float64 {
	if x != x {
		return math.NaN()
	}
	return float64(math.Float32frombits((math.Float32bits(x) + threshold) &^ 0xFFFF))
}

// hash32 is a bijection whose result depends evenly on every bit (Wellons, "Prospecting for Hash Functions", 2018: lowbias32).
func hash32(x uint32) uint32 {
	x = (x ^ x>>16) * 0x7FEB352D
	x = (x ^ x>>15) * 0x846CA68B
	return x ^ x>>16
}

// step32 is a step of adamw in float32: what is the same for all elements.
type step32 struct {
	scale, beta1, beta2, gain1, gain2 float32
	keep, rate, invBias2, eps         float32
}

func newStep32(scale, record *Tensor) step32 {
	r := func(i int) float32 { return float32(record.Data[i]) }
	return step32{
		scale: float32(scale.Data[0]), beta1: r(RecordBeta1), beta2: r(RecordBeta2), gain1: r(RecordGain1), gain2: r(RecordGain2),
		keep: 1 - float32(r(RecordLR)*r(RecordDecay)), rate: r(RecordLR) / r(RecordBias1),
		invBias2: 1 / sqrt32(r(RecordBias2)), eps: r(RecordEps),
	}
}

// update is the step of one element. The conversions keep the compiler from joining a product and a sum into one rounding.
func (s *step32) update(w, grad, m, v float32) (w1, m1, v1 float32) {
	g := float32(grad * s.scale)
	m1 = float32(s.beta1*m) + float32(s.gain1*g)
	v1 = float32(s.beta2*v) + float32(float32(s.gain2*g)*g)
	update := m1 / (float32(sqrt32(v1)*s.invBias2) + s.eps)
	return float32(w*s.keep) - float32(s.rate*update), m1, v1
}

// sqrt32 is exact: a square root that is rounded to float64 and then to float32 is as if it were rounded once.
func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }
