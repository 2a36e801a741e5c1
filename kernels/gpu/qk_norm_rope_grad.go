package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// QK-norm and rope backward. With g the gradient rotated back, n_P = x·rstd of a head and w its weights:
//
//	dx_P = rstd·(w·g − n·mean_P(w·g·n))     dw_P = Σ over tokens and heads of g·n
//
// in float32 from bf16, rounded once. It reads dy and x of query and key heads and writes dx: 6 bytes an element of those;
// value heads are copied, or are there already where dx lies in the place of dy. Memory decides. The walk over heads is
// that of the forward kernel, over query heads, then over key heads; each warp takes every so many-th token and adds the
// weights' gradients up in registers. A block writes one partial sum in float32, 8·P bytes; a second small kernel adds the partials up. How many there are is
// the Config's, so the order of the sum does not depend on the grid.

// QKNormRopeGradConfig fixes one pair of kernels.
type QKNormRopeGradConfig struct {
	Warps    int // of a block, a token each at a time
	Heads    int // heads of one kind whose loads a lane has under way at a time
	Partials int // partial sums of the weights' gradients; a grid of as many blocks does one each
}

// qkNormRopeGradConfig is the Config of operations: one block on each multiprocessor of an H100, of 16 warps in 128 registers.
var qkNormRopeGradConfig = QKNormRopeGradConfig{Warps: 16, Heads: 1, Partials: multiprocessors}

// Name is the entry of the first kernel.
func (c QKNormRopeGradConfig) Name(d QKNormRopeDesc) string {
	return fmt.Sprintf("qk_norm_rope_grad_%s_w%d_u%d_p%d", d.name(), c.Warps, c.Heads, c.Partials)
}

// SumName is the entry of the second kernel.
func (c QKNormRopeGradConfig) SumName(d QKNormRopeDesc, accumulates bool) string {
	s := fmt.Sprintf("qk_norm_rope_grad_sum_d%d_p%d", d.Dim, c.Partials)
	if accumulates {
		s += "_acc"
	}
	return s
}

// partialBytes is the size of a partial sum: of the weights of queries and keys.
func (d QKNormRopeDesc) partialBytes() int { return 4 * 2 * d.Dim }

// QKNormRopeGradFloor is what T tokens move; value heads stay where they are.
func QKNormRopeGradFloor(d QKNormRopeDesc, tokens int) Floor {
	each := 4 // dy and dx
	if d.Norm {
		each += 2 // x
	}
	return Floor{Bytes: int64(tokens) * int64(each*(d.Heads+d.KVHeads)*d.Dim+4)}
}

// EmitQKNormRopeGrad writes the first kernel: parameters are those of newQKNormRopeArgs, dy, x if there is a norm, dx, which
// may be dy, and if there is a norm partial [Partials·2·P float32].
func EmitQKNormRopeGrad(m *ptx.Module, d QKNormRopeDesc, c QKNormRopeGradConfig) {
	k := m.Kernel(c.Name(d), 32*c.Warps)
	if !d.covered() {
		k.Fail("no kernel for %+v", d)
		return
	}
	g := &qkNormRopeGradient{k: k, d: d, c: c, qkNormRopeArgs: newQKNormRopeArgs(k, d)}
	g.dy = k.ParamPtr("dy")
	if d.Norm {
		g.x = k.ParamPtr("x")
	}
	g.dx = k.ParamPtr("dx")
	var partial ptx.Reg
	var sums ptx.Addr
	if d.Norm {
		partial, sums = k.ParamPtr("partial"), k.SharedBytes(4*c.Warps*d.Dim, 16)
	}
	k.WaitPrerequisites()
	g.h = newHeadLanes(k, d)
	g.h.angles()
	if d.Norm {
		for range 2 {
			g.dw = append(g.dw, k.DeclareArray(ptx.F32, "dw", 2*g.h.words))
		}
	}
	warp := k.Shr(k.Read(ptx.TidX), 5)
	k.For("part", k.Read(ptx.CtaIDX), c.Partials, k.Read(ptx.NCtaIDX), func(part ptx.Reg) {
		first := k.Mad(part, c.Warps, warp)
		for i, kind := range g.kinds(d) {
			k.Comment("%d heads from head %d of every token", kind.count, kind.first)
			walk := func() {
				k.For("token", first, g.tokens, c.Partials*c.Warps, func(token ptx.Reg) { g.token(token, kind) })
			}
			if kind.copied {
				k.If(k.Ne(g.dx, g.dy), walk)
				continue
			}
			g.w = g.h.weights(kind)
			for _, list := range g.dw {
				for _, r := range list {
					k.Assign(r, 0)
				}
			}
			walk()
			if d.Norm {
				out := k.Add(partial, k.MulWide(part, d.partialBytes()))
				g.writePartial(warp, sums, k.Add(out, 4*d.Dim*i))
			}
		}
	})
	k.LaunchDependents()
	k.Exit()
}

