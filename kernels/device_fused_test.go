package kernels_test

import (
	"fmt"
	"slices"
	"testing"

	"moegen/check"
	"moegen/ir"
	"moegen/kernels/gpu"
	"moegen/kernels/ptx"
)

// chain is a graph over operands of a device test, run kernel by kernel.
type chain struct {
	*ir.Builder
	data map[string]operand
}

func newChain() *chain { return &chain{ir.NewBuilder("chain"), map[string]operand{}} }

func (c *chain) input(name string, o operand) *ir.Value {
	c.data[name] = o
	return c.Outside(name, ir.Input, o.typ)
}

func (c *chain) op(name, result string, attrs ir.Attrs, in ...*ir.Value) []*ir.Value {
	op, _ := ir.LookupOp(name)
	return c.Op(op, result, attrs, in...)
}

// bits is a hash of these values as the preferred kernels leave them.
func (c *chain) bits(t *testing.T, values ...*ir.Value) string {
	t.Helper()
	var out gpu.Case
	buffer := func(name string, typ ir.Type, at func(int) float64) {
		out.Buffers = append(out.Buffers, gpu.Buffer{Name: name, Elem: elems[typ.DType], Len: typ.Elements(), At: at})
	}
	for _, v := range c.Graph.Outside {
		data := c.data[v.Name].data
		buffer(v.Name, v.Type, func(i int) float64 { return data[i] })
	}
	var steps []gpu.Step
	for number, n := range c.Graph.Nodes {
		k := covering(n)[0]
		l, place := &ir.Launch{Kernel: k.Name, Op: n.Op, Attrs: n.Attrs}, map[string]string{}
		for i, v := range n.In {
			var b *ir.Buffer
			if v != nil {
				b, place[gpu.In(i)] = &ir.Buffer{Name: v.Name, Type: v.Type}, v.Name
			}
			l.In = append(l.In, b)
		}
		for i, v := range n.Out {
			place[gpu.Out(i)] = v.Name
			l.Out = append(l.Out, &ir.Buffer{Name: v.Name, Type: v.Type})
			buffer(v.Name, v.Type, nil)
		}
		if k.Workspace != nil && k.Workspace(n) > 0 {
			name := fmt.Sprint(gpu.Work, number)
			place[gpu.Work] = name
			l.Workspace = &ir.Buffer{Name: name, Type: ir.Fixed(ir.F32, k.Workspace(n))}
			buffer(name, l.Workspace.Type, nil)
		}
		for _, s := range k.Steps(l) {
			s.Args = slices.Clone(s.Args)
			for i, a := range s.Args {
				if to, ok := place[a.Buffer]; ok {
					s.Args[i].Buffer = to
				}
			}
			steps = append(steps, s)
			out.Launches = append(out.Launches, s.Launch)
		}
	}
	out.Emit = func(m *ptx.Module) {
		done := map[string]bool{}
		for _, s := range steps {
			if !done[s.Entry] {
				done[s.Entry] = true
				s.Emit(m)
			}
		}
	}
	for _, v := range values {
		out.Outputs = append(out.Outputs, gpu.Output{Buffer: v.Name, Open: true, Why: "the bits are compared",
			Want: func(int) (float64, float64, bool) { return 0, 0, false }})
	}
	r := check.Run(check.Item{Kernel: "chain", Case: out}, "", check.Options{Seeds: 2})
	if !r.OK() {
		t.Fatalf("%+v", *r.Failure)
	}
	return r.Sum
}

// Products of experts that go through SwiGLU at once leave the bits of the operations that they stand for: every rounding is where
// those have one.
func TestFusedExpertsKeepTheBits(t *testing.T) {
	for _, route := range deviceRoutes(70, 2, 5)[:2] { // of which all rows are there
		const width, half = 72, 136
		attrs := topK(route.topK)
		inputs := func(c *chain) (x, up, down, dy, w, offsets, pairs, slots *ir.Value) {
			tokens := route.tokenMatrix(ir.BF16, width)
			return c.input("x", normals(1, 1, tokens)), c.input("up", normals(2, 0.125, ir.Fixed(ir.BF16, route.experts(), 2*half, width))),
				c.input("down", normals(3, 0.125, ir.Fixed(ir.BF16, route.experts(), width, half))), c.input("dy", normals(4, 1, tokens)),
				c.input("w", normals(5, 0.5, route.tokenMatrix(ir.F32, route.topK))),
				c.input("offsets", route.offsets), c.input("pairs", route.pairs), c.input("slots", route.slots)
		}
		apart, kept, alone := newChain(), newChain(), newChain()
		x, up, down, dy, w, offsets, pairs, _ := inputs(apart)
		gu := apart.op("grouped_linear", "gu", attrs, x, up, offsets, pairs)[0]
		a := apart.op("swiglu", "a", nil, gu, offsets)[0]
		da := apart.op("grouped_linear_dgrad", "da", attrs, dy, down, offsets, pairs)[0]
		grads := apart.op("swiglu_unpermute_grad", "grads", attrs, gu, da, w, offsets, pairs)

		x, up, down, dy, w, offsets, pairs, slots := inputs(kept)
		both := kept.op("grouped_linear_swiglu_keep", "both", attrs, x, up, offsets, pairs)
		fused := kept.op("grouped_linear_dgrad_swiglu", "grads", attrs, dy, down, both[0], w, offsets, pairs, slots)
		if apart.bits(t, gu, a, grads[0], grads[1]) != kept.bits(t, both[0], both[1], fused[0], fused[1]) {
			t.Errorf("%s: other bits than those of four operations", route.name)
		}

		x, up, _, _, _, offsets, pairs, _ = inputs(alone)
		if apart.bits(t, a) != alone.bits(t, alone.op("grouped_linear_swiglu", "a", attrs, x, up, offsets, pairs)[0]) {
			t.Errorf("%s: other bits than those of a product and SwiGLU", route.name)
		}
	}
}
