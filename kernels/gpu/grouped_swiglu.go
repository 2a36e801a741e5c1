package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
	"moegen/kernels/tile"
)

// The up projection of a mixture of experts with its activation, SwiGLU of the product's halves [gate | up]:
//
//	gu[r] = bf16(A[r]·B[e]ᵀ)     a[r] = bf16(silu(gate[r])·up[r])     B [experts, 2·Half, K]
//
// for rows of experts, gathered or not, as in grouped GEMM. Backward needs gu, which is written where it is kept. The
// bits are those of the product and SwiGLU one after the other.
//
// A tile has as many columns of gate as of up, two runs of B's rows, so the thread that has an element of one in its
// accumulators has that of the other: nothing is exchanged. 4·R·Half·K operations; what SwiGLU alone would read, 4·Half
// bytes a row, stays where it is.

// GroupedSwiGLUDesc is what is asked.
type GroupedSwiGLUDesc struct {
	Experts, Half, K int
	TopK             int  // as in GroupedGEMMDesc
	Kept             bool // the product is written, too
}

// product is the product by itself.
func (d GroupedSwiGLUDesc) product() GroupedGEMMDesc {
	return GroupedGEMMDesc{Form: NT, Experts: d.Experts, N: 2 * d.Half, K: d.K, TopK: d.TopK}
}

// GroupedSwiGLUConfig fixes one kernel: half of a tile's BlockN columns are gate's.
type GroupedSwiGLUConfig GroupedGEMMConfig

// Name is the kernel's entry.
func (c GroupedSwiGLUConfig) Name(d GroupedSwiGLUDesc) string {
	name := fmt.Sprintf("grouped_swiglu_e%d_f%d_k%d_%s", d.Experts, d.Half, d.K, GroupedGEMMConfig(c).name())
	if d.TopK > 0 {
		name += fmt.Sprintf("_t%d", d.TopK)
	}
	return name + mark(d.Kept, "_kept")
}

func (c GroupedSwiGLUConfig) reject(d GroupedSwiGLUDesc) string {
	if d.Half%8 != 0 {
		return "rows that are no multiple of 16 bytes"
	}
	if c.BlockN%128 != 0 {
		return "half of a tile's columns are whole slabs"
	}
	return GroupedGEMMConfig(c).reject(d.product())
}

// GroupedSwiGLUConfigs returns the candidates for so many rows, cheapest first, and why others are none.
func GroupedSwiGLUConfigs(d GroupedSwiGLUDesc, rows int) (out []GroupedSwiGLUConfig, rejected []string) {
	for _, c := range []GroupedSwiGLUConfig{{128, 256, 4, 1, 0}, {128, 128, 6, 1, 0}, {256, 128, 4, 1, 0}, {128, 192, 5, 1, 0},
		{128, 256, 4, 1, 1}, {128, 256, 4, 1, 2}} {
		if why := c.reject(d); why != "" {
			rejected = append(rejected, c.Name(d)+": "+why)
		} else {
			out = append(out, c)
		}
	}
	sortByCost(out, func(c GroupedSwiGLUConfig) int64 { return GroupedSwiGLUCost(d, c, rows) })
	return out, rejected
}

// GroupedSwiGLUCost is GroupedGEMMCost of the product, and every tile's two special functions an element of a, of
// which a multiprocessor starts 16 a cycle.
func GroupedSwiGLUCost(d GroupedSwiGLUDesc, c GroupedSwiGLUConfig, rows int) int64 {
	p := d.product()
	tiles := d.Experts * ceil(ceil(rows, d.Experts), c.BlockM) * ceil(p.N, c.BlockN)
	return GroupedGEMMCost(p, GroupedGEMMConfig(c), rows) + int64(ceil(tiles, multiprocessors))*int64(c.BlockM*c.BlockN/2*2/16)
}

// GroupedSwiGLUFloor is as GroupedGEMMFloor.
func GroupedSwiGLUFloor(d GroupedSwiGLUDesc, rows, tokens, reached int) Floor {
	f := GroupedGEMMFloor(d.product(), rows, tokens, reached)
	f.Bytes += 2 * int64(rows) * int64(d.Half)
	if !d.Kept {
		f.Bytes -= 4 * int64(rows) * int64(d.Half)
	}
	return f
}

