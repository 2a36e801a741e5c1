package kernels_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"moegen/check"
	"moegen/internal/ptxas"
	"moegen/ir"
	"moegen/kernels"
	"moegen/kernels/gpu"
	"moegen/kernels/ptx"
)

// deviceOps are the operations whose kernels of the h100 target run in the simulator, with all checkers, against Eval.
var deviceOps = slices.Concat(
	attentionOps,
	headOps,
	productOps,
	routerOps,
	streamOps,
	updateOps,
)

// deviceOp is one operation: operands to run it on, and how far its results may be from Eval's.
type deviceOp struct {
	op      string
	results []deviceTolerance // one a result
	// magnitude returns the scale of the second part of a tolerance, of every element of every result; nil: each
	// result's root mean square.
	magnitude func(n *ir.Node, in, want []*ir.Tensor) []*ir.Tensor
	cases     []deviceCase
}

// deviceTolerance bounds the distance of an element from Eval's by rel·|value| + acc·magnitude.
type deviceTolerance struct {
	rel, acc float64
	why      string // the arithmetic behind both
}

// bf16Rounding is the largest relative error of one rounding to bf16, and a little for float32 beside it.
const bf16Rounding = 1.01 * 0x1p-8

// exact is the tolerance of what is copied or counted.
var exact = deviceTolerance{why: "nothing is rounded"}

// deviceCase is one node.
type deviceCase struct {
	name  string
	attrs ir.Attrs
	in    []operand // as the operation's; the zero value: left out
}

// operand is the contents of one operand.
type operand struct {
	typ  ir.Type
	data []float64
}

// Rows past a count hold what no kernel may use: it shows in whatever it touches.
var unused = map[ir.DType]float64{ir.BF16: math.NaN(), ir.F32: math.NaN(), ir.I32: 1 << 30}

// fill returns an operand with these elements, rounded to its type; rows from count on are unused.
func fill(t ir.Type, count int, at func(i int) float64) operand {
	o := operand{t, make([]float64, t.Elements())}
	for i := range o.data {
		if i >= count*(len(o.data)/t.Dim(0)) {
			o.data[i] = unused[t.DType]
			continue
		}
		switch o.data[i] = at(i); t.DType {
		case ir.BF16:
			o.data[i] = ir.RoundBF16(o.data[i])
		case ir.F32:
			o.data[i] = float64(float32(o.data[i]))
		}
	}
	return o
}

// normals returns an operand of normal numbers; another seed gives others.
func normals(seed uint64, sigma float64, t ir.Type) operand {
	return normalRows(seed, sigma, t, t.Dim(0))
}

// normalRows is normals in the first count rows.
func normalRows(seed uint64, sigma float64, t ir.Type, count int) operand {
	rng := rand.New(rand.NewPCG(seed, 1))
	return fill(t, count, func(int) float64 { return sigma * rng.NormFloat64() })
}

// whole returns an int32 vector.
func whole(list ...int) operand {
	return fill(ir.Fixed(ir.I32, len(list)), len(list), func(i int) float64 { return float64(list[i]) })
}

// stepRecord returns a step record; accumulate says whether gradients add up.
func stepRecord(accumulate bool) operand {
	return fill(ir.Fixed(ir.F32, ir.RecordLen), ir.RecordLen, func(i int) float64 {
		if i == ir.RecordAccumulate && !accumulate {
			return 0
		}
		return [ir.RecordLen]float64{
			ir.RecordLR: 0x1p-10, ir.RecordBeta1: 0.875, ir.RecordBeta2: 0.96875, ir.RecordEps: 0x1p-20, ir.RecordDecay: 0.125,
			ir.RecordBias1: 0.5, ir.RecordBias2: 0.25, ir.RecordMaxNorm: 0.5, ir.RecordLossNorm: 0.125, ir.RecordAuxNorm: 0.5,
			ir.RecordAccumulate: 1, ir.RecordGain1: 0.125, ir.RecordGain2: 0.03125,
		}[i]
	})
}

// deviceRoute is what route makes of choices of experts.
type deviceRoute struct {
	name                  string
	tokens, rows          ir.Dim
	topK                  int
	known, count          int // tokens and rows that there are
	offsets, pairs, slots operand
}

// deviceRoutes returns routes of so many tokens to so many experts: spread, with experts that nobody chooses; all choices
// of one expert; tokens received from other ranks, of which there are fewer than planned and some have no expert here; and
// no rows at all.
func deviceRoutes(tokens, topK, experts int) []deviceRoute {
	fixed, bounded := ir.Dim{N: tokens}, ir.Dim{N: tokens, Bounded: true, Expected: tokens}
	some := tokens * 2 / 3
	return []deviceRoute{
		newDeviceRoute("spread", fixed, tokens, topK, experts, func(t, j int) int { return 1 + (t*7+j*(1+t%2))%max(experts-2, 1) }),
		newDeviceRoute("all to one", fixed, tokens, topK, experts, func(t, j int) int { return experts / 2 }),
		newDeviceRoute("received", bounded, some, topK, experts, func(t, j int) int { return (t*5+j*3)%(2*experts) - experts }),
		newDeviceRoute("nothing received", bounded, 0, topK, experts, nil),
	}
}

