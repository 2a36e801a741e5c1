package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// QK-norm and rope forward. Every query and key head x_P of a packed projection is normalised and rotated, value heads
// are copied:
//
//	n_P = w_P · x_P / sqrt(mean_P(x²) + eps)     y1 = n1·cos − n2·sin     y2 = n2·cos + n1·sin
//
// with n1 the first C dims of the head, n2 the next C, and cos_C, sin_C the row of the tables at the token's position. Dims
// past 2C are not rotated. All of it is in float32 from bf16 and rounded once; Transformers rounds the normalised value,
// its product with w, both products with cos and sin and their sum.
//
// Every byte of the heads moves once in and once out, 4 bytes an element: memory decides. The simulator counts 1.16 times as much:
// what every token asks for of w, cos and sin, which caches hold. A warp has one token. A few lanes share a head; each holds two
// pieces of it that rotate into each other, so only the sum of squares crosses lanes. The loads of several heads are under way
// before the first is used.

// QKNormRopeDesc is what is asked: the layout of a row, and what is done to it. The number of tokens is an argument.
type QKNormRopeDesc struct {
	Heads, KVHeads, Dim int
	Norm                bool // whether query and key heads are normalised
	Rotary              int  // C; 0: nothing is rotated
}

// QKNormRopeConfig fixes one kernel.
type QKNormRopeConfig struct {
	Warps int // of a block, a token each
	Heads int // heads of one kind whose loads a lane has under way at a time
}

// qkNormRopeConfig is the Config of operations: eight loads of 16 bytes a lane are under way, in some 140 registers.
var qkNormRopeConfig = QKNormRopeConfig{Warps: 8, Heads: 4}

func (d QKNormRopeDesc) name() string {
	s := fmt.Sprintf("h%d_kv%d_d%d_c%d", d.Heads, d.KVHeads, d.Dim, d.Rotary)
	if !d.Norm {
		s += "_raw"
	}
	return s
}

// Name is the kernel's entry.
func (c QKNormRopeConfig) Name(d QKNormRopeDesc) string {
	return fmt.Sprintf("qk_norm_rope_%s_w%d_u%d", d.name(), c.Warps, c.Heads)
}

func (d QKNormRopeDesc) width() int { return (d.Heads + 2*d.KVHeads) * d.Dim }

// piece is how many elements a lane reads at once: 8 (16 bytes) or as many as divide both the rotated and the other dims.
func (d QKNormRopeDesc) piece() int {
	n := 8
	for d.Rotary%n != 0 || (d.Dim/2-d.Rotary)%n != 0 {
		n /= 2
	}
	return n
}

// lanes is how many lanes share a head, a power of two; each but the last has two pieces.
func (d QKNormRopeDesc) lanes() int {
	n := 1
	for n < d.Dim/2/d.piece() {
		n *= 2
	}
	return n
}

// covered says whether there are kernels: pieces of whole words, and no more than a warp to a head.
func (d QKNormRopeDesc) covered() bool {
	return d.Dim%8 == 0 && d.Dim > 0 && 2*d.Rotary <= d.Dim && d.piece() >= 2 && d.lanes() <= 32
}

// QKNormRopeFloor is what T tokens move.
func QKNormRopeFloor(d QKNormRopeDesc, tokens int) Floor {
	return Floor{Bytes: int64(tokens) * int64(4*d.width()+4)}
}

// headKind is one of the three kinds of heads of a packed row.
type headKind struct {
	first, count int
	w            ptx.Reg // its weights; none: nothing is normalised
	copied       bool    // value heads
}

// headLanes is how the lanes of a warp share heads.
type headLanes struct {
	k        *ptx.Kernel
	d        QKNormRopeDesc
	lanes    int        // that share a head
	perPass  int        // heads of a warp
	words    int        // of a piece
	sub      ptx.Reg    // which of the warp's heads the lane is at
	there    ptx.Reg    // whether the lane has pieces; none: all have
	rotates  ptx.Reg    // whether its pieces rotate; none: all do or none does
	at       [2]ptx.Reg // bytes of its two pieces in a head
	angle    ptx.Reg    // bytes of its piece of cos and sin
	cos, sin []ptx.Reg  // of the token
}