// EmitGroupedSwiGLU writes the kernel: parameters are those of grouped GEMM up to B, then gu if it is kept, and a.
func EmitGroupedSwiGLU(m *ptx.Module, d GroupedSwiGLUDesc, c GroupedSwiGLUConfig) {
	k := m.Kernel(c.Name(d), 128*(1+gemmConsumers))
	if why := c.reject(d); why != "" {
		k.Fail("%s: %s", c.Name(d), why)
		return
	}
	g := newGroupedLoop(k, d.product(), GroupedGEMMConfig(c), 2)
	var gu [2]tile.Columns
	if d.Kept {
		gu = halves(k, k.ParamPtr("gu"), d.Half)
	}
	a := tile.Columns{First: k.ParamPtr("activation"), Count: d.Half, Pitch: d.Half}
	each := 1
	if d.Kept {
		each = 2
	}
	strips := tile.NewStrips(k, gemmConsumers, each)
	g.emit(ending{
		start: strips.Start,
		fetch: func(tile.GroupTile, ptx.Reg) {},
		finish: func(acc []ptx.Acc, t tile.GroupTile, row ptx.Reg) {
			for i := range acc {
				row := k.Add(row, 64*i)
				for slab := range c.BlockN / 128 {
					k.Comment("columns %d to %d", 64*slab, 64*slab+63)
					col := k.Add(t.Col, 64*slab)
					words := func(q int) (gate, up []ptx.Reg) {
						return tile.Words(k, acc[i], 4*slab+q), tile.Words(k, acc[i], 4*slab+q+c.BlockN/32)
					}
					if d.Kept {
						for q := range 4 {
							gate, up := words(q)
							strips.Put(0, q, gate)
							strips.Put(1, q, up)
						}
						k.SyncWarp()
						strips.Store(0, gu[0], row, t.End, col)
						strips.Store(1, gu[1], row, t.End, col)
						k.SyncWarp()
						words = func(q int) (gate, up []ptx.Reg) { return strips.Get(0, q), strips.Get(1, q) } // registers are few
					}
					strips.Send(0, func(q int) (out []ptx.Reg) {
						gate, up := words(q)
						for w := range gate {
							out = append(out, gatedWord(k, gate[w], up[w]))
						}
						return out
					}, a, row, t.End, col)
					k.SyncWarp()
				}
			}
		},
	})
}

// halves are the columns of gate and of up in rows of both.
func halves(k *ptx.Kernel, gu ptx.Reg, half int) [2]tile.Columns {
	return [2]tile.Columns{{First: gu, Count: half, Pitch: 2 * half}, {First: k.Add(gu, 2*half), Count: half, Pitch: 2 * half}}
}

// gatedWord is SwiGLU of two neighbouring elements.
func gatedWord(k *ptx.Kernel, gate, up ptx.Reg) ptx.Reg {
	g0, g1 := k.UnpackBF16(gate)
	u0, u1 := k.UnpackBF16(up)
	return k.PackBF16(gated(k, g0, u0), gated(k, g1, u1))
}

// groupedSwiGLU is a grouped product with SwiGLU among the buffers of an operation.
type groupedSwiGLU struct {
	GroupedSwiGLUDesc
	rows       int // at most
	x, offsets Arg // places
	pairs      Arg // of gathered rows
	w          Arg
	gu         Arg // if kept
	a          Arg
}

// launch is the launch by one Config.
func (p groupedSwiGLU) launch(c GroupedSwiGLUConfig) Launch {
	g := groupedProduct{p.product(), p.rows, p.x, p.offsets, p.pairs, p.w, Arg{}}
	l := g.launchOf(c.Name(p.GroupedSwiGLUDesc), GroupedGEMMConfig(c), 2)
	if p.Kept {
		l.Args = append(l.Args, p.gu)
	}
	l.Args = append(l.Args, p.a)
	return l
}

// steps returns the launches of a product whose rows are expected to be so many.
func (p groupedSwiGLU) steps(expected int) []Step {
	configs, _ := GroupedSwiGLUConfigs(p.GroupedSwiGLUDesc, expected)
	if len(configs) == 0 {
		panic("BUG: no kernel for a grouped product with SwiGLU")
	}
	c := configs[0]
	l := p.launch(c)
	l.Floor = GroupedSwiGLUFloor(p.GroupedSwiGLUDesc, expected, ceil(expected, max(p.TopK, 1)), min(p.Experts, expected))
	l.Floor.FLOPs = 4 * padded(expected, p.Experts, c.BlockM) * int64(p.Half) * int64(p.K)
	return []Step{{Launch: l, Emit: func(m *ptx.Module) { EmitGroupedSwiGLU(m, p.GroupedSwiGLUDesc, c) }}}
}

// groupedSwiGLUKernel binds grouped_linear_swiglu, or the operation that keeps the product: operands x, w, offsets, pairs.
func groupedSwiGLUKernel(op string, kept bool) *Kernel {
	return &Kernel{
		Name: "grouped_swiglu", Op: op,
		Covers: func(n *ir.Node) bool {
			w := n.In[1].Type
			return n.Out[0].Type.DType == ir.BF16 && groupedDesc(NT, w, false, n.Attrs).covered() && w.Dim(1)%16 == 0
		},
		Limit: func(n *ir.Node) string { return expertLimit(n.In[1].Type) },
		Steps: func(l *ir.Launch) []Step {
			w, a := l.In[1].Type, l.Out[len(l.Out)-1].Type
			d := GroupedSwiGLUDesc{Experts: w.Dim(0), Half: w.Dim(1) / 2, K: w.Dim(2), Kept: kept}
			if l.In[3] != nil {
				d.TopK = l.Attrs.Int("top_k")
			}
			rows := a.Shape[0]
			return groupedSwiGLU{d, rows.N, Place(In(0)), Place(In(2)), Place(In(3)), Place(In(1)),
				Place(Out(0)), Place(Out(len(l.Out) - 1))}.steps(expected(rows))
		},
	}
}

var (
	groupedLinearSwiGLU     = groupedSwiGLUKernel("grouped_linear_swiglu", false)
	groupedLinearSwiGLUKeep = groupedSwiGLUKernel("grouped_linear_swiglu_keep", true)
)
