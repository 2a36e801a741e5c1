package kernels_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"moegen/check"
	"moegen/internal/ptxas"
	"moegen/ir"
	"moegen/kernels"
	"moegen/kernels/gpu"
	"moegen/kernels/ptx"
)

// rankOps are the operations that cross between ranks. Every rank is a GPU of its own; a rank that runs alone (rehearsed) is one.
var rankOps = []rankOp{
	{op: "dispatch_plan", results: []deviceTolerance{exact, exact, exact, exact}, cases: eachWay(func(r rankRoute) []rankCase {
		return []rankCase{{attrs: ir.Attrs{{Key: "experts", Value: r.experts}, {Key: "ranks", Value: r.group}},
			in: r.each(func(rank int) []operand { return []operand{r.idx[rank]} })}}
	})},
	{op: "dispatch", results: []deviceTolerance{exact}, cases: eachWay(func(r rankRoute) []rankCase {
		var out []rankCase
		for _, t := range r.rows() {
			out = append(out, rankCase{name: t.String(), in: r.each(func(rank int) []operand {
				return []operand{normals(uint64(rank), 1, t), r.source[rank], r.received[rank], r.position[rank]}
			})})
		}
		return out
	})},
	{op: "dispatch_keep", results: []deviceTolerance{exact, exact, exact, exact}, cases: eachWay(func(r rankRoute) []rankCase {
		return r.pools(func(rank, taken int) []operand {
			return []operand{whole(taken, 1)}
		})
	})},
	{op: "dispatch_restore", results: []deviceTolerance{exact}, cases: eachWay(func(r rankRoute) []rankCase {
		return r.pools(func(rank, taken int) []operand {
			if taken+int(r.received[rank].data[0]) > r.poolRows() {
				taken = -1
			}
			return []operand{whole(taken)}
		})
	})},
	{op: "combine", results: []deviceTolerance{{bf16Rounding, combineError, "one rounding, two with a residual; a chain of at most three float32 sums"}},
		magnitude: combineTerms, cases: eachWay(func(r rankRoute) []rankCase {
			var out []rankCase
			for i, t := range r.rows() {
				s := ir.Bounded(t.DType, r.source[0].typ.Shape[0], t.Dim(1))
				out = append(out, rankCase{name: t.String(), in: r.each(func(rank int) []operand {
					x, residual := normalRows(uint64(rank), 1, s, int(r.received[rank].data[0])), operand{}
					if i%2 == 0 {
						residual = normals(uint64(100+rank), 1, t)
					}
					return []operand{x, r.position[rank], r.source[rank], r.received[rank], residual}
				})})
			}
			return out
		})},
	{op: "all_reduce", results: []deviceTolerance{{bf16Rounding, 4 * 0x1p-24, "one rounding; a chain of at most three float32 sums"}},
		magnitude: sumTerms, cases: slices.Concat(
			sums(2, ir.Fixed(ir.BF16, 37, 72)), sums(3, ir.Fixed(ir.BF16, 40, 24)), sums(3, ir.Fixed(ir.BF16, 7)), sums(3, ir.Fixed(ir.F32, 10)),
			sums(2, ir.Fixed(ir.F32, 1)), sums(3, ir.Fixed(ir.F64, 1)), sums(8, ir.Fixed(ir.F64, 6)),
		)},
	{op: "reduce_scatter", results: []deviceTolerance{{bf16Rounding, 16 * 0x1p-24, "one rounding; a chain of at most twelve float32 sums"}},
		magnitude: sumTerms, cases: scattered()},
	{op: "all_gather", results: []deviceTolerance{exact}, cases: replicated()},
}

// replicated are cases of arrays that replicas hold: over all ranks, and over some of them; with a short last part and an empty one.
func replicated() (out []rankCase) {
	for _, c := range []struct {
		ranks int
		of    ir.Replicas
		typ   ir.Type
	}{
		{2, ir.Replicas{Parts: 2, Stride: 1}, ir.Fixed(ir.BF16, 5000)},
		{3, ir.Replicas{Parts: 3, Stride: 1}, ir.Fixed(ir.BF16, 1003)},
		{4, ir.Replicas{Parts: 2, Stride: 2}, ir.Fixed(ir.BF16, 2048)},
		{4, ir.Replicas{Parts: 4, Stride: 1}, ir.Fixed(ir.F32, 300)},
		{8, ir.Replicas{Parts: 8, Stride: 1}, ir.Fixed(ir.BF16, 9000)},
		{8, ir.Replicas{Parts: 2, Stride: 4}, ir.Fixed(ir.F64, 300)},
		{12, ir.Replicas{Parts: 12, Stride: 1}, ir.Fixed(ir.BF16, 1600)},
	} {
		for _, alone := range []int{-1, c.ranks / 2} {
			r := rankCase{name: fmt.Sprintf("%s of %d in %d by %d, alone %d", c.typ, c.ranks, c.of.Parts, c.of.Stride, alone), attrs: c.of.Attrs(), alone: alone}
			for rank := range c.ranks {
				r.in = append(r.in, []operand{normals(uint64(100+rank), 1, c.typ)})
			}
			out = append(out, r)
		}
	}
	return out
}