func newHeadLanes(k *ptx.Kernel, d QKNormRopeDesc) *headLanes {
	h := &headLanes{k: k, d: d, lanes: d.lanes(), perPass: 32 / d.lanes(), words: d.piece() / 2}
	lane := k.Read(ptx.LaneID)
	slot := k.And(lane, h.lanes-1)
	h.sub = k.Shr(lane, log2(h.lanes))
	if pieces := d.Dim / 2 / d.piece(); pieces < h.lanes {
		h.there = k.Lt(slot, pieces)
	}
	first, apart := k.MulWide(slot, 2*d.piece()), k.Const(ptx.U64, 2*d.Rotary)
	h.angle = first
	if rest := d.Dim/2 - d.Rotary; d.Rotary == 0 {
		apart = k.Const(ptx.U64, 2*rest)
	} else if rest > 0 {
		k.Comment("lanes behind the rotated pieces have pairs of the others")
		h.rotates = k.Lt(slot, d.Rotary/d.piece())
		first = k.Select(h.rotates, first, k.Add(first, 2*d.Rotary))
		apart = k.Select(h.rotates, apart, 2*rest)
	}
	h.at = [2]ptx.Reg{first, k.Add(first, apart)}
	return h
}

// kinds returns query, key and value heads.
func (a qkNormRopeArgs) kinds(d QKNormRopeDesc) []headKind {
	return []headKind{{first: 0, count: d.Heads, w: a.wq}, {first: d.Heads, count: d.KVHeads, w: a.wk},
		{first: d.Heads + d.KVHeads, count: d.KVHeads, copied: true}}
}

// weights loads the lane's two pieces of a kind's weights, if it has any.
func (h *headLanes) weights(kind headKind) [][]ptx.Reg {
	if kind.w.Type() == 0 {
		return nil
	}
	return h.load(fixed, kind.w, h.there)
}

// load reads the lane's two pieces of a head where the predicate, if any, holds; they are zero elsewhere.
func (h *headLanes) load(a ptx.Access, head, where ptx.Reg) [][]ptx.Reg {
	out := make([][]ptx.Reg, 2)
	for i := range out {
		out[i] = h.registers("piece", 0, where)
		h.loadInto(a, out[i], h.k.Add(head, h.at[i]), where)
	}
	return out
}

// registers declares the words of a piece, with a value if something else may leave them without.
func (h *headLanes) registers(name string, value int, where ptx.Reg) []ptx.Reg {
	out := h.k.DeclareArray(ptx.B32, name, h.words)
	if where.Type() != 0 {
		for _, r := range out {
			h.k.Assign(r, value)
		}
	}
	return out
}

func (h *headLanes) loadInto(a ptx.Access, into []ptx.Reg, at, where ptx.Reg) {
	k := h.k
	if where.Type() != 0 {
		k = k.When(where)
	}
	k.LdInto(a, into, at.At(0))
}

// store writes the lane's two pieces of a head.
func (h *headLanes) store(head ptx.Reg, pieces [][]ptx.Reg, where ptx.Reg) {
	for i, v := range pieces {
		k := h.k
		at := k.Add(head, h.at[i])
		if where.Type() != 0 {
			k = k.When(where)
		}
		k.St(ptx.Global, at.At(0), v...)
	}
}

// both is a and b where either may be none.
func both(k *ptx.Kernel, a, b ptx.Reg) ptx.Reg {
	switch {
	case a.Type() == 0:
		return b
	case b.Type() == 0:
		return a
	}
	return k.And(a, b)
}

// oneBF16 is 1 in both halves.
const oneBF16 = 0x3F803F80

// angles declares the token's cos and sin; pieces that do not rotate have 1 and 0.
func (h *headLanes) angles() {
	if h.d.Rotary > 0 {
		where := both(h.k, h.there, h.rotates)
		h.cos, h.sin = h.registers("cos", oneBF16, where), h.registers("sin", 0, where)
	}
}

// turn loads cos and sin of a token.
func (h *headLanes) turn(cos, sin, positions, token ptx.Reg) {
	if h.d.Rotary == 0 {
		return
	}
	k := h.k
	position := k.Ld(ptx.Global, ptx.U32, k.MadWide(token, 4, positions).At(0))
	at := k.Add(k.MulWide(position, 2*h.d.Rotary), h.angle)
	where := both(k, h.there, h.rotates)
	h.loadInto(fixed, h.cos, k.Add(cos, at), where)
	h.loadInto(fixed, h.sin, k.Add(sin, at), where)
}

// rstd returns 1/sqrt(mean(x²) + eps) of the head of which the lanes hold pieces; all lanes of the warp take part.
func (h *headLanes) rstd(x [][]ptx.Reg, eps ptx.Reg) ptx.Reg {
	k := h.k
	sum := k.Const(ptx.F32, 0)
	for _, piece := range x {
		for _, word := range piece {
			lo, hi := k.UnpackBF16(word)
			sum = k.Fma(hi, hi, k.Fma(lo, lo, sum))
		}
	}
	return k.RsqrtApprox(k.Fma(k.SumLanes(sum, h.lanes), 1/float64(h.d.Dim), eps))
}

