package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
	"moegen/kernels/tile"
)

// The input gradient of the down projection of a mixture of experts, carried on through SwiGLU and the router's weights.
// Row r is choice c = pairs[r] of a token; with da[r] = bf16(dy[c/top_k]·W[e]), W [experts, K, Half], and a = silu(gate)·up
// computed again from gu:
//
//	aw[r] = bf16(w[c]·a[r])     dgu[r] = bf16(SwiGLU's gradient under w[c]·da[r])     dw[c] = Σ da[r]·a[r]
//
// in float32 in between; the bits of aw and dgu are those of the product and SwiGLU's gradient one after the other. dw is zero
// for choices without a row. A tile of da has some of a row's columns: their sum goes to memory, in the order of a thread's
// columns and then over four threads, and a second launch adds up the sums of a row in the order of its tiles.
//
// 2·R·Half·K operations; da, which would cost 4·Half bytes a row, stays where it is: 10·Half bytes a row (gu in, dgu and aw out).
// gu is on its way, two slabs ahead, while the product is computed. dgu may be gu.

// GroupedSwiGLUGradDesc is what is asked.
type GroupedSwiGLUGradDesc struct {
	Experts, Half, K int
	TopK             int // choices of a token
}

// product is the product by itself.
func (d GroupedSwiGLUGradDesc) product() GroupedGEMMDesc {
	return GroupedGEMMDesc{Form: NN, Experts: d.Experts, N: d.Half, K: d.K, TopK: d.TopK}
}

// GroupedSwiGLUGradConfig fixes one kernel.
type GroupedSwiGLUGradConfig GroupedGEMMConfig

// Name is the kernel's entry.
func (c GroupedSwiGLUGradConfig) Name(d GroupedSwiGLUGradDesc) string {
	return fmt.Sprintf("grouped_swiglu_grad_e%d_f%d_k%d_%s_t%d", d.Experts, d.Half, d.K, GroupedGEMMConfig(c).name(), d.TopK)
}

// tiles is how many tiles share a row.
func (c GroupedSwiGLUGradConfig) tiles(d GroupedSwiGLUGradDesc) int { return ceil(d.Half, c.BlockN) }

// gradStrips is how many strips a warp has: gate and up of two slabs, and da.
const gradStrips = 5

func (c GroupedSwiGLUGradConfig) reject(d GroupedSwiGLUGradDesc) string {
	if d.TopK < 1 {
		return "rows are choices of tokens"
	}
	if why := GroupedGEMMConfig(c).reject(d.product()); why != "" {
		return why
	}
	if shared := c.Stages*((c.BlockM+c.BlockN)*tile.Depth*2+16) + 1024 + 4*gemmConsumers*gradStrips*2048; shared > ptx.SharedLimit {
		return fmt.Sprintf("%d bytes of shared memory", shared)
	}
	return ""
}

// GroupedSwiGLUGradConfigs returns the candidates for so many rows, cheapest first, and why others are none.
func GroupedSwiGLUGradConfigs(d GroupedSwiGLUGradDesc, rows int) (out []GroupedSwiGLUGradConfig, rejected []string) {
	for _, c := range []GroupedSwiGLUGradConfig{{128, 256, 3, 1, 0}, {128, 192, 3, 1, 0}, {128, 128, 4, 1, 0}, {128, 64, 6, 1, 0}, {128, 256, 4, 1, 0},
		{128, 256, 3, 1, 1}, {128, 192, 3, 1, 1}} {
		if why := c.reject(d); why != "" {
			rejected = append(rejected, c.Name(d)+": "+why)
		} else {
			out = append(out, c)
		}
	}
	sortByCost(out, func(c GroupedSwiGLUGradConfig) int64 { return GroupedSwiGLUGradCost(d, c, rows) })
	return out, rejected
}

// GroupedSwiGLUGradCost is GroupedGEMMCost of the product, and of every tile some 21 instructions an element of da, of which a
// multiprocessor starts 128 a cycle.
func GroupedSwiGLUGradCost(d GroupedSwiGLUGradDesc, c GroupedSwiGLUGradConfig, rows int) int64 {
	p := d.product()
	tiles := d.Experts * ceil(ceil(rows, d.Experts), c.BlockM) * c.tiles(d)
	return GroupedGEMMCost(p, GroupedGEMMConfig(c), rows) + int64(ceil(tiles, multiprocessors))*int64(c.BlockM*c.BlockN*21/128)
}