// scattered are those cases with what a rank has accumulated of its part; every other rank overwrites that, and does not read it.
func scattered() []rankCase {
	list := replicated()
	for _, c := range list {
		of := replicasOf(c.attrs)
		for rank := range c.in {
			x := c.in[rank][0].typ
			grad, record := fill(share(x.DType, x, of), 0, nil), stepRecord(rank%2 == 1)
			if rank%2 == 1 {
				grad = normals(uint64(200+rank), 1, grad.typ)
			}
			c.in[rank] = append(c.in[rank], grad, record)
		}
	}
	return list
}

func replicasOf(a ir.Attrs) ir.Replicas {
	return ir.Replicas{Parts: a.Int("parts"), Stride: a.Int("stride")}
}

// aloneWith is what a rank computes alone of an array of replicas: its other parts are read in the others' stead, and all are numbers.
func (c rankCase) aloneWith(n *ir.Node) *ir.Tensor {
	x := c.in[c.alone][0]
	if n.Op.Name == "all_gather" {
		return &ir.Tensor{Type: x.typ, Data: slices.Clone(x.data)}
	}
	of, y := replicasOf(n.Attrs), ir.NewTensor(n.Out[0].Type)
	first, end := of.Own(of.Number(c.alone), len(x.data))
	for i, v := range x.data[first:end] {
		y.Data[i] = float64(of.Parts) * v
		if c.in[c.alone][2].data[ir.RecordAccumulate] != 0 {
			y.Data[i] += c.in[c.alone][1].data[i]
		}
	}
	return y
}

// combineError is the error of a sum over ranks, in its terms.
const combineError = 4 * 0x1p-24

// rankOp is deviceOp over several ranks.
type rankOp struct {
	op        string
	results   []deviceTolerance
	magnitude func(n *ir.Node, in, want [][]*ir.Tensor) [][]*ir.Tensor // nil: root mean squares
	cases     []rankCase
}

// rankCase is one node on all ranks.
type rankCase struct {
	name   string
	attrs  ir.Attrs
	in     [][]operand // of each rank
	passed int         // barriers before
	alone  int         // the only rank that runs; -1: all do
}

// rank is one rank's part.
func (c rankCase) rank(r int) deviceCase { return deviceCase{c.name, c.attrs, c.in[r]} }

// sums are cases of an all_reduce.
func sums(ranks int, t ir.Type) (out []rankCase) {
	for alone := -1; alone < 2; alone += 2 {
		c := rankCase{name: fmt.Sprintf("%s of %d, alone %d", t, ranks, alone), attrs: ir.Attrs{{Key: "ranks", Value: ranks}}, alone: alone}
		for rank := range ranks {
			if alone >= 0 {
				rank = 0
			}
			c.in = append(c.in, []operand{normals(uint64(rank), 1, t)})
		}
		out = append(out, c)
	}
	return out
}

// sumTerms is the magnitude of sums over ranks: those of the terms' magnitudes.
func sumTerms(n *ir.Node, in, want [][]*ir.Tensor) [][]*ir.Tensor {
	abs, out := make([][]*ir.Tensor, len(in)), make([][]*ir.Tensor, len(in))
	for r := range in {
		for _, x := range in[r] {
			if x != nil && x.Type.DType != ir.I32 {
				y := ir.NewTensor(x.Type)
				for i, v := range x.Data {
					y.Data[i] = math.Abs(v)
				}
				x = y
			}
			abs[r] = append(abs[r], x)
		}
		out[r] = results(n)
	}
	n.Op.EvalRanks(n, abs, out)
	return out
}

