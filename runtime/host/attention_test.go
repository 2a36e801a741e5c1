package host

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
)

// attentionCase is one problem with random operands.
type attentionCase struct {
	b, s, h, g, d int
	scale         float32
	starts        []int32
	qkv, do       []float32
}

func newAttentionCase(rng *rand.Rand, b, s, h, g, d int) *attentionCase {
	return &attentionCase{
		b: b, s: s, h: h, g: g, d: d, scale: float32(1 / math.Sqrt(float64(d))), starts: make([]int32, b*s),
		qkv: normals(rng, b*s*(h+2*g)*d), do: normals(rng, b*s*h*d),
	}
}

// documents cuts every row into documents of random lengths around the given one.
func (c *attentionCase) documents(rng *rand.Rand, length int) {
	for row := range c.b {
		first := 0
		for t := range c.s {
			if t > 0 && rng.IntN(length) == 0 {
				first = t
			}
			c.starts[row*c.s+t] = int32(first)
		}
	}
}

// run is forward and backward on poisoned outputs and workspaces: o, lse, dqkv.
func (c *attentionCase) run(p *Pool) (o, lse, dqkv []float32) {
	o, lse, dqkv = poison(len(c.do)), poison(c.b*c.s*c.h), poison(len(c.qkv))
	Attention(p, c.b, c.s, c.h, c.g, c.d, c.scale, c.qkv, c.starts, o, lse, poison(AttentionWorkspace(c.b, c.s, c.h, c.g, c.d)))
	AttentionGrad(p, c.b, c.s, c.h, c.g, c.d, c.scale, c.qkv, o, lse, c.do, c.starts, dqkv,
		poison(AttentionGradWorkspace(c.b, c.s, c.h, c.g, c.d)))
	return o, lse, dqkv
}

// want is the same in float64, by the definition: the scores of one query, their softmax, and the gradient of both.
func (c *attentionCase) want() (o, lse, dqkv []float64) {
	o, lse, dqkv = make([]float64, len(c.do)), make([]float64, c.b*c.s*c.h), make([]float64, len(c.qkv))
	width, group := (c.h+2*c.g)*c.d, c.h/c.g
	for row := range c.b {
		for head := range c.h {
			at := func(t, part int) int { // of a query, a key, a value
				column := []int{head, c.h + head/group, c.h + c.g + head/group}[part]
				return (row*c.s+t)*width + column*c.d
			}
			for t := range c.s {
				c.wantQuery(row, head, t, at, o, lse, dqkv)
			}
		}
	}
	return o, lse, dqkv
}

func (c *attentionCase) wantQuery(row, head, t int, at func(t, part int) int, o, lse, dqkv []float64) {
	first := int(c.starts[row*c.s+t])
	out := ((row*c.s+t)*c.h + head) * c.d
	q := c.qkv[at(t, 0):][:c.d]
	p := make([]float64, t+1)
	largest := math.Inf(-1)
	for j := first; j <= t; j++ {
		for i, k := range c.qkv[at(j, 1):][:c.d] {
			p[j] += float64(q[i]) * float64(k)
		}
		p[j] *= float64(c.scale)
		largest = max(largest, p[j])
	}
	var sum float64
	for j := first; j <= t; j++ {
		p[j] = math.Exp(p[j] - largest)
		sum += p[j]
	}
	lse[(row*c.s+t)*c.h+head] = largest + math.Log(sum)
	var mean float64 // do·o
	for j := first; j <= t; j++ {
		p[j] /= sum
		for i, v := range c.qkv[at(j, 2):][:c.d] {
			o[out+i] += p[j] * float64(v)
			mean += p[j] * float64(v) * float64(c.do[out+i])
		}
	}
	for j := first; j <= t; j++ {
		var dp float64
		for i, v := range c.qkv[at(j, 2):][:c.d] {
			dp += float64(v) * float64(c.do[out+i])
			dqkv[at(j, 2)+i] += p[j] * float64(c.do[out+i])
		}
		ds := float64(c.scale) * p[j] * (dp - mean)
		for i := range c.d {
			dqkv[at(t, 0)+i] += ds * float64(c.qkv[at(j, 1)+i])
			dqkv[at(j, 1)+i] += ds * float64(q[i])
		}
	}
}