// GroupedSwiGLUGradFloor is as GroupedGEMMFloor, for rows of so many choices.
func GroupedSwiGLUGradFloor(d GroupedSwiGLUGradDesc, rows, tokens, reached, choices int) Floor {
	f := GroupedGEMMFloor(d.product(), rows, tokens, reached)
	f.Bytes += int64(rows)*int64(8*d.Half+8) + 8*int64(choices)
	return f
}

// EmitGroupedSwiGLUGrad writes the kernel: parameters are those of grouped GEMM up to B, then gu, w, dgu, aw and the sums of
// rows, float32 [rows, tiles].
func EmitGroupedSwiGLUGrad(m *ptx.Module, d GroupedSwiGLUGradDesc, c GroupedSwiGLUGradConfig) {
	k := m.Kernel(c.Name(d), 128*(1+gemmConsumers))
	if why := c.reject(d); why != "" {
		k.Fail("%s: %s", c.Name(d), why)
		return
	}
	g := newGroupedLoop(k, d.product(), GroupedGEMMConfig(c), 1)
	s := swigluSlabs{k: k, gu: halves(k, k.ParamPtr("gu"), d.Half), pairs: g.pairs, w: k.ParamPtr("w")}
	s.dgu = halves(k, k.ParamPtr("dgu"), d.Half)
	s.aw = tile.Columns{First: k.ParamPtr("aw"), Count: d.Half, Pitch: d.Half}
	sums := k.ParamPtr("sums")
	s.strips = tile.NewStrips(k, gemmConsumers, gradStrips)
	slabs := c.BlockN / 64
	g.emit(ending{
		start: s.start,
		fetch: func(t tile.GroupTile, row ptx.Reg) { s.tile(t, row, slabs) },
		finish: func(acc []ptx.Acc, t tile.GroupTile, _ ptx.Reg) {
			for slab := range slabs {
				k.Comment("columns %d to %d", 64*slab, 64*slab+63)
				s.slab(acc[0], slab)
				s.fetch(slab+2, slabs)
			}
			k.Comment("the sums of two rows over four threads")
			part := k.Div(t.Col, c.BlockN)
			for h := range s.sum {
				sum := k.SumLanes(s.sum[h], 4)
				at := k.Add(k.MadWide(k.Add(s.row, 8*h), 4*c.tiles(d), sums), k.MulWide(part, 4))
				k.When(k.And(s.there[h], s.leads)).St(ptx.Global, at.At(0), sum)
			}
		},
	})
}

// swigluSlabs carries slabs of da, 64 rows by 64 columns for a warpgroup, through SwiGLU. A thread has elements of two rows.
type swigluSlabs struct {
	k        *ptx.Kernel
	strips   *tile.Strips
	gu, dgu  [2]tile.Columns
	aw       tile.Columns
	pairs, w ptx.Reg

	mine  ptx.Reg // the thread's first row of 64
	leads ptx.Reg // whether it is the first of four that share its rows

	// Of the tile:
	t      tile.GroupTile
	first  ptx.Reg   // the first row of the warpgroup
	row    ptx.Reg   // the thread's first row
	there  []ptx.Reg // whether its rows are there
	weight []ptx.Reg
	sum    []ptx.Reg // of da·a
}

func (s *swigluSlabs) start(thread ptx.Reg) {
	k := s.k
	s.strips.Start(thread)
	lane := k.And(thread, 31)
	s.mine = k.Add(k.Shl(k.And(k.Shr(thread, 5), 3), 4), k.Shr(lane, 2))
	s.leads = k.Eq(k.And(lane, 3), 0)
	s.weight, s.sum = k.DeclareArray(ptx.F32, "weight", 2), k.DeclareArray(ptx.F32, "sum", 2)
}