type qkNormRopeGradient struct {
	k *ptx.Kernel
	d QKNormRopeDesc
	c QKNormRopeGradConfig
	qkNormRopeArgs
	dy, x, dx ptx.Reg
	h         *headLanes
	w, dw     [][]ptx.Reg // weights and their gradients of the kind of heads at hand, for the lane's two pieces
}

// token computes one kind of heads of a row of dx.
func (g *qkNormRopeGradient) token(token ptx.Reg, kind headKind) {
	k, h := g.k, g.h
	row := k.MulWide(token, 2*g.d.width())
	if !kind.copied {
		h.turn(g.cos, g.sin, g.positions, token)
	}
	h.chunks(kind, g.c.Heads, func(heads, there []ptx.Reg) { g.heads(kind, row, heads, there) })
}

// heads computes some heads of a row.
func (g *qkNormRopeGradient) heads(kind headKind, row ptx.Reg, heads, there []ptx.Reg) {
	k, h := g.k, g.h
	normed := g.d.Norm && !kind.copied
	var dys, xs [][][]ptx.Reg
	var at []ptx.Reg
	for j, head := range heads {
		at = append(at, k.Add(row, k.MulWide(head, 2*g.d.Dim)))
		dys = append(dys, h.load(once, k.Add(g.dy, at[j]), there[j]))
		if normed {
			xs = append(xs, h.load(once, k.Add(g.x, at[j]), there[j]))
		}
	}
	for j := range heads {
		out := dys[j]
		switch {
		case normed:
			out = g.norm(h.back(out), xs[j])
		case !kind.copied:
			out = h.pack(h.back(out))
		}
		h.store(k.Add(g.dx, at[j]), out, there[j])
	}
}

// back returns the gradient in front of the rotation, by piece.
func (h *headLanes) back(dy [][]ptx.Reg) [][]ptx.Reg {
	k := h.k
	out := [][]ptx.Reg{h.unpack(dy[0]), h.unpack(dy[1])}
	if h.d.Rotary > 0 {
		cos, sin := h.unpack(h.cos), h.unpack(h.sin)
		for j := range cos {
			y1, y2 := out[0][j], out[1][j]
			out[0][j] = k.Fma(y1, cos[j], k.Mul(y2, sin[j]))
			out[1][j] = k.Fma(y2, cos[j], k.Neg(k.Mul(y1, sin[j])))
		}
	}
	return out
}

// norm returns dx of a normalised head from g, and adds to dw.
func (g *qkNormRopeGradient) norm(dn, x [][]ptx.Reg) [][]ptx.Reg {
	k, h := g.k, g.h
	r := h.rstd(x, g.eps)
	k.Comment("dw += g n, c = mean(w g n)")
	n, wg := make([][]ptx.Reg, 2), make([][]ptx.Reg, 2)
	c := k.Const(ptx.F32, 0)
	for p := range n {
		n[p], wg[p] = h.unpack(x[p]), h.unpack(g.w[p])
		for j := range n[p] {
			n[p][j] = k.Mul(n[p][j], r)
			k.To(g.dw[p][j]).Fma(dn[p][j], n[p][j], g.dw[p][j])
			wg[p][j] = k.Mul(wg[p][j], dn[p][j])
			c = k.Fma(wg[p][j], n[p][j], c)
		}
	}
	c = k.Neg(k.Mul(k.SumLanes(c, h.lanes), 1/float64(g.d.Dim)))
	k.Comment("dx = rstd (w g - n c)")
	for p := range n {
		for j := range n[p] {
			n[p][j] = k.Mul(r, k.Fma(n[p][j], c, wg[p][j]))
		}
	}
	return h.pack(n)
}

