package host

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

type qkCase struct {
	t, h, g, d, rot int
	normed          bool
}

// Grouped queries, partial rotation, an odd rest, one head, no rotation, no norm, more tokens than a block of partial sums.
var qkCases = []qkCase{
	{1, 1, 1, 2, 2, true}, {3, 4, 2, 16, 16, true}, {5, 2, 1, 21, 10, true}, {40, 2, 2, 8, 8, true},
	{4, 3, 1, 12, 12, false}, {4, 2, 1, 12, 0, true}, {2, 8, 2, 128, 128, true},
}

func (c qkCase) width() int { return (c.h + 2*c.g) * c.d }

type qkInput struct {
	qkv, wq, wk, cos, sin []float32
	positions             []int32
}

func (c qkCase) input() qkInput {
	const s = 7
	in := qkInput{qkv: normal(1, c.t*c.width())}
	if c.normed {
		in.wq, in.wk = normal(2, c.d), normal(3, c.d)
	}
	if c.rot > 0 {
		n := c.rot / 2
		frequencies := make([]float64, n)
		for i := range frequencies {
			frequencies[i] = math.Pow(10000, -float64(i)/float64(n))
		}
		in.cos, in.sin = poison(s*n), poison(s*n)
		RopeTable(s, c.rot, frequencies, 1.25, in.cos, in.sin)
		for i := range c.t {
			in.positions = append(in.positions, int32((3*i+2)%s))
		}
	}
	return in
}

// qkNormRope64 follows the definition: norm by norm, rotation by complex multiplication.
func qkNormRope64(c qkCase, eps float64, qkv, wq, wk []float64, in qkInput) []float64 {
	y := slices.Clone(qkv)
	for head := range c.t * (c.h + 2*c.g) {
		token, place := head/(c.h+2*c.g), head%(c.h+2*c.g)
		if place >= c.h+c.g {
			continue
		}
		x, w := y[head*c.d:(head+1)*c.d], wq
		if place >= c.h {
			w = wk
		}
		if w != nil {
			copy(x, rmsNorm64(c.d, eps, x, w))
		}
		n := c.rot / 2
		for i := range n {
			at := int(in.positions[token])*n + i
			z := complex(x[i], x[n+i]) * complex(float64(in.cos[at]), float64(in.sin[at]))
			x[i], x[n+i] = real(z), imag(z)
		}
	}
	return y
}

func nilOr(x []float32) []float64 {
	if x == nil {
		return nil
	}
	return double(x)
}

func TestQKNormRope(t *testing.T) {
	const eps = 0.125
	onEveryISA(t, func(t *testing.T) {
		for _, c := range qkCases {
			in := c.input()
			want := qkNormRope64(c, eps, double(in.qkv), nilOr(in.wq), nilOr(in.wk), in)
			onAnyCores(t, func(p *Pool) []float32 {
				y := poison(len(in.qkv))
				QKNormRope(p, c.t, c.h, c.g, c.d, c.rot, eps, in.qkv, in.wq, in.wk, in.cos, in.sin, in.positions, y)
				wantClose(t, fmt.Sprint(c), y, want, 2e-7)
				inPlace := slices.Clone(in.qkv)
				QKNormRope(p, c.t, c.h, c.g, c.d, c.rot, eps, inPlace, in.wq, in.wk, in.cos, in.sin, in.positions, inPlace)
				wantBits(t, fmt.Sprint(c, " in place"), inPlace, y)
				return y
			})
		}
	})
}

func TestQKNormRopeGrad(t *testing.T) {
	const eps = 0.125
	onEveryISA(t, func(t *testing.T) {
		for _, c := range qkCases[:len(qkCases)-1] { // without the large one: differences take its square
			in, dy := c.input(), normal(9, c.t*c.width())
			x, wq, wk := double(in.qkv), nilOr(in.wq), nilOr(in.wk)
			loss := func(x, wq, wk []float64) float64 {
				return inner(double(dy), qkNormRope64(c, eps, x, wq, wk, in))
			}
			wantX := slope(func(x []float64) float64 { return loss(x, wq, wk) }, x)
			wantQ := slope(func(w []float64) float64 { return loss(x, w, wk) }, wq)
			wantK := slope(func(w []float64) float64 { return loss(x, wq, w) }, wk)
			onAnyCores(t, func(p *Pool) []float32 {
				dqkv, dwq, dwk := poison(len(dy)), poison(len(in.wq)), poison(len(in.wk))
				ws := poison(QKNormRopeGradWorkspace(c.t, c.d))
				grad := func(accumulate bool, dy, dqkv []float32) {
					QKNormRopeGrad(p, c.t, c.h, c.g, c.d, c.rot, eps, dy, in.qkv, in.wq, in.wk, in.cos, in.sin, in.positions,
						accumulate, dqkv, dwq, dwk, ws)
				}
				grad(false, dy, dqkv)
				wantClose(t, fmt.Sprint(c, " dqkv"), dqkv, wantX, 4e-7)
				wantClose(t, fmt.Sprint(c, " dwq"), dwq, wantQ, 4e-7)
				wantClose(t, fmt.Sprint(c, " dwk"), dwk, wantK, 4e-7)
				result := slices.Concat(dqkv, dwq, dwk)

				inPlace, once := slices.Clone(dy), slices.Clone(dwq)
				grad(true, inPlace, inPlace)
				wantBits(t, fmt.Sprint(c, " in place"), inPlace, dqkv)
				for i := range once {
					once[i] *= 2
				}
				wantClose(t, fmt.Sprint(c, " accumulated"), dwq, double(once), 1e-7)
				return result
			})
		}
	})
}
