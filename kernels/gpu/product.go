package gpu

import (
	"moegen/ir"
	"moegen/kernels/ptx"
	"moegen/kernels/tile"
)

// product is C = A·B + bias + addend among the buffers of an operation. Operands may be parts of larger buffers: rows from
// a multiple of 16 bytes on, which is where Arg.from moves a place. M, N and K are what the form makes of them, see Form.
type product struct {
	GEMMDesc
	a, b, c Arg // places
	bias    Arg // if Bias
	addend  Arg // unless Add is Nothing; it may be c
	record  Arg // if Add is Accumulate
	work    Arg // scratch: as many bytes as workspace says, at a multiple of 16; none: no tile is split along K
}

// config is the Config that steps uses.
func (p product) config() GEMMConfig {
	configs, _ := GEMMConfigs(p.GEMMDesc)
	for _, c := range configs {
		if c.Split == 1 || p.work.Buffer != "" {
			return c
		}
	}
	panic("BUG: no kernel for a product")
}

// workspace returns the bytes of scratch with which a product is the quickest, of undefined content.
func (p product) workspace() int {
	if !p.covered() {
		return 0
	}
	p.work = Place(Work)
	_, all := p.config().workspace(p.GEMMDesc)
	return all
}

// steps returns the launches of a product.
func (p product) steps() []Step {
	if !p.covered() {
		return []Step{p.plainStep()}
	}
	return p.stepsBy(p.config())
}

// stepsBy returns the launches by one Config.
func (p product) stepsBy(c GEMMConfig) (steps []Step) {
	if n := c.flags(p.GEMMDesc); n > 0 {
		steps = append(steps, clearStep(p.work, n))
	}
	return append(steps, Step{p.launch(c), func(m *ptx.Module) { EmitGEMM(m, p.GEMMDesc, c) }})
}

// launch is the launch of a product by one Config.
func (p product) launch(c GEMMConfig) Launch {
	majorA, majorB := p.Form.majors()
	a, b := tile.Operand{Major: majorA, Rows: c.BlockM}, tile.Operand{Major: majorB, Rows: c.BlockN}
	operand := func(at Arg, o tile.Operand, rows, share int) Arg {
		if o.Major == ptx.KMajor {
			return at.matrix(rows, p.K, o.Map(share))
		}
		return at.matrix(p.K, rows, o.Map(share))
	}
	tilesM, tilesN, splitFrom := c.grid(p.GEMMDesc)
	l := Launch{Entry: c.Name(p.GEMMDesc), Grid: (splitFrom + (tilesM*tilesN-splitFrom)*c.Split) * c.Cluster, Persistent: true, Dependent: true, Args: []Arg{
		operand(p.a, a, p.M, 1), operand(p.b, b, p.N, c.Cluster), p.c.matrix(p.M, p.N, tile.StoreMap()),
		U32(ceil(p.K, tile.Depth)), U32(tilesM), U32(tilesN)}, Floor: p.floor()}
	if c.Split > 1 {
		flags, _ := c.workspace(p.GEMMDesc)
		l.Args = append(l.Args, U32(splitFrom), p.work.from(flags), p.work)
	}
	if p.Bias || p.Add != Nothing {
		l.Args = append(l.Args, U32(p.M), U32(p.N))
	}
	l.Args = append(l.Args, p.added()...)
	return l
}

// floor is GEMMFloor, of the first micro-batch of a step where gradients accumulate: it overwrites them.
func (p product) floor() Floor {
	d := p.GEMMDesc
	if d.Add == Accumulate {
		d.Add = Nothing
	}
	return GEMMFloor(d)
}

// added are the arguments of what is added.
func (p product) added() (args []Arg) {
	if p.Bias {
		args = append(args, p.bias)
	}
	if p.Add != Nothing {
		args = append(args, p.addend)
	}
	if p.Add == Accumulate {
		args = append(args, p.record)
	}
	return args
}

// clearStep sets n flags to zero.
func clearStep(flags Arg, n int) Step {
	const threads = 256
	return Step{Launch{Entry: "gemm_clear", Grid: 1, Dependent: true, Args: []Arg{flags, U32(n)}}, func(m *ptx.Module) {
		k := m.Kernel("gemm_clear", threads)
		flags, n := k.ParamPtr("flags"), k.ParamU32("n")
		k.WaitPrerequisites()
		k.For("flag", k.Read(ptx.TidX), n, threads, func(i ptx.Reg) {
			k.St(ptx.Global, k.MadWide(i, 4, flags).At(0), k.Const(ptx.U32, 0))
		})
		k.LaunchDependents()
		k.Exit()
	}}
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

// covered reports whether GEMM's kernels can do it, not plain GEMM's alone: rows of A, B and C are multiples of 16 bytes.
func (d GEMMDesc) covered() bool {
	inner := d.K // of A's rows
	if d.Form == TN {
		inner = d.M
	}
	return inner%8 == 0 && d.N%8 == 0
}

// additions are the parameters of what is added to a product.
type additions struct {
	k                    *ptx.Kernel
	d                    GEMMDesc
	rows, cols           ptx.Reg
	bias, matrix, record ptx.Reg
}

// newAdditions declares M and N, if something is added, and what is added.
func newAdditions(k *ptx.Kernel, d GEMMDesc) additions {
	a := additions{k: k, d: d}
	if d.Bias || d.Add != Nothing {
		a.rows, a.cols = k.ParamU32("m"), k.ParamU32("n")
	}
	a.declare()
	return a
}

// declare declares what is added, in the order of product.added.
func (a *additions) declare() {
	if a.d.Bias {
		a.bias = a.k.ParamPtr("bias")
	}
	if a.d.Add != Nothing {
		a.matrix = a.k.ParamPtr("addend")
	}
	if a.d.Add == Accumulate {
		a.record = a.k.ParamPtr("record")
	}
}

// addends is what consumers add.
func (a additions) addends() (out []*tile.Addend) {
	if a.d.Bias {
		out = append(out, tile.NewAddend(a.k, a.bias, a.rows, a.cols, 0, ptx.Reg{}))
	}
	var on ptx.Reg
	if a.d.Add == Accumulate {
		on = accumulates(a.k, a.record)
	}
	if a.d.Add != Nothing {
		matrix := tile.NewAddend(a.k, a.matrix, a.rows, a.cols, a.k.Shl(a.cols, 1), on)
		if a.d.Add == Residual {
			matrix.Rounded()
		}
		out = append(out, matrix)
	}
	return out
}

// accumulates asks the step record whether gradients add up.
func accumulates(k *ptx.Kernel, record ptx.Reg) ptx.Reg {
	return k.Ne(k.Ld(ptx.Global, ptx.F32, record.At(4*ir.RecordAccumulate)), 0)
}