// check compares all results with the reference. Scores of size up to `score` are good to a few roundings of that size, 2^-24
// each, and an error of a score is a relative error of its probability; all other roundings are relative ones of 2^-24, a few
// in sequence and many averaged. So eight of them, times the size of the scores.
func (c *attentionCase) check(t *testing.T, p *Pool, score float64) {
	t.Helper()
	tolerance := 8 * score / (1 << 24)
	o, lse, dqkv := c.run(p)
	wantO, wantLSE, wantDQKV := c.want()
	wantClose(t, "o", o, wantO, tolerance)
	wantClose(t, "lse", lse, wantLSE, tolerance)
	width := (c.h + 2*c.g) * c.d
	for i, part := range []string{"dq", "dk", "dv"} {
		lo := []int{0, c.h * c.d, (c.h + c.g) * c.d}[i]
		hi := []int{c.h * c.d, (c.h + c.g) * c.d, width}[i]
		var got []float32
		var want []float64
		for row := 0; row < len(dqkv); row += width {
			got = append(got, dqkv[row+lo:row+hi]...)
			want = append(want, wantDQKV[row+lo:row+hi]...)
		}
		wantClose(t, part, got, want, tolerance)
	}
}

// attentionShapes are b, s, h, g, d: groups of 1, 2, 4 and 8, lengths around lanes and blocks, head dims from 1 past what a
// worker's scratch holds at full blocks.
var attentionShapes = [][5]int{
	{1, 1, 1, 1, 1}, {2, 1, 4, 2, 16}, {1, 2, 2, 1, 5}, {3, 15, 2, 2, 8}, {2, 17, 4, 2, 32}, {1, 64, 2, 1, 16}, {1, 65, 8, 1, 16},
	{1, 128, 2, 2, 24}, {2, 130, 4, 1, 33}, {1, 129, 1, 1, 128}, {1, 257, 4, 1, 64}, {1, 400, 2, 1, 7}, {1, 140, 1, 1, 600}, {1, 33, 2, 1, 1500},
}

func TestAttention(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		p := onePool(t)
		for i, s := range attentionShapes {
			t.Run(fmt.Sprint(s), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(uint64(i), 7))
				c := newAttentionCase(rng, s[0], s[1], s[2], s[3], s[4])
				if s[1] == 1 {
					// One key: the probability is one and nothing flows back through it, up to the roundings of do·v.
					o, _, dqkv := c.run(p)
					wantO, _, wantDQKV := c.want()
					wantClose(t, "o", o, wantO, 1e-6)
					wantClose(t, "dqkv", dqkv, wantDQKV, 1e-6)
					return
				}
				c.check(t, p, 4)
			})
		}
	})
}

func TestAttentionDocuments(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		p := onePool(t)
		for i, length := range []int{2, 40, 150} {
			t.Run(fmt.Sprint(length), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(uint64(i), 8))
				c := newAttentionCase(rng, 2, 270, 2, 1, 16)
				c.documents(rng, length)
				c.check(t, p, 4)
			})
		}
		t.Run("any", func(t *testing.T) {
			rng := rand.New(rand.NewPCG(3, 9))
			c := newAttentionCase(rng, 1, 200, 2, 1, 16)
			for i := range c.starts {
				c.starts[i] = int32(rng.IntN(i%c.s + 1))
			}
			c.check(t, p, 4)
		})
	})
}

// TestAttentionExtremeScores has scores of several hundred, where a softmax without its maximum overflows, a maximum that
// grows from block to block, and scores all alike.
func TestAttentionExtremeScores(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		p := onePool(t)
		rng := rand.New(rand.NewPCG(5, 5))
		large := newAttentionCase(rng, 1, 200, 2, 1, 32)
		large.scale *= 100
		large.check(t, p, 500)

		rising := newAttentionCase(rng, 1, 300, 1, 1, 16)
		for i := range 300 {
			row := rising.qkv[i*48:]
			for j := range 16 {
				row[j], row[16+j] = 1, float32(i)/4*float32(rng.IntN(3)-1)
			}
		}
		rising.check(t, p, 300)

		flat := newAttentionCase(rng, 1, 150, 1, 1, 16)
		for i := range 150 {
			clear(flat.qkv[i*48:][:16])
		}
		flat.check(t, p, 4)
	})
}

// TestAttentionBits asks for the same bits on any number of cores.
func TestAttentionBits(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(6, 6))
		c := newAttentionCase(rng, 1, 400, 4, 2, 16)
		c.documents(rng, 200)
		onAnyCores(t, func(p *Pool) []float32 {
			o, lse, dqkv := c.run(p)
			return append(append(o, lse...), dqkv...)
		})
	})
}