// writePartial adds dw over the warp's heads and over the block's warps, in their order, and writes it.
func (g *qkNormRopeGradient) writePartial(warp ptx.Reg, sums ptx.Addr, out ptx.Reg) {
	k, h := g.k, g.h
	k.Comment("the block's part of dw: the heads of a warp, then one warp after the other")
	mine := k.Add(k.Mul(warp, 4*g.d.Dim), k.Lea(sums))
	writes := both(k, k.Eq(h.sub, 0), h.there)
	for p, list := range g.dw {
		for mask := h.lanes; mask < 32; mask *= 2 {
			for _, r := range list {
				k.To(r).Add(r, k.ShflXor(r, mask))
			}
		}
		at := k.Add(mine, k.Convert(ptx.U32, k.Shl(h.at[p], 1)))
		for j := 0; j < len(list); j += 2 {
			k.When(writes).St(ptx.Shared, at.At(4*j), list[j], list[j+1])
		}
	}
	k.Sync()
	k.For("two", k.Read(ptx.TidX), g.d.Dim/2, k.Threads(), func(two ptx.Reg) {
		at := k.Add(k.Lea(sums), k.Shl(two, 3))
		total := k.LdVec(ptx.Shared, ptx.F32, 2, at.At(0))
		for w := 1; w < g.c.Warps; w++ {
			for j, v := range k.LdVec(ptx.Shared, ptx.F32, 2, at.At(4*g.d.Dim*w)) {
				total[j] = k.Add(total[j], v)
			}
		}
		k.St(ptx.Global, k.Add(out, k.MulWide(two, 8)).At(0), total...)
	})
	k.Sync()
}

// EmitQKNormRopeGradSum writes the second kernel: parameters partial, dwq, dwk, and if the gradients accumulate the step
// record. Thread (part, column) adds every sumParts-th partial sum, then the first thread of a column the parts.
func EmitQKNormRopeGradSum(m *ptx.Module, d QKNormRopeDesc, c QKNormRopeGradConfig, accumulates bool) {
	k := m.Kernel(c.SumName(d, accumulates), sumColumns*sumParts)
	partial, dwq, dwk := k.ParamPtr("partial"), k.ParamPtr("dwq"), k.ParamPtr("dwk")
	var record ptx.Reg
	if accumulates {
		record = k.ParamPtr("record")
	}
	scratch := k.SharedBytes(4*sumColumns*sumParts, 16)
	tid := k.Read(ptx.TidX)
	part := k.Shr(tid, log2(sumColumns))
	column := k.Mad(k.Read(ptx.CtaIDX), sumColumns, k.And(tid, sumColumns-1))
	inside := k.Lt(column, 2*d.Dim)
	k.WaitPrerequisites()
	sum := k.Var(ptx.F32, "sum", 0)
	k.If(inside, func() {
		at := k.MadWide(column, 4, partial)
		k.For("partial", part, c.Partials, sumParts, func(p ptx.Reg) {
			k.To(sum).Add(sum, k.Ld(ptx.Global, ptx.F32, k.Add(at, k.MulWide(p, d.partialBytes())).At(0)))
		})
	})
	mine := k.Add(k.Lea(scratch), k.Shl(tid, 2))
	k.St(ptx.Shared, mine.At(0), sum)
	k.Sync()
	k.If(k.And(inside, k.Eq(part, 0)), func() {
		for p := 1; p < sumParts; p++ {
			k.To(sum).Add(sum, k.Ld(ptx.Shared, ptx.F32, mine.At(4*sumColumns*p)))
		}
		query := k.Lt(column, d.Dim)
		index := k.Select(query, column, k.Sub(column, d.Dim))
		at := k.MadWide(index, 2, k.Select(query, dwq, dwk))
		if accumulates {
			k.If(k.Ne(k.Ld(ptx.Global, ptx.F32, record.At(4*ir.RecordAccumulate)), 0.0), func() {
				k.To(sum).Add(sum, k.Convert(ptx.F32, k.Ld(ptx.Global, ptx.BF16, at.At(0))))
			})
		}
		k.St(ptx.Global, at.At(0), k.Convert(ptx.BF16, sum))
	})
	k.LaunchDependents()
	k.Exit()
}

