package gpu

import (
	"fmt"
	"math"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// SwiGLU on rows of [gate | up], forward and backward. With s = 1/(1 + exp(-gate)):
//
//	a     = bf16(gate · s · up)
//	dgate = bf16(da · up · s · (1 + gate·(1 - s)))     dup = bf16(da · gate · s)
//
// in float32 in between. A thread moves 16 bytes of each half at a time. Every byte moves once: 6·Half a row forward,
// 10·Half backward.

// SwiGLUDesc is what is asked.
type SwiGLUDesc struct {
	Half    int  // elements of gate, and of up, in a row
	Grad    bool // backward
	Counted bool // the number of rows is in memory
}

// SwiGLUConfig fixes one kernel.
type SwiGLUConfig struct {
	Width int // elements of an access
}

// Name is the kernel's entry.
func (c SwiGLUConfig) Name(d SwiGLUDesc) string {
	return fmt.Sprintf("swiglu%s_f%d%s_v%d", mark(d.Grad, "_grad"), d.Half, mark(d.Counted, "_n"), c.Width)
}

// SwiGLUConfigs returns the only candidate: the widest access.
func SwiGLUConfigs(d SwiGLUDesc) (out []SwiGLUConfig, rejected []string) {
	return []SwiGLUConfig{{pieceOf(ptx.BF16, d.Half).n}}, nil
}

// SwiGLUFloor is what so many rows move.
func SwiGLUFloor(d SwiGLUDesc, rows int) Floor {
	halves := 3
	if d.Grad {
		halves = 5
	}
	return Floor{Bytes: int64(2 * halves * d.Half * rows)}
}

// EmitSwiGLU writes the kernel: parameters gu and a, or gu, da and dgu, and how many rows. dgu may be gu.
func EmitSwiGLU(m *ptx.Module, d SwiGLUDesc, c SwiGLUConfig) {
	k := m.Kernel(c.Name(d), streamThreads)
	p := piece{ptx.BF16, c.Width}
	gu, a := k.ParamPtr("gu"), k.ParamPtr("a")
	var dgu ptx.Reg
	if d.Grad {
		dgu = k.ParamPtr("dgu")
	}
	count := countedRows(k, d.Counted)
	k.WaitPrerequisites()
	eachPiece(k, count(), d.Half/c.Width, func(row, col ptx.Reg) {
		at := k.MulWide(col, p.bytes())
		pair, one := k.MadWide(row, 4*d.Half, at), k.Add(a, k.MadWide(row, 2*d.Half, at)).At(0)
		from := k.Add(gu, pair)
		gate, up := p.load(k, once, from.At(0)), p.load(k, once, from.At(2*d.Half))
		if !d.Grad {
			gates, ups := p.floats(k, gate), p.floats(k, up)
			var out []ptx.Reg
			for i, g := range gates {
				out = append(out, gated(k, g, ups[i]))
			}
			p.store(k, one, out)
			return
		}
		da := p.floats(k, p.load(k, once, one))
		dgate, dup := swigluGradient(k, p.floats(k, gate), p.floats(k, up), da)
		to := k.Add(dgu, pair)
		p.store(k, to.At(0), dgate)
		p.store(k, to.At(2*d.Half), dup)
	})
	k.LaunchDependents()
	k.Exit()
}

// sigmoid is 1/(1 + exp(-x)), to 4 units in the last place and 2^-126 absolute.
func sigmoid(k *ptx.Kernel, x ptx.Reg) ptx.Reg {
	return k.RcpApprox(k.Add(k.Ex2(k.Mul(x, -math.Log2E)), 1))
}

// gated is SwiGLU of an element.
func gated(k *ptx.Kernel, gate, up ptx.Reg) ptx.Reg { return k.Mul(k.Mul(gate, sigmoid(k, gate)), up) }

// swigluGradient is the gradient of pieces of gate and up under da.
func swigluGradient(k *ptx.Kernel, gate, up, da []ptx.Reg) (dgate, dup []ptx.Reg) {
	for i, g := range gate {
		s := sigmoid(k, g)
		x, y := swigluSlopes(k, s, k.Mul(g, s), up[i], da[i])
		dgate, dup = append(dgate, x), append(dup, y)
	}
	return dgate, dup
}

// swigluSlopes is the gradient of an element's gate and up under da, with s = sigmoid(gate) and silu = gate·s.
func swigluSlopes(k *ptx.Kernel, s, silu, up, da ptx.Reg) (dgate, dup ptx.Reg) {
	slope := k.Fma(silu, k.Sub(k.Const(ptx.F32, 1), s), s)
	return k.Mul(k.Mul(da, up), slope), k.Mul(da, silu)
}

// step is the launch for at most so many rows.
func (d SwiGLUDesc) step(rows int, args ...Arg) Step {
	configs, _ := SwiGLUConfigs(d)
	c := configs[0]
	return Step{
		Launch: Launch{Entry: c.Name(d), Grid: streamGrid(rows * d.Half / c.Width), Persistent: true, Dependent: true, Args: args},
		Emit:   func(m *ptx.Module) { EmitSwiGLU(m, d, c) },
	}
}

var swiglu = &Kernel{
	Name: "swiglu", Op: "swiglu",
	Covers: func(n *ir.Node) bool {
		return bfloat(n.In[0]) && addressable(n.In[0]) && (n.In[1] != nil || wholeRows(n.In[0]))
	},
	Steps: func(l *ir.Launch) []Step {
		a := l.Out[0].Type
		d := SwiGLUDesc{Half: a.Dim(1), Counted: l.In[1] != nil}
		return []Step{d.step(a.Dim(0), append([]Arg{Place(In(0)), Place(Out(0))}, rowArgs(l, 1, a.Dim(0))...)...)}
	},
}

var swigluGrad = &Kernel{
	Name: "swiglu", Op: "swiglu_grad", InPlace: true,
	Covers: func(n *ir.Node) bool {
		return bfloat(n.In[0], n.In[1]) && addressable(n.In[1]) && (n.In[2] != nil || wholeRows(n.In[0]))
	},
	Steps: func(l *ir.Launch) []Step {
		da := l.In[0].Type
		d := SwiGLUDesc{Half: da.Dim(1), Grad: true, Counted: l.In[2] != nil}
		return []Step{d.step(da.Dim(0), append([]Arg{Place(In(1)), Place(In(0)), Place(Out(0))}, rowArgs(l, 2, da.Dim(0))...)...)}
	},
}

// wholeRows reports whether all rows of a value are there.
func wholeRows(v *ir.Value) bool { return !v.Type.Shape[0].Bounded }

var swigluFamily = Family{Name: "swiglu", Cases: func() []Case {
	return []Case{
		swigluCase(SwiGLUDesc{Half: 72, Counted: true}, 33, 30),
		swigluCase(SwiGLUDesc{Half: 40}, 16, 16),
		swigluCase(SwiGLUDesc{Half: 7, Counted: true}, 9, 0),
		swigluCase(SwiGLUDesc{Half: 64, Grad: true, Counted: true}, 21, 17),
		swigluCase(SwiGLUDesc{Half: 6, Grad: true}, 5, 5),
		large(swigluCase(SwiGLUDesc{Half: 768, Counted: true}, 32768, 32768)),
		large(swigluCase(SwiGLUDesc{Half: 768, Grad: true, Counted: true}, 32768, 32768)),
	}
}}

// swigluCase has room for rows rows, of which count are.
func swigluCase(d SwiGLUDesc, rows, count int) Case {
	gu, da := normal(41, 2), normal(42, 1)
	buffers := []Buffer{{"gu", ptx.BF16, 2 * rows * d.Half, gu}}
	output := Output{Rel: 1.01 * 0x1p-8, Why: "one rounding to bf16; float32's and those of the sigmoid are 2^-13 of that"}
	half := func(i int) (row, col int) { return i / (2 * d.Half), i % d.Half }
	args := []Arg{Place("gu"), Place("a")}
	if d.Grad {
		buffers = append(buffers, Buffer{"a", ptx.BF16, rows * d.Half, da}, Buffer{"dgu", ptx.BF16, 2 * rows * d.Half, nil})
		args, output.Buffer = append(args, Place("dgu")), "dgu"
		output.Acc = 0x1p-20
		output.Why += "; where 1 + gate (1 - s) cancels, those of its terms"
		output.Want = func(i int) (float64, float64, bool) {
			row, col := half(i)
			gate, up, da := gu(2*row*d.Half+col), gu((2*row+1)*d.Half+col), da(row*d.Half+col)
			s := 1 / (1 + math.Exp(-gate))
			if i%(2*d.Half) < d.Half {
				return da * up * s * (1 + gate*(1-s)), math.Abs(da * up), row < count
			}
			return da * gate * s, 0, row < count
		}
	} else {
		buffers, output.Buffer = append(buffers, Buffer{"a", ptx.BF16, rows * d.Half, nil}), "a"
		output.Want = func(i int) (float64, float64, bool) {
			row, col := i/d.Half, i%d.Half
			gate := gu(2*row*d.Half + col)
			return gate / (1 + math.Exp(-gate)) * gu((2*row+1)*d.Half+col), 0, row < count
		}
	}
	if d.Counted {
		buffers = append(buffers, Buffer{"offsets", ptx.S32, 3, numbers([]int{0, count / 2, count})})
		args = append(args, Place("offsets"), U32(2))
	} else {
		args = append(args, U32(rows))
	}
	configs, _ := SwiGLUConfigs(d)
	return Case{
		Name:    fmt.Sprintf("%dof%d_%s", count, rows, configs[0].Name(d)),
		Emit:    func(m *ptx.Module) { EmitSwiGLU(m, d, configs[0]) },
		Buffers: buffers, Launches: []Launch{d.step(rows, args...).Launch}, Outputs: []Output{output},
		Floor: SwiGLUFloor(d, count),
	}
}