// unpack returns the elements of a piece as float32.
func (h *headLanes) unpack(piece []ptx.Reg) (out []ptx.Reg) {
	for _, word := range piece {
		lo, hi := h.k.UnpackBF16(word)
		out = append(out, lo, hi)
	}
	return out
}

// pack rounds the elements of pieces to bf16.
func (h *headLanes) pack(pieces [][]ptx.Reg) [][]ptx.Reg {
	out := make([][]ptx.Reg, len(pieces))
	for p, list := range pieces {
		for j := 0; j < len(list); j += 2 {
			out[p] = append(out[p], h.k.PackBF16(list[j], list[j+1]))
		}
	}
	return out
}

// qkNormRopeArgs are the parameters that both directions have in front of the others.
type qkNormRopeArgs struct {
	wq, wk, cos, sin, positions, tokens, eps ptx.Reg
}

func newQKNormRopeArgs(k *ptx.Kernel, d QKNormRopeDesc) (a qkNormRopeArgs) {
	a.tokens = k.ParamU32("tokens")
	if d.Norm {
		a.wq, a.wk, a.eps = k.ParamPtr("wq"), k.ParamPtr("wk"), k.ParamF32("eps")
	}
	if d.Rotary > 0 {
		a.cos, a.sin, a.positions = k.ParamPtr("cos"), k.ParamPtr("sin"), k.ParamPtr("positions")
	}
	return a
}

// args are the arguments for these parameters.
func (d QKNormRopeDesc) args(tokens int, eps float64, wq, wk, cos, sin, positions string) []Arg {
	out := []Arg{U32(tokens)}
	if d.Norm {
		out = append(out, Place(wq), Place(wk), F32(eps))
	}
	if d.Rotary > 0 {
		out = append(out, Place(cos), Place(sin), Place(positions))
	}
	return out
}

// EmitQKNormRope writes the kernel: parameters are those of newQKNormRopeArgs, x and y; a block for every Warps tokens.
func EmitQKNormRope(m *ptx.Module, d QKNormRopeDesc, c QKNormRopeConfig) {
	k := m.Kernel(c.Name(d), 32*c.Warps)
	if !d.covered() {
		k.Fail("no kernel for %+v", d)
		return
	}
	a := newQKNormRopeArgs(k, d)
	x, y := k.ParamPtr("x"), k.ParamPtr("y")
	k.WaitPrerequisites()
	h := newHeadLanes(k, d)
	token := k.Mad(k.Read(ptx.CtaIDX), c.Warps, k.Shr(k.Read(ptx.TidX), 5))
	k.If(k.Lt(token, a.tokens), func() {
		row := k.MulWide(token, 2*d.width())
		h.angles()
		h.turn(a.cos, a.sin, a.positions, token)
		for _, kind := range a.kinds(d) {
			k.Comment("%d heads from head %d", kind.count, kind.first)
			w := h.weights(kind)
			h.chunks(kind, c.Heads, func(heads, there []ptx.Reg) {
				var in [][][]ptx.Reg
				var at []ptx.Reg
				for i, head := range heads {
					at = append(at, k.Add(row, k.MulWide(head, 2*d.Dim)))
					in = append(in, h.load(once, k.Add(x, at[i]), there[i]))
				}
				for i := range heads {
					out := in[i]
					if !kind.copied {
						out = h.forward(in[i], w, a.eps)
					}
					h.store(k.Add(y, at[i]), out, there[i])
				}
			})
		}
	})
	k.LaunchDependents()
	k.Exit()
}

// chunks visits the heads of a kind, so many passes of the warp at a time; there tells which of them the lane takes part
// in, none where it always does.
func (h *headLanes) chunks(kind headKind, passes int, body func(heads, there []ptx.Reg)) {
	k := h.k
	all := ceil(kind.count, h.perPass)
	chunk := func(first ptx.Operand, n int, whole bool) {
		var heads, there []ptx.Reg
		for i := range n {
			index := k.Add(k.Add(h.sub, h.perPass*i), first)
			where := h.there
			if !whole {
				where = both(k, where, k.Lt(index, kind.count))
			}
			heads, there = append(heads, k.Add(index, kind.first)), append(there, where)
		}
		body(heads, there)
	}
	loops, rest := all/passes, all%passes
	whole := kind.count%h.perPass == 0
	if loops > 1 {
		k.For("head", 0, loops*passes*h.perPass, passes*h.perPass, func(first ptx.Reg) {
			chunk(first, passes, whole || rest > 0)
		})
	} else if loops == 1 {
		chunk(0, passes, whole || rest > 0)
	}
	if rest > 0 {
		chunk(loops*passes*h.perPass, rest, whole)
	}
}

