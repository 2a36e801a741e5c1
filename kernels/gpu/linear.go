package gpu

import (
	"moegen/ir"
	"moegen/kernels/ptx"
)

// Dense layers are products by GEMM's kernels.

// product is C = A·B among the buffers of an operation. Operands may be parts of larger buffers: rows from a multiple of
// 16 bytes on, which is where Arg.from moves a place. M, N and K are what the form makes of them, see Form.
type product struct {
	GEMMDesc
	a, b, c Arg // places
}

// covered reports whether GEMM's kernels can do it: rows of A, B and C are multiples of 16 bytes.
func (d GEMMDesc) covered() bool {
	inner := d.K // of A's rows
	if d.Form == TN {
		inner = d.M
	}
	return inner%8 == 0 && d.N%8 == 0 && min(d.M, d.N, d.K) > 0
}

// steps returns the launches of a product.
func (p product) steps() []Step {
	configs, _ := GEMMConfigs(p.GEMMDesc)
	for _, c := range configs {
		if c.Split == 1 {
			return []Step{{Launch: p.launch(c), Emit: func(m *ptx.Module) { EmitGEMM(m, p.Form, c) }}}
		}
	}
	panic("BUG: no kernel for a product")
}

// from is the place bytes behind a.
func (a Arg) from(bytes int) Arg {
	a.Offset += bytes
	return a
}

// matrix is a tensor map over a row-major matrix that begins at a place: rows of cols elements.
func (a Arg) matrix(rows, cols int, spec ptx.MapSpec) Arg {
	m := MapOf(a.Buffer, rows, cols, spec)
	m.Offset = a.Offset
	return m
}

func bfloat(values ...*ir.Value) bool {
	for _, v := range values {
		if v != nil && v.Type.DType != ir.BF16 {
			return false
		}
	}
	return true
}

var linear = &Kernel{
	Name: "gemm", Op: "linear",
	Covers: func(n *ir.Node) bool {
		return n.In[2] == nil && n.In[3] == nil && bfloat(n.In...) && linearDesc(NT, n.In[0].Type, n.In[1].Type).covered()
	},
	Steps: func(l *ir.Launch) []Step {
		return product{linearDesc(NT, l.In[0].Type, l.In[1].Type), Place(In(0)), Place(In(1)), Place(Out(0))}.steps()
	},
}

var linearDGrad = &Kernel{
	Name: "gemm", Op: "linear_dgrad",
	Covers: func(n *ir.Node) bool {
		return n.In[2] == nil && bfloat(n.In...) && linearDesc(NN, n.In[0].Type, n.In[1].Type).covered()
	},
	Steps: func(l *ir.Launch) []Step {
		return product{linearDesc(NN, l.In[0].Type, l.In[1].Type), Place(In(0)), Place(In(1)), Place(Out(0))}.steps()
	},
}

var linearWGrad = &Kernel{
	Name: "gemm", Op: "linear_wgrad",
	Covers: func(n *ir.Node) bool {
		return n.In[2] == nil && bfloat(n.In[0], n.In[1]) && linearDesc(TN, n.In[0].Type, n.In[1].Type).covered()
	},
	Steps: func(l *ir.Launch) []Step {
		return product{linearDesc(TN, l.In[0].Type, l.In[1].Type), Place(In(0)), Place(In(1)), Place(Out(0))}.steps()
	},
}

// linearDesc is the product of two matrices as they are stored.
func linearDesc(f Form, a, b ir.Type) GEMMDesc {
	d := GEMMDesc{Form: f, M: a.Dim(0), N: b.Dim(1), K: a.Dim(1)}
	switch f {
	case NT:
		d.N = b.Dim(0)
	case TN:
		d.M, d.K = a.Dim(1), a.Dim(0)
	}
	return d
}
