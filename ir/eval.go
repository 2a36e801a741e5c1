package ir

import (
	"fmt"
	"math"
)

// Tensor is a value under evaluation: every element a float64, integers included, row-major at the planned
// extents (bounded dims at their bound; rows past the count are NaN).
type Tensor struct {
	Type Type
	Data []float64
}

// NewTensor returns a zero tensor.
func NewTensor(t Type) *Tensor { return &Tensor{Type: t, Data: make([]float64, t.Elements())} }

// Int returns element i as an integer.
func (t *Tensor) Int(i int) int { return int(t.Data[i]) }

// Row returns row i of a tensor seen as a matrix with the last dim as width.
func (t *Tensor) Row(i int) []float64 {
	w := t.Type.Dim(-1)
	return t.Data[i*w : (i+1)*w]
}

// Env holds the values of one rank by name: what stands outside the graph before a run, and after it also
// what the graph wrote back and every value that it computed.
type Env map[string]*Tensor

// Precision is the arithmetic of an evaluation.
type Precision uint8

const (
	Float64 Precision = iota // everything in float64: the reference
	Stored                   // every result of an operation rounded to its element type
)

// Eval runs a graph on all its ranks, one Env a rank, slowly and obviously. It returns an error when an
// operand from outside is missing or has another type; results stand in the Envs.
func Eval(g *Graph, envs []Env, p Precision) error {
	if len(envs) != g.Ranks {
		return fmt.Errorf("%s runs on %d ranks, %d environments given", g.Name, g.Ranks, len(envs))
	}
	for r, env := range envs {
		for _, v := range g.Outside {
			if t, ok := env[v.Name]; ok && !t.Type.Equal(v.Type) {
				return fmt.Errorf("%s: %s on rank %d has type %s, want %s", g.Name, v.Name, r, t.Type, v.Type)
			}
		}
	}
	for _, n := range g.Nodes {
		in, out := make([][]*Tensor, len(envs)), make([][]*Tensor, len(envs))
		for r, env := range envs {
			for _, v := range n.In {
				var t *Tensor
				if v != nil {
					if t = env[v.Name]; t == nil {
						return fmt.Errorf("%s: %s needs %s, which rank %d lacks", g.Name, n.Op.Name, v.Name, r)
					}
				}
				in[r] = append(in[r], t)
			}
			for _, v := range n.Out {
				out[r] = append(out[r], NewTensor(v.Type))
			}
		}
		if n.Op.Collective() {
			n.Op.EvalRanks(n, in, out)
		} else {
			for r := range envs {
				n.Op.Eval(n, in[r], out[r])
			}
		}
		for r, env := range envs {
			for i, v := range n.Out {
				if p == Stored {
					round(out[r][i])
				}
				env[v.Name] = out[r][i]
			}
		}
	}
	for _, env := range envs {
		after := make([]*Tensor, len(g.Results))
		for i, w := range g.Results {
			after[i] = env[w.From.Name]
		}
		for i, w := range g.Results {
			env[w.To.Name] = after[i]
		}
	}
	return nil
}

// round rounds every element to the element type, to nearest, ties to even.
func round(t *Tensor) {
	for i, v := range t.Data {
		switch t.Type.DType {
		case F32:
			t.Data[i] = float64(float32(v))
		case BF16:
			t.Data[i] = RoundBF16(v)
		}
	}
}

// RoundBF16 rounds to the nearest bf16, ties to even: 8 significant bits, the exponents of a float32.
func RoundBF16(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return v
	}
	_, exponent := math.Frexp(v) // v = f·2^exponent, 1/2 <= |f| < 1
	unit := math.Ldexp(1, max(exponent-8, -133))
	if r := math.RoundToEven(v/unit) * unit; math.Abs(r) < 0x1p128 {
		return r
	}
	return math.Inf(int(math.Copysign(1, v)))
}

// poison marks rows from count on as unspecified.
func poison(t *Tensor, count int) {
	w := len(t.Data) / max(t.Type.Dim(0), 1)
	for i := count * w; i < len(t.Data); i++ {
		t.Data[i] = math.NaN()
	}
}