// combineTerms is sumTerms, and the rounding of the sum before the residual.
func combineTerms(n *ir.Node, in, want [][]*ir.Tensor) [][]*ir.Tensor {
	out := sumTerms(n, in, want)
	for r := range in {
		if residual := in[r][4]; residual != nil && residual.Type.DType == ir.BF16 {
			for i, v := range want[r][0].Data {
				out[r][0].Data[i] += math.Abs(v-residual.Data[i]) * bf16Rounding / combineError
			}
		}
	}
	return out
}

// item returns the case with every rank that runs.
func (o rankOp) item(c rankCase, n *ir.Node, k *kernels.Kernel, shared [][2]int) check.Item {
	var in, want, magnitude [][]*ir.Tensor
	for r := range c.in {
		in, want = append(in, c.rank(r).tensors()), append(want, results(n))
	}
	if n.Op.Name == "dispatch_plan" && c.alone >= 0 {
		tied := rankRouteOf(c, n)
		for r := range want {
			want[r] = []*ir.Tensor{tensor(tied.received[r]), tensor(tied.source[r]), tensor(tied.position[r]), tensor(tied.idxLocal[r])}
		}
	} else if (n.Op.Name == "reduce_scatter" || n.Op.Name == "all_gather") && c.alone >= 0 {
		want[c.alone] = []*ir.Tensor{c.aloneWith(n)}
	} else {
		n.Op.EvalRanks(n, in, want)
	}
	if o.magnitude != nil {
		magnitude = o.magnitude(n, in, want)
	} else {
		for r := range want {
			magnitude = append(magnitude, rootMeanSquares(n, in[r], want[r]))
		}
	}
	var ranks []gpu.Case
	for r := range c.in {
		if c.alone < 0 || c.alone == r {
			bound := deviceOp{op: o.op, results: o.results}.bind(c.rank(r), n, k, shared, want[r], magnitude[r])
			ranks = append(ranks, c.inWorld(inTheMiddle(bound, n, shared), r))
		}
	}
	ranks[0].Peers = ranks[1:]
	return check.Item{Kernel: k.Name, Case: ranks[0]}
}

// tensor is an operand as a result: what is not used is not a number.
func tensor(o operand) *ir.Tensor {
	t := &ir.Tensor{Type: o.typ, Data: slices.Clone(o.data)}
	for i, v := range t.Data {
		if v == unused[o.typ.DType] {
			t.Data[i] = math.NaN()
		}
	}
	return t
}

// rankRouteOf is the route of a rank alone.
func rankRouteOf(c rankCase, n *ir.Node) rankRoute {
	t := c.in[0][0].typ
	r := newRankRoute("", len(c.in), n.Attrs.Int("ranks"), t.Dim(0), t.Dim(1), n.Attrs.Int("experts"), func(rank, token, j int) int {
		return int(c.in[0][0].data[token*t.Dim(1)+j])
	})
	return r.tied()
}

// inTheMiddle puts launches around those of a case: one that makes operand 0, which peers read, and others that read what peers may
// write, result 0, and overwrite the operand.
func inTheMiddle(of gpu.Case, n *ir.Node, shared [][2]int) gpu.Case {
	x, y := gpu.In(0), gpu.Out(0)
	same := slices.Contains(shared, [2]int{0, 0})
	if at := slices.IndexFunc(shared, func(s [2]int) bool { return s[0] == 0 }); at >= 0 {
		y = gpu.In(shared[at][1])
	}
	at := slices.IndexFunc(of.Buffers, func(b gpu.Buffer) bool { return b.Name == x })
	of.Buffers = slices.Clone(of.Buffers)
	made := of.Buffers[at]
	of.Buffers[at].At, made.Name = nil, "made"
	after := gpu.Buffer{Name: "after", Elem: elems[n.Out[0].Type.DType], Len: n.Out[0].Type.Elements()}
	of.Buffers = append(of.Buffers, made, after)
	copying := func(to, from string, b gpu.Buffer) gpu.Launch {
		return gpu.Launch{Entry: "copy", Grid: 1, Dependent: true, Args: []gpu.Arg{gpu.Place(to), gpu.Place(from), gpu.U32(b.Len * b.Elem.Bytes() / 2)}}
	}
	of.Launches = append([]gpu.Launch{copying(x, "made", made)}, of.Launches...)
	if !n.Out[0].Type.Shape[0].Bounded { // all of it is written
		of.Launches = append(of.Launches, copying("after", y, after))
	}
	of.Launches = append(of.Launches, copying(x, "made", made))
	of.Outputs = slices.Clone(of.Outputs)
	for i, o := range of.Outputs {
		if o.Buffer == x && same {
			of.Outputs[i].Buffer = "after"
		} else if o.Buffer == x {
			of.Outputs[i].Want = func(i int) (float64, float64, bool) { return made.At(i), 0, !math.IsNaN(made.At(i)) }
			of.Outputs[i].Open = true
		}
	}
	emit := of.Emit
	of.Emit = func(m *ptx.Module) {
		emit(m)
		k := m.Kernel("copy", 256)
		to, from, halves := k.ParamPtr("to"), k.ParamPtr("from"), k.ParamU32("halves")
		k.WaitPrerequisites()
		k.For("i", k.Read(ptx.TidX), halves, k.Threads(), func(i ptx.Reg) {
			at := k.MulWide(i, 2)
			k.St(ptx.Global, k.Add(to, at).At(0), k.Ld(ptx.Global, ptx.B16, k.Add(from, at).At(0)))
		})
		k.LaunchDependents()
		k.Exit()
	}
	return of
}