func newDeviceRoute(name string, tokens ir.Dim, known, topK, experts int, choose func(t, j int) int) deviceRoute {
	r := deviceRoute{name: name, tokens: tokens, topK: topK, known: known}
	expected := 0
	if tokens.Bounded {
		expected = tokens.N * min(topK, experts)
	}
	op, _ := ir.LookupOp("route")
	b := ir.NewBuilder("route")
	idx := b.Outside("idx", ir.Input, ir.Bounded(ir.I32, tokens, topK))
	b.Op(op, "route", ir.Attrs{{Key: "experts", Value: experts}, {Key: "expected", Value: expected}}, idx)
	n := b.Graph.Nodes[0]
	in := ir.NewTensor(idx.Type)
	for i := range in.Data {
		if t := i / topK; t < known {
			in.Data[i] = float64(max(choose(t, i%topK), -1))
		} else {
			in.Data[i] = -1
		}
	}
	out := results(n)
	op.Eval(n, []*ir.Tensor{in}, out)
	r.rows, r.count = n.Out[1].Type.Shape[0], out[0].Int(experts)
	list := []*operand{&r.offsets, &r.pairs, &r.slots}
	for i, o := range list {
		count := out[i].Type.Dim(0)
		if i == 1 {
			count = r.count
		}
		*o = fill(out[i].Type, count, func(j int) float64 { return out[i].Data[j] })
	}
	return r
}

// matrix is the type of a value with a row for every routed row.
func (r deviceRoute) matrix(cols int) ir.Type { return ir.Bounded(ir.BF16, r.rows, cols) }

// tokenMatrix is the type of a value with a row for every token.
func (r deviceRoute) tokenMatrix(d ir.DType, cols int) ir.Type { return ir.Bounded(d, r.tokens, cols) }

func results(n *ir.Node) []*ir.Tensor {
	var out []*ir.Tensor
	for _, v := range n.Out {
		out = append(out, ir.NewTensor(v.Type))
	}
	return out
}

// termSums is the magnitude of operations that are sums of products of their operands: the sums of the terms' magnitudes.
func termSums(n *ir.Node, in, want []*ir.Tensor) []*ir.Tensor {
	var abs []*ir.Tensor
	for _, x := range in {
		if x != nil && x.Type.DType != ir.I32 {
			y := ir.NewTensor(x.Type)
			for i, v := range x.Data {
				y.Data[i] = math.Abs(v)
			}
			x = y
		}
		abs = append(abs, x)
	}
	out := results(n)
	n.Op.Eval(n, abs, out)
	return out
}

// roundedSums is termSums for an operation that rounds to bf16 what it adds operand residual to, with a tolerance that is acc
// of the magnitude.
func roundedSums(residual int, acc float64) func(n *ir.Node, in, want []*ir.Tensor) []*ir.Tensor {
	return func(n *ir.Node, in, want []*ir.Tensor) []*ir.Tensor {
		out := termSums(n, in, want)
		if in[residual] != nil {
			for i, v := range want[0].Data {
				out[0].Data[i] += math.Abs(v-in[residual].Data[i]) * bf16Rounding / acc
			}
		}
		return out
	}
}

// rootMeanSquares is the magnitude of operations whose elements are of one scale.
func rootMeanSquares(n *ir.Node, in, want []*ir.Tensor) []*ir.Tensor {
	out := results(n)
	for i, t := range want {
		sum, count := 0.0, 0
		for _, v := range t.Data {
			if !math.IsNaN(v) {
				sum += v * v
				count++
			}
		}
		for j := range t.Data {
			out[i].Data[j] = math.Sqrt(sum / float64(max(count, 1)))
		}
	}
	return out
}

// node builds the case's node.
func (c deviceCase) node(name string) *ir.Node {
	op, ok := ir.LookupOp(name)
	if !ok {
		panic("no operation " + name)
	}
	b := ir.NewBuilder("device")
	var in []*ir.Value
	for i, o := range c.in {
		var v *ir.Value
		if o.data != nil {
			v = b.Outside(gpu.In(i), ir.Input, o.typ)
		}
		in = append(in, v)
	}
	b.Op(op, "out", c.attrs, in...)
	return b.Graph.Nodes[0]
}

// elems are the element types of buffers.
var elems = map[ir.DType]ptx.Type{ir.F32: ptx.F32, ir.F64: ptx.F64, ir.I32: ptx.S32, ir.BF16: ptx.BF16, ir.I16: ptx.S16}

// run returns the case of a kernel's launches on the node, with results in the places of operands as shared says.
func (o deviceOp) run(c deviceCase, n *ir.Node, k *kernels.Kernel, shared [][2]int) gpu.Case {
	in, want := c.tensors(), results(n)
	n.Op.Eval(n, in, want)
	measure := o.magnitude
	if measure == nil {
		measure = rootMeanSquares
	}
	return o.bind(c, n, k, shared, want, measure(n, in, want))
}

