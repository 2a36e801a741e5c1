package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
	"moegen/kernels/tile"
)

// Layers of experts are grouped products by GroupedGEMM's and GroupedWGrad's kernels.

// steps returns the launches of a grouped product whose rows are expected to be so many.
func (p groupedProduct) steps(expected int) []Step {
	configs, _ := GroupedGEMMConfigs(p.GroupedGEMMDesc, expected)
	if len(configs) == 0 {
		panic("BUG: no kernel for a grouped product")
	}
	c := configs[0]
	l := p.launch(c)
	l.Floor = GroupedGEMMFloor(p.GroupedGEMMDesc, expected, ceil(expected, max(p.TopK, 1)), min(p.Experts, expected))
	l.Floor.FLOPs = 2 * padded(expected, p.Experts, c.BlockM) * int64(p.N) * int64(p.K)
	return []Step{{Launch: l, Emit: func(m *ptx.Module) { EmitGroupedGEMM(m, p.GroupedGEMMDesc, c) }}}
}

// padded is how many rows, spread over experts as tokens choose, tiles of so many are expected to have: the last of an expert is
// half full, and an expert with rows has one at least.
func padded(rows, experts, block int) int64 {
	return int64(max(rows+experts*block/2, min(rows, experts)*block))
}

// covered reports whether GroupedGEMM's kernels can do it: rows of A, B and C are multiples of 16 bytes.
func (d GroupedGEMMDesc) covered() bool { return d.K%8 == 0 && d.N%8 == 0 && min(d.K, d.N) > 0 }

// expertLimit says what is wrong with weights [experts, out, in]; "": nothing.
func expertLimit(w ir.Type) string {
	if w.Dim(1)%8 == 0 && w.Dim(2)%8 == 0 {
		return ""
	}
	return fmt.Sprintf("an expert's weights are %d by %d, and hidden_size and moe_intermediate_size must be multiples of 8", w.Dim(1), w.Dim(2))
}

// groupedDesc is the product of rows with the weights [experts, out, in], gathered if there are pairs.
func groupedDesc(f Form, w ir.Type, gathered bool, attrs ir.Attrs) GroupedGEMMDesc {
	d := GroupedGEMMDesc{Form: f, Experts: w.Dim(0), N: w.Dim(1), K: w.Dim(2)}
	if f == NN {
		d.N, d.K = d.K, d.N
	}
	if gathered {
		d.TopK = attrs.Int("top_k")
	}
	return d
}

// groupedRows binds grouped_linear and its gradient by rows: operands x or dy, w, offsets, pairs.
func groupedRows(op string, f Form) *Kernel {
	return &Kernel{
		Name: "grouped_gemm", Op: op,
		Covers: func(n *ir.Node) bool {
			return n.Out[0].Type.DType == ir.BF16 && groupedDesc(f, n.In[1].Type, n.In[3] != nil, n.Attrs).covered()
		},
		Limit: func(n *ir.Node) string { return expertLimit(n.In[1].Type) },
		Steps: func(l *ir.Launch) []Step {
			d, rows := groupedDesc(f, l.In[1].Type, l.In[3] != nil, l.Attrs), l.Out[0].Type.Shape[0]
			return groupedProduct{d, rows.N, Place(In(0)), Place(In(2)), Place(In(3)), Place(In(1)), Place(Out(0))}.steps(expected(rows))
		},
	}
}

// expected is how many rows costs assume.
func expected(rows ir.Dim) int {
	if rows.Bounded {
		return rows.Expected
	}
	return rows.N
}

var (
	groupedLinear      = groupedRows("grouped_linear", NT)
	groupedLinearDGrad = groupedRows("grouped_linear_dgrad", NN)
)

// steps returns the launches of a weight gradient whose rows are expected to be so many.
func (p weightGradient) steps(expected int) []Step {
	configs, _ := GroupedWGradConfigs(p.GroupedWGradDesc, expected)
	if len(configs) == 0 {
		panic("BUG: no kernel for a grouped weight gradient")
	}
	c, d := configs[0], p.GroupedWGradDesc
	d.Accumulate = false // the first micro-batch of a step overwrites
	l := p.launch(c)
	l.Floor = GroupedWGradFloor(d, expected, min(p.rowsA, expected), min(p.rowsB, expected))
	l.Floor.FLOPs = 2 * padded(expected, p.Experts, tile.Depth) * int64(p.M) * int64(p.N)
	return []Step{{Launch: l, Emit: func(m *ptx.Module) { EmitGroupedWGrad(m, p.GroupedWGradDesc, c) }}}
}

// groupedLinearWGrad has operands dy, x, offsets, pairs of dy, pairs of x, gradient and record.
var groupedLinearWGrad = &Kernel{
	Name: "grouped_wgrad", Op: "grouped_linear_wgrad",
	Shares: [][2]int{{0, 5}},
	Covers: func(n *ir.Node) bool {
		dw := n.Out[0].Type
		return dw.DType == ir.BF16 && dw.Dim(1)%8 == 0 && dw.Dim(2)%8 == 0 && dw.Elements() > 0
	},
	Limit: func(n *ir.Node) string { return expertLimit(n.Out[0].Type) },
	Steps: func(l *ir.Launch) []Step {
		dw, rows := l.Out[0].Type, l.In[0].Type.Shape[0]
		d := GroupedWGradDesc{Experts: dw.Dim(0), M: dw.Dim(1), N: dw.Dim(2), Accumulate: l.In[5] != nil}
		if l.In[4] != nil {
			d.TopKB, rows = l.Attrs.Int("top_k"), l.In[4].Type.Shape[0]
		}
		if l.In[3] != nil {
			d.TopKA, rows = l.Attrs.Int("top_k"), l.In[3].Type.Shape[0]
		}
		return weightGradient{d, l.In[0].Type.Dim(0), l.In[1].Type.Dim(0), Place(In(0)), Place(In(1)), Place(In(2)),
			Place(In(3)), Place(In(4)), Place(Out(0)), Place(In(6))}.steps(expected(rows))
	},
}
