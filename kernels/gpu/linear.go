package gpu

import "moegen/ir"

// denseKernel binds an operation that is one product of operands 0 and 1. It adds operands bias and addend, where they are
// given; none: -1. With a record, which is then operand addend+1, the addend is the gradient that the product accumulates
// into.
func denseKernel(op string, f Form, bias, addend int, accumulates bool) *Kernel {
	given := func(in []bool, i int) bool { return i >= 0 && in[i] }
	desc := func(a, b ir.Type, in []bool) GEMMDesc {
		d := GEMMDesc{Form: f, M: a.Dim(0), N: b.Dim(1), K: a.Dim(1), Bias: given(in, bias)}
		switch f {
		case NT:
			d.N = b.Dim(0)
		case TN:
			d.M, d.K = a.Dim(1), a.Dim(0)
		}
		if given(in, addend) {
			d.Add = Residual
			if accumulates {
				d.Add = Accumulate
			}
		}
		return d
	}
	k := &Kernel{Name: "gemm", Op: op, InPlace: true}
	if accumulates {
		k.Shares = [][2]int{{0, addend}}
	}
	k.Covers = func(n *ir.Node) bool {
		return n.Out[0].Type.DType == ir.BF16 && n.In[0].Type.Elements() > 0 && n.In[1].Type.Elements() > 0
	}
	k.Workspace = func(n *ir.Node) int {
		return product{GEMMDesc: desc(n.In[0].Type, n.In[1].Type, present(n.In))}.workspace()
	}
	k.Steps = func(l *ir.Launch) []Step {
		p := product{GEMMDesc: desc(l.In[0].Type, l.In[1].Type, present(l.In)), a: Place(In(0)), b: Place(In(1)), c: Place(Out(0))}
		if l.Workspace != nil {
			p.work = Place(Work)
		}
		p.bias, p.addend, p.record = Place(In(bias)), Place(In(addend)), Place(In(addend+1))
		return p.steps()
	}
	return k
}

// present tells which operands are given.
func present[T any](operands []*T) []bool {
	out := make([]bool, len(operands))
	for i, o := range operands {
		out[i] = o != nil
	}
	return out
}

var (
	linear      = denseKernel("linear", NT, 2, 3, false)
	linearDGrad = denseKernel("linear_dgrad", NN, -1, 2, false)
	linearWGrad = denseKernel("linear_wgrad", TN, -1, 2, true)
)