// tensors are the operands, nil where one is left out.
func (c deviceCase) tensors() []*ir.Tensor {
	var in []*ir.Tensor
	for _, o := range c.in {
		var t *ir.Tensor
		if o.data != nil {
			t = &ir.Tensor{Type: o.typ, Data: o.data}
		}
		in = append(in, t)
	}
	return in
}

// inside is what a result holds whose parts are operands, before the launch; nil where it holds nothing.
func (c deviceCase) inside(n *ir.Node) func(i int) float64 {
	if n.Op.Inside == nil {
		return nil
	}
	y := fill(n.Out[0].Type, 0, nil)
	for i, at := range n.Op.Inside(n) {
		copy(y.data[at:], c.in[i].data)
	}
	return func(i int) float64 { return y.data[i] }
}

// bind is run with results that are known.
func (o deviceOp) bind(c deviceCase, n *ir.Node, k *kernels.Kernel, shared [][2]int, want, magnitude []*ir.Tensor) gpu.Case {
	out := gpu.Case{Name: c.name}
	l := &ir.Launch{Kernel: k.Name, Op: n.Op, Attrs: n.Attrs}
	place := map[string]string{gpu.Work: gpu.Work} // the buffers that names of operands and results stand for
	for i, v := range n.In {
		if v == nil {
			l.In = append(l.In, nil)
			continue
		}
		data := c.in[i].data
		l.In = append(l.In, &ir.Buffer{Name: gpu.In(i), Type: v.Type})
		if n.Op.Inside != nil {
			continue // no array of its own
		}
		place[gpu.In(i)] = gpu.In(i)
		out.Buffers = append(out.Buffers, gpu.Buffer{Name: gpu.In(i), Elem: elems[v.Type.DType], Len: len(data),
			At: func(i int) float64 { return data[i] }})
		if !slices.ContainsFunc(shared, func(s [2]int) bool { return s[1] == i }) {
			out.Outputs = append(out.Outputs, gpu.Output{Buffer: gpu.In(i), Why: "operands stay as they are",
				Want: func(int) (float64, float64, bool) { return 0, 0, false }})
		}
	}
	for i, v := range n.Out {
		name := gpu.Out(i)
		place[name] = name
		if at := slices.IndexFunc(shared, func(s [2]int) bool { return s[0] == i }); at >= 0 {
			place[name] = gpu.In(shared[at][1])
			l.Out = append(l.Out, l.In[shared[at][1]])
		} else {
			l.Out = append(l.Out, &ir.Buffer{Name: name, Type: v.Type})
			out.Buffers = append(out.Buffers, gpu.Buffer{Name: name, Elem: elems[v.Type.DType], Len: v.Type.Elements(), At: c.inside(n)})
		}
		t := o.results[i]
		out.Outputs = append(out.Outputs, gpu.Output{Buffer: place[name], Rel: t.rel, Acc: t.acc, Why: t.why, Open: true,
			Want: func(j int) (float64, float64, bool) {
				return want[i].Data[j], magnitude[i].Data[j], !math.IsNaN(want[i].Data[j])
			}})
	}
	if k.Workspace != nil {
		if size := k.Workspace(n); size > 0 {
			l.Workspace = &ir.Buffer{Name: gpu.Work, Type: ir.Fixed(ir.F32, size)}
			out.Buffers = append(out.Buffers, gpu.Buffer{Name: gpu.Work, Elem: ptx.F32, Len: size})
		}
	}
	steps := k.Steps(l)
	for _, s := range steps {
		launch := s.Launch
		launch.Args = slices.Clone(launch.Args)
		for i, a := range launch.Args {
			if to, ok := place[a.Buffer]; ok {
				launch.Args[i].Buffer = to
			}
		}
		out.Launches = append(out.Launches, launch)
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
	return out
}

// Every kernel of the h100 target leaves what Eval does, as far as its arithmetic allows, whatever the schedule, and
// nothing else. Results and workspaces hold nothing before; rows that a route does not have hold what must not be used.
func TestDeviceKernels(t *testing.T) {
	tools, err := ptxas.Find()
	if err != nil && !errors.Is(err, ptxas.ErrNone) {
		t.Fatal(err)
	}
	for _, o := range deviceOps {
		t.Run(o.op, func(t *testing.T) {
			for _, c := range o.cases {
				n := c.node(o.op)
				list := covering(n)
				if len(list) == 0 {
					t.Errorf("no kernel covers %s", c.name)
				}
				for _, k := range list {
					for _, shared := range places(n, k) {
						t.Run(fmt.Sprintf("%s by %s %v", c.name, k.Name, shared), func(t *testing.T) {
							t.Parallel()
							r := check.Run(check.Item{Kernel: k.Name, Case: o.run(c, n, k, shared)}, "", check.Options{Seeds: 3, Assembler: tools})
							if !r.OK() {
								t.Errorf("%+v", *r.Failure)
							}
						})
					}
				}
			}
		})
	}
}
