package ir

import "math"

// ropeTable computes the rotations of all positions of a row:
//
//	cos_SC[p,i] = scale · cos(p · inv_freq[i])     sin likewise
var ropeTable = &Op{
	Name:    "rope_table",
	Results: []string{"cos", "sin"},
	Attrs:   Attrs{{"seq", 0}, {"inv_freq", []float64(nil)}, {"scale", 0.0}, {"dtype", ""}},
	Infer: func(n *Node) ([]Type, error) {
		d, err := ParseDType(n.Attrs.Str("dtype"))
		t := Fixed(d, n.Attrs.Int("seq"), len(n.Attrs.Floats("inv_freq")))
		return []Type{t, t}, err
	},
	Eval: func(n *Node, in, out []*Tensor) {
		scale := n.Attrs.Float("scale")
		for p := range out[0].Type.Dim(0) {
			for i, f := range n.Attrs.Floats("inv_freq") {
				out[0].Row(p)[i] = scale * math.Cos(float64(p)*f)
				out[1].Row(p)[i] = scale * math.Sin(float64(p)*f)
			}
		}
	},
	Cost: streamed,
}

// RopeTable appends the rotations of all positions: two values [seq, len(invFreq)].
func (b *Builder) RopeTable(seq int, invFreq []float64, scale float64, d DType) (cos, sin *Value) {
	out := b.Op(ropeTable, "rope", Attrs{{"seq", seq}, {"inv_freq", invFreq}, {"scale", scale}, {"dtype", d.String()}})
	return out[0], out[1]
}