// TestAttentionIgnoresUnseen changes what a query must not see: later tokens, other documents, other rows.
func TestAttentionIgnoresUnseen(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		p := onePool(t)
		rng := rand.New(rand.NewPCG(7, 7))
		c := newAttentionCase(rng, 2, 200, 2, 1, 16)
		for i := range 2 * 200 {
			if i%200 >= 90 {
				c.starts[i] = 90
			}
		}
		width := 4 * 16
		before, _, _ := c.run(p)
		for i := range c.qkv {
			if token := i / width; token < 90 || token > 150 {
				c.qkv[i] = 100 * float32(rng.NormFloat64())
			}
		}
		after, _, _ := c.run(p)
		wantBits(t, "tokens 90 to 150", after[90*32:151*32], before[90*32:151*32])
	})
}

// TestAttentionGradFails has one pair of blocks panic, which others wait for: the panic comes out, and nobody waits for ever.
func TestAttentionGradFails(t *testing.T) {
	p := NewPool(4)
	defer p.Close()
	c := newAttentionCase(rand.New(rand.NewPCG(1, 1)), 1, 1024, 1, 1, 16)
	a := newAttention("AttentionGrad", c.b, c.s, c.h, c.g, c.d, c.scale, c.starts)
	ops := *a.ops
	var calls atomic.Int32
	ops.rowExpGrad = func(rows, n int, s, ds []float32, stride int, shift, delta []float32) {
		if calls.Add(1) == 100 {
			panic("the hundredth")
		}
	}
	a.ops = &ops
	defer func() {
		if fault, ok := recover().(*TaskPanic); !ok || fault.Value != "the hundredth" {
			t.Errorf("panicked with %v", fault)
		}
	}()
	a.backward(p, c.qkv, c.do, poison(c.s), c.do, poison(len(c.qkv)), poison(AttentionGradWorkspace(c.b, c.s, c.h, c.g, c.d)))
}

func TestAttentionRefuses(t *testing.T) {
	p := onePool(t)
	for name, spoil := range map[string]func(c *attentionCase){
		"a start after its token": func(c *attentionCase) { c.starts[3] = 4 },
		"a negative start":        func(c *attentionCase) { c.starts[3] = -1 },
		"too few starts":          func(c *attentionCase) { c.starts = c.starts[1:] },
		"heads out of groups":     func(c *attentionCase) { c.g = 3 },
		"a scale of zero":         func(c *attentionCase) { c.scale = 0 },
		"a short qkv":             func(c *attentionCase) { c.qkv = c.qkv[1:] },
	} {
		c := newAttentionCase(rand.New(rand.NewPCG(1, 1)), 1, 10, 4, 2, 8)
		spoil(c)
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.HasPrefix(text, "BUG: host.Attention") {
					t.Errorf("%s: %s", name, text)
				}
			}()
			c.run(p)
		}()
	}
}

func BenchmarkAttention(b *testing.B) {
	for _, s := range [][5]int{{1, 2048, 8, 2, 64}, {4, 512, 8, 2, 64}, {4, 512, 4, 2, 32}, {1, 2048, 4, 2, 32}, {1, 2048, 8, 2, 128}} {
		c := newAttentionCase(rand.New(rand.NewPCG(1, 1)), s[0], s[1], s[2], s[3], s[4])
		o, lse, dqkv := poison(len(c.do)), poison(c.b*c.s*c.h), poison(len(c.qkv))
		ws := poison(AttentionGradWorkspace(c.b, c.s, c.h, c.g, c.d))
		forward := func(p *Pool) {
			Attention(p, c.b, c.s, c.h, c.g, c.d, c.scale, c.qkv, c.starts, o, lse, ws[:AttentionWorkspace(c.b, c.s, c.h, c.g, c.d)])
		}
		backward := func(p *Pool) {
			AttentionGrad(p, c.b, c.s, c.h, c.g, c.d, c.scale, c.qkv, o, lse, c.do, c.starts, dqkv, ws)
		}
		p := NewPool(2)
		forward(p)
		// Per product: two operations, a key and a query, half of the pairs, every dim. Forward has two products, backward five.
		product := float64(c.b*c.s*(c.s+1)*c.h*c.d) / 1e9
		for _, pass := range []struct {
			name     string
			run      func(*Pool)
			products float64
		}{{"forward", forward, 2}, {"backward", backward, 5}} {
			b.Run(fmt.Sprintf("%v/%s", s, pass.name), func(b *testing.B) {
				for b.Loop() {
					pass.run(p)
				}
				b.ReportMetric(pass.products*product*float64(b.N)/b.Elapsed().Seconds(), "GFLOP/s")
			})
		}
		p.Close()
	}
}