// forward normalises and rotates a head.
func (h *headLanes) forward(x, w [][]ptx.Reg, eps ptx.Reg) [][]ptx.Reg {
	k := h.k
	n := [][]ptx.Reg{h.unpack(x[0]), h.unpack(x[1])}
	if h.d.Norm {
		r := h.rstd(x, eps)
		for p := range n {
			for j, w := range h.unpack(w[p]) {
				n[p][j] = k.Mul(k.Mul(n[p][j], r), w)
			}
		}
	}
	if h.d.Rotary > 0 {
		cos, sin := h.unpack(h.cos), h.unpack(h.sin)
		for j := range cos {
			x1, x2 := n[0][j], n[1][j]
			n[0][j] = k.Fma(x1, cos[j], k.Neg(k.Mul(x2, sin[j])))
			n[1][j] = k.Fma(x2, cos[j], k.Mul(x1, sin[j]))
		}
	}
	return h.pack(n)
}

// qkNormRopeLaunch is the launch of T tokens on the named buffers.
func qkNormRopeLaunch(d QKNormRopeDesc, c QKNormRopeConfig, tokens int, args []Arg, x, y string) Launch {
	return Launch{Entry: c.Name(d), Grid: ceil(tokens, c.Warps), Args: append(args, Place(x), Place(y))}
}

// packedHeads is the layout that a node's attributes give a packed projection.
func packedHeads(attrs ir.Attrs, t ir.Type) (d QKNormRopeDesc) {
	d.Heads, d.KVHeads = attrs.Int("heads"), attrs.Int("kv_heads")
	d.Dim = t.Dim(1) / (d.Heads + 2*d.KVHeads)
	return d
}

// A qkNormRopeOp is an operation that the kernels compute: where its operands are, -1 for those it has not.
type qkNormRopeOp struct {
	op         string
	x, wq, cos int // operands: heads, weights of queries in front of those of keys, tables in front of positions
}

func (o qkNormRopeOp) desc(attrs ir.Attrs, x, cos ir.Type) QKNormRopeDesc {
	d := packedHeads(attrs, x)
	d.Norm = o.wq >= 0
	if o.cos >= 0 {
		d.Rotary = cos.Dim(1)
	}
	return d
}

func (o qkNormRopeOp) of(n *ir.Node) QKNormRopeDesc {
	return o.desc(n.Attrs, n.In[o.x].Type, n.In[max(o.cos, 0)].Type)
}

func (o qkNormRopeOp) at(l *ir.Launch) QKNormRopeDesc {
	return o.desc(l.Attrs, l.In[o.x].Type, l.In[max(o.cos, 0)].Type)
}

// args are the arguments of a launch of the operation.
func (o qkNormRopeOp) args(l *ir.Launch, d QKNormRopeDesc) []Arg {
	eps := 0.0
	if d.Norm {
		eps = l.Attrs.Float("eps")
	}
	return d.args(l.In[o.x].Type.Dim(0), eps, In(o.wq), In(o.wq+1), In(o.cos), In(o.cos+1), In(o.cos+2))
}

// qkNormRopeKernel computes an operation forward.
func qkNormRopeKernel(o qkNormRopeOp) *Kernel {
	return &Kernel{
		Name: "qk_norm_rope", Op: o.op,
		Covers: func(n *ir.Node) bool { return n.In[o.x].Type.DType == ir.BF16 && o.of(n).covered() },
		Limit:  func(n *ir.Node) string { return headLimit(o.of(n).Dim) },
		Steps: func(l *ir.Launch) []Step {
			d, c := o.at(l), qkNormRopeConfig
			launch := qkNormRopeLaunch(d, c, l.In[o.x].Type.Dim(0), o.args(l, d), In(o.x), Out(0))
			return []Step{{Launch: launch, Emit: func(m *ptx.Module) { EmitQKNormRope(m, d, c) }}}
		},
	}
}

var (
	qkNorm     = qkNormRopeKernel(qkNormRopeOp{op: "qk_norm", x: 0, wq: 1, cos: -1})
	qkNormRope = qkNormRopeKernel(qkNormRopeOp{op: "qk_norm_rope", x: 0, wq: 1, cos: 3})
	rope       = qkNormRopeKernel(qkNormRopeOp{op: "rope", x: 0, wq: -1, cos: 1})
)