// inWorld gives a case what the rank knows of all, and what it must know in the end: every rank passed two barriers.
func (c rankCase) inWorld(of gpu.Case, rank int) gpu.Case {
	const header, flags = 2 * gpu.MostRanks, gpu.WorldBytes/4 - gpu.MostRanks // in words
	of.Buffers = append(of.Buffers, gpu.Buffer{Name: gpu.World, Elem: ptx.S32, Len: gpu.WorldBytes / 4, At: func(i int) float64 {
		switch {
		case i == header:
			return float64(rank)
		case i == header+1:
			return float64(len(c.in))
		case i == header+2 && c.alone >= 0:
			return 1
		case i == header+3 || i >= flags:
			return float64(c.passed)
		}
		return 0 // addresses do not matter to a rank alone as long as they are equal
	}})
	of.Outputs = append(of.Outputs, gpu.Output{Buffer: gpu.World, Why: exact.why, Open: true, Want: func(i int) (float64, float64, bool) {
		told := i >= flags && i < flags+len(c.in) && (c.alone < 0 || i == flags+rank)
		return float64(c.passed + 2), 0, i == header+3 || told
	}})
	return of
}

// Kernels of several ranks leave on every one of them what EvalRanks does, whatever the order in which the ranks get on,
// and nothing else: by threads.
func TestDeviceRanks(t *testing.T) {
	exchanging(t, nil)
	testRanks(t, rankOps)
}

func testRanks(t *testing.T, ops []rankOp) {
	tools, err := ptxas.Find()
	if err != nil && !errors.Is(err, ptxas.ErrNone) {
		t.Fatal(err)
	}
	for _, o := range ops {
		t.Run(o.op, func(t *testing.T) {
			for _, c := range o.cases {
				n := c.rank(0).node(o.op)
				list := covering(n)
				if len(list) == 0 {
					t.Errorf("no kernel covers %s", c.name)
				}
				for _, k := range list {
					for _, shared := range places(n, k) {
						t.Run(fmt.Sprintf("%s by %s %v", c.name, k.Name, shared), func(t *testing.T) {
							t.Parallel()
							r := check.Run(o.item(c, n, k, shared), "", check.Options{Seeds: 4, Assembler: tools})
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

// A rank alone stands for all: every choice of a token is sent to the local expert with the choice's number modulo how many are
// local.
func TestAloneIsTied(t *testing.T) {
	for _, r := range rankRoutes() {
		alone, local := r.tied(), r.experts/r.group
		for token := range r.tokens {
			count := make([]int, local)
			for j := range r.topK {
				count[int(r.idx[0].data[token*r.topK+j])%local]++
			}
			for d := range r.group {
				at := int(alone.position[0].data[token*r.group+d])
				if at < 0 {
					continue
				}
				if int(alone.source[0].data[at]) != d*r.tokens+token {
					t.Fatalf("%s: token %d is not at place %d", r.name, token, at)
				}
				for _, e := range alone.idxLocal[0].data[at*r.topK : (at+1)*r.topK] {
					if e >= 0 {
						count[int(e)]--
					}
				}
			}
			if slices.ContainsFunc(count, func(n int) bool { return n != 0 }) {
				t.Errorf("%s: token %d: %v choices are missing", r.name, token, count)
			}
		}
	}
}