// tile begins a tile: it looks up the weights of the thread's rows, and begins to read gate and up.
func (s *swigluSlabs) tile(t tile.GroupTile, first ptx.Reg, slabs int) {
	k := s.k
	s.t, s.first, s.row, s.there = t, first, k.Add(first, s.mine), nil
	var choices []ptx.Reg
	for h := range s.weight {
		r := k.Add(s.row, 8*h)
		there, choice := k.Lt(r, t.End), k.Var(ptx.U32, "choice", 0)
		k.When(there).To(choice).Ld(fixed, ptx.U32, k.MadWide(r, 4, s.pairs).At(0))
		s.there, choices = append(s.there, there), append(choices, choice)
	}
	for slab := range 2 {
		s.fetch(slab, slabs)
	}
	for h, choice := range choices { // which are there by now
		k.Assign(s.weight[h], 0.0)
		k.When(s.there[h]).To(s.weight[h]).Ld(fixed, ptx.F32, k.MadWide(choice, 4, s.w).At(0))
		k.Assign(s.sum[h], 0.0)
	}
}

// fetch begins to read gate and up of a slab, if there is one, into the strips of its parity.
func (s *swigluSlabs) fetch(slab, slabs int) {
	k := s.k
	k.SyncWarp()
	for half := range s.gu {
		if slab < slabs {
			s.strips.Load(2*(slab%2)+half, s.gu[half], s.first, s.t.End, k.Add(s.t.Col, 64*slab))
		}
	}
	k.CpAsyncCommit() // also of nothing: slab waits for all groups but one
}

// slab writes a slab's results, which take the places of gate, up and da.
func (s *swigluSlabs) slab(acc ptx.Acc, slab int) {
	k := s.k
	gate, up, da := 2*(slab%2), 2*(slab%2)+1, gradStrips-1
	for q := range 4 {
		s.strips.Put(da, q, tile.Words(k, acc, 4*slab+q))
	}
	k.CpAsyncWait(1)
	k.SyncWarp()
	k.For("q", 0, 4, 1, func(q ptx.Reg) {
		das, gates, ups := s.strips.Get(da, q), s.strips.Get(gate, q), s.strips.Get(up, q)
		var out [3][]ptx.Reg
		for i := range das {
			dgate, dup, aw := s.word(i%2, das[i], gates[i], ups[i])
			out[0], out[1], out[2] = append(out[0], dgate), append(out[1], dup), append(out[2], aw)
		}
		for i, n := range []int{gate, up, da} {
			s.strips.Put(n, q, out[i])
		}
	})
	k.SyncWarp()
	col := k.Add(s.t.Col, 64*slab)
	s.strips.Store(gate, s.dgu[0], s.first, s.t.End, col)
	s.strips.Store(up, s.dgu[1], s.first, s.t.End, col)
	s.strips.Store(da, s.aw, s.first, s.t.End, col)
}

// word is what becomes of two neighbouring elements of row h.
func (s *swigluSlabs) word(h int, da, gate, up ptx.Reg) (dgate, dup, aw ptx.Reg) {
	k := s.k
	var x, y, z [2]ptx.Reg
	var das, gates, ups [2]ptx.Reg
	das[0], das[1] = k.UnpackBF16(da)
	gates[0], gates[1] = k.UnpackBF16(gate)
	ups[0], ups[1] = k.UnpackBF16(up)
	for i, g := range gates {
		sig := sigmoid(k, g)
		silu := k.Mul(g, sig)
		a := k.Mul(silu, ups[i])
		k.To(s.sum[h]).Fma(das[i], a, s.sum[h])
		z[i] = k.Mul(s.weight[h], a)
		x[i], y[i] = swigluSlopes(k, sig, silu, ups[i], k.Mul(s.weight[h], das[i]))
	}
	return k.PackBF16(x[0], x[1]), k.PackBF16(y[0], y[1]), k.PackBF16(z[0], z[1])
}