// qkNormRopeGradLaunches are the launches of T tokens on the named buffers.
func qkNormRopeGradLaunches(d QKNormRopeDesc, c QKNormRopeGradConfig, args []Arg, dy, x, dx, dwq, dwk, partial, record string) []Launch {
	first := Launch{Entry: c.Name(d), Grid: c.Partials, Persistent: true}
	first.Args = append(args, Place(dy))
	if !d.Norm {
		first.Args = append(first.Args, Place(dx))
		return []Launch{first}
	}
	first.Args = append(first.Args, Place(x), Place(dx), Place(partial))
	second := Launch{Entry: c.SumName(d, record != ""), Grid: ceil(2*d.Dim, sumColumns), Dependent: true,
		Args: []Arg{Place(partial), Place(dwq), Place(dwk)}}
	if record != "" {
		second.Args = append(second.Args, Place(record))
	}
	return []Launch{first, second}
}

// qkNormRopeGradKernel computes the gradient of an operation; grad is the operand that dwq accumulates into, in front of
// that of dwk and the step record, -1 if the operation has none.
func qkNormRopeGradKernel(o qkNormRopeOp, grad int) *Kernel {
	c := qkNormRopeGradConfig
	kernel := &Kernel{
		Name: "qk_norm_rope_grad", Op: o.op, InPlace: true,
		Covers: func(n *ir.Node) bool {
			accumulates := grad < 0 || (n.In[grad] == nil) == (n.In[grad+1] == nil)
			return n.In[0].Type.DType == ir.BF16 && o.of(n).covered() && accumulates
		},
		Limit: func(n *ir.Node) string { return headLimit(o.of(n).Dim) },
		Steps: func(l *ir.Launch) []Step {
			d, record := o.at(l), ""
			accumulates := grad >= 0 && l.In[grad] != nil
			if accumulates {
				record = In(grad + 2)
			}
			launches := qkNormRopeGradLaunches(d, c, o.args(l, d), In(0), In(o.x), Out(0), Out(1), Out(2), Work, record)
			emits := []func(*ptx.Module){func(m *ptx.Module) { EmitQKNormRopeGrad(m, d, c) },
				func(m *ptx.Module) { EmitQKNormRopeGradSum(m, d, c, accumulates) }}
			var steps []Step
			for i, launch := range launches {
				steps = append(steps, Step{Launch: launch, Emit: emits[i]})
			}
			return steps
		},
	}
	if o.wq >= 0 {
		kernel.Workspace = func(n *ir.Node) int { return c.Partials * o.of(n).partialBytes() }
	}
	if grad >= 0 {
		kernel.Shares = [][2]int{{1, grad}, {2, grad + 1}}
	}
	return kernel
}

var (
	qkNormGrad     = qkNormRopeGradKernel(qkNormRopeOp{op: "qk_norm_grad", x: 1, wq: 2, cos: -1}, -1)
	qkNormRopeGrad = qkNormRopeGradKernel(qkNormRopeOp{op: "qk_norm_rope_grad", x: 1, wq: 2, cos: 4}, 7)
	ropeGrad       = qkNormRopeGradKernel(qkNormRopeOp{op: "rope_grad", x: 0, wq: -1, cos: 1}, -1)
)