// sumsStep adds up the sums of a row's tiles for so many choices: parameters slots, the sums, dw and the number of choices.
func sumsStep(tiles, choices int, slots, sums, dw Arg) Step {
	name := fmt.Sprintf("grouped_swiglu_grad_sum_p%d", tiles)
	return Step{
		Launch: Launch{Entry: name, Grid: streamGrid(choices), Persistent: true, Dependent: true, Args: []Arg{slots, sums, dw, U32(choices)}},
		Emit: func(m *ptx.Module) {
			k := m.Kernel(name, streamThreads)
			slots, sums, dw, choices := k.ParamPtr("slots"), k.ParamPtr("sums"), k.ParamPtr("dw"), k.ParamU32("choices")
			k.WaitPrerequisites()
			eachThread(k, choices, func(i ptx.Reg) {
				slot := k.Ld(fixed, ptx.S32, k.Add(slots, k.MulWide(i, 4)).At(0))
				sum := k.Var(ptx.F32, "all", 0.0)
				k.If(k.Ge(slot, 0), func() {
					at := k.Add(sums, k.MulWide(slot, 4*tiles).As(ptx.U64))
					for j := range tiles {
						k.To(sum).Add(sum, k.Ld(ptx.Global, ptx.F32, at.At(4*j)))
					}
				})
				k.St(ptx.Global, k.Add(dw, k.MulWide(i, 4)).At(0), sum)
			})
			k.LaunchDependents()
			k.Exit()
		},
	}
}

// groupedSwiGLUGrad is the gradient among the buffers of an operation.
type groupedSwiGLUGrad struct {
	GroupedSwiGLUGradDesc
	rows, choices             int // at most
	dy, offsets, pairs, slots Arg // places
	down, gu, w               Arg
	dgu, aw, dw, sums         Arg
}

// config is the Config for so many rows.
func (d GroupedSwiGLUGradDesc) config(rows int) GroupedSwiGLUGradConfig {
	configs, _ := GroupedSwiGLUGradConfigs(d, rows)
	if len(configs) == 0 {
		panic("BUG: no kernel for the gradient of a grouped product with SwiGLU")
	}
	return configs[0]
}

// steps returns the launches by one Config.
func (p groupedSwiGLUGrad) steps(c GroupedSwiGLUGradConfig, floor Floor) []Step {
	d := p.GroupedSwiGLUGradDesc
	g := groupedProduct{d.product(), p.rows, p.dy, p.offsets, p.pairs, p.down, Arg{}}
	l := g.launchOf(c.Name(d), GroupedGEMMConfig(c), 1)
	l.Args = append(l.Args, p.gu, p.w, p.dgu, p.aw, p.sums)
	l.Floor = floor
	return []Step{{l, func(m *ptx.Module) { EmitGroupedSwiGLUGrad(m, d, c) }}, sumsStep(c.tiles(d), p.choices, p.slots, p.sums, p.dw)}
}

// groupedLinearDGradSwiGLU has operands dy, down, gu, w, offsets, pairs and slots, and results dgu, aw and dw.
var groupedLinearDGradSwiGLU = &Kernel{
	Name: "grouped_swiglu_grad", Op: "grouped_linear_dgrad_swiglu", InPlace: true,
	Covers: func(n *ir.Node) bool {
		return n.Out[0].Type.DType == ir.BF16 && groupedDesc(NN, n.In[1].Type, true, n.Attrs).covered()
	},
	Limit: func(n *ir.Node) string { return expertLimit(n.In[1].Type) },
	Workspace: func(n *ir.Node) int {
		rows := n.In[2].Type.Shape[0]
		d := gradDesc(n.In[1].Type, n.Attrs)
		return 4 * rows.N * d.config(expected(rows)).tiles(d)
	},
	Steps: func(l *ir.Launch) []Step {
		d, rows, choices := gradDesc(l.In[1].Type, l.Attrs), l.In[2].Type.Shape[0], l.In[6].Type.Elements()
		n := expected(rows)
		c := d.config(n)
		f := GroupedSwiGLUGradFloor(d, n, ceil(n, d.TopK), min(d.Experts, n), n)
		f.FLOPs = 2 * padded(n, d.Experts, c.BlockM) * int64(d.Half) * int64(d.K)
		return groupedSwiGLUGrad{d, rows.N, choices, Place(In(0)), Place(In(4)), Place(In(5)), Place(In(6)),
			Place(In(1)), Place(In(2)), Place(In(3)), Place(Out(0)), Place(Out(1)), Place(Out(2)), Place(Work)}.steps(c, f)
	},
}

func gradDesc(down ir.Type, attrs ir.Attrs) GroupedSwiGLUGradDesc {
	return GroupedSwiGLUGradDesc{Experts: down.Dim(0), Half: down.Dim(2), K: down.Dim(1), TopK: attrs.Int("top_k")}
}
