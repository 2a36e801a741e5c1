package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// AdamW (Loshchilov and Hutter 2019, as torch.optim.AdamW computes it), in float32, every operation rounded once:
//
//	g = grad·scale     m = β1·m + (1−β1)·g     v = β2·v + (1−β2)·g·g
//	w = w·(1 − lr·decay) − lr/(1−β1^t) · (m / (sqrt(v)·(1/sqrt(1−β2^t)) + ε))
//
// The update takes m and v as they are before they are rounded. Three profiles differ in what is kept of a weight:
//
//	bf16     weight and moments in bf16                                                 8 bytes in and 6 out for a weight
//	split    weight in two halves of a float32, moments in bf16, rounded stochastically   10 and 8
//	master   weight, exact weight and moments, the latter three in float32                14 and 14
//
// Every byte moves once; memory decides. A thread has a few times eight weights, 16 bytes of each array in bf16. Where replicas share
// the weights, a rank updates its own part of them; gradients, moments and what else is kept exist for that part alone.

const (
	adamWThreads = 256 // of a block
	adamWEights  = 4   // pieces of eight weights a thread
)

// adamWForm is how an array holds numbers.
type adamWForm uint8

const (
	nearest adamWForm = iota // bf16, rounded to nearest even
	upper                    // bf16: the upper half of 32 bits, what is below it cut off
	lower                    // int16: the lower half of 32 bits
	whole                    // float32
)

// elem is the type of an element.
func (f adamWForm) elem() ptx.Type { return [...]ptx.Type{ptx.BF16, ptx.BF16, ptx.S16, ptx.F32}[f] }

// adamWArray is an array with an element a weight.
type adamWArray struct {
	name    string
	form    adamWForm
	written bool
	kept    bool // for the own part alone
}

// AdamWDesc is what is asked. The number of weights is an argument, but for its rest modulo 8.
type AdamWDesc struct {
	Profile string // bf16, split, master
	Of      ir.Replicas
	Rest    int
}

// arrays lists a profile's arrays, in the order of the kernel's parameters and of the operation's operands.
func (d AdamWDesc) arrays() []adamWArray {
	switch d.Profile {
	case "bf16":
		return []adamWArray{{"w", nearest, true, false}, {"grad", nearest, false, true}, {"m", nearest, true, true}, {"v", nearest, true, true}}
	case "split":
		return []adamWArray{{"w", upper, true, false}, {"grad", nearest, false, true}, {"low", lower, true, true}, {"m", upper, true, true}, {"v", upper, true, true}}
	case "master":
		return []adamWArray{{"w", nearest, true, false}, {"grad", nearest, false, true}, {"exact", whole, true, true}, {"m", whole, true, true}, {"v", whole, true, true}}
	}
	panic("BUG: no profile " + d.Profile)
}

func (d AdamWDesc) name() string {
	name := fmt.Sprintf("adamw_%s_n%d", d.Profile, d.Rest)
	if d.Of.Parts > 1 {
		name += fmt.Sprintf("_p%d_s%d", d.Of.Parts, d.Of.Stride)
	}
	return name
}

// emit writes the kernel: parameters are the arrays, the clip factor, the step record, the number of weights, where there are several
// parts of them how many are a share, and, for split, the number of the array's random bits.
func (d AdamWDesc) emit(m *ptx.Module) {
	k := m.Kernel(d.name(), adamWThreads)
	a := &adamW{k: k, AdamWDesc: d}
	var bases []ptx.Reg
	for _, array := range d.arrays() {
		bases = append(bases, k.ParamPtr(array.name))
	}
	clip, record, count := k.ParamPtr("scale"), k.ParamPtr("record"), k.ParamU64("count")
	var share, stream ptx.Reg
	if d.Of.Parts > 1 {
		share = k.ParamU64("share")
	}
	if d.Profile == "split" {
		stream = k.ParamU32("stream")
	}
	k.WaitPrerequisites()
	if d.Of.Parts > 1 {
		var first ptx.Reg
		first, count = ownPart(k, d.Of, recordNumber(k, record, ir.RecordRank), share, count)
		for i, array := range d.arrays() {
			if !array.kept {
				bases[i] = k.Add(bases[i], k.Shl(first, log2(array.form.elem().Bytes())))
			}
		}
	}
	a.constants(clip, record)
	switch d.Profile {
	case "split":
		a.random(record, stream)
	case "master":
		a.first = k.Eq(k.Ld(fixed, ptx.F32, record.At(4*ir.RecordStep)), 1.0)
	}
	eight := k.MadWide(k.Read(ptx.CtaIDX), adamWThreads*adamWEights, k.Convert(ptx.U64, k.Read(ptx.TidX)))
	for i := range adamWEights {
		a.eight(k.Shl(k.Add(eight, adamWThreads*i), 3), count, bases)
	}
	k.LaunchDependents()
	k.Exit()
}

// ownPart is where a rank's part of count elements begins and how many it has, both in 64 bits.
func ownPart(k *ptx.Kernel, of ir.Replicas, rank, share, count ptx.Reg) (first, own ptx.Reg) {
	first = k.Min(k.Mul(k.Convert(ptx.U64, replicaNumber(k, rank, of)), share), count)
	return first, k.Min(k.Sub(count, first), share)
}

// recordNumber is a whole number of the step record.
func recordNumber(k *ptx.Kernel, record ptx.Reg, i int) ptx.Reg {
	return k.Convert(ptx.U32, k.Ld(fixed, ptx.F32, record.At(4*i)))
}

// adamW holds what is the same for all weights.
type adamW struct {
	AdamWDesc
	k                             *ptx.Kernel
	scale                         ptx.Reg
	beta1, beta2, gain1, gain2    ptx.Reg
	keep, rate, invSqrtBias2, eps ptx.Reg
	key                           ptx.Reg // split: of the random bits
	first                         ptx.Reg // master: whether this is the first step
}

func (a *adamW) constants(clip, record ptx.Reg) {
	k := a.k
	field := func(i int) ptx.Reg { return k.Ld(fixed, ptx.F32, record.At(4*i)) }
	a.scale = k.Ld(fixed, ptx.F32, clip.At(0))
	a.beta1, a.beta2, a.gain1, a.gain2 = field(ir.RecordBeta1), field(ir.RecordBeta2), field(ir.RecordGain1), field(ir.RecordGain2)
	lr := field(ir.RecordLR)
	k.Comment("1 - lr decay, lr/(1 - beta1^t), 1/sqrt(1 - beta2^t)")
	a.keep = k.Sub(k.Const(ptx.F32, 1), k.Mul(lr, field(ir.RecordDecay)))
	a.rate = k.Div(lr, field(ir.RecordBias1))
	a.invSqrtBias2 = k.Rcp(k.Sqrt(field(ir.RecordBias2)))
	a.eps = field(ir.RecordEps)
}

// random prepares the random bits; see the operation adamw_split.
func (a *adamW) random(record, stream ptx.Reg) {
	a.key = stream
	for _, i := range []int{ir.RecordRank, ir.RecordSeed, ir.RecordStep} {
		a.key = a.hash(a.k.Add(a.key, recordNumber(a.k, record, i)))
	}
}

// hash is a bijection whose result depends evenly on every bit (Wellons, "Prospecting for Hash Functions", 2018: lowbias32).
func (a *adamW) hash(x ptx.Reg) ptx.Reg {
	k := a.k
	x = k.Mul(k.Xor(x, k.Shr(x, 16)), 0x7FEB352D)
	x = k.Mul(k.Xor(x, k.Shr(x, 15)), 0x846CA68B)
	return k.Xor(x, k.Shr(x, 16))
}

// eight updates the weights from first on, up to eight of count.
func (a *adamW) eight(first, count ptx.Reg, bases []ptx.Reg) {
	k, arrays := a.k, a.arrays()
	var places []ptx.Reg
	for i, base := range bases {
		places = append(places, k.Add(base, k.Shl(first, log2(arrays[i].form.elem().Bytes()))))
	}
	var place ptx.Reg // of the first, modulo 2^32
	if a.Profile == "split" {
		place = k.Convert(ptx.U32, first)
	}
	k.If(k.Le(k.Add(first, 8), count), func() {
		in := make([][]ptx.Reg, len(arrays))
		for i, array := range arrays {
			in[i] = a.load(array, places[i])
		}
		out := make([][]ptx.Reg, len(arrays))
		for j := range 8 {
			var weight []ptx.Reg
			for i := range arrays {
				weight = append(weight, in[i][j])
			}
			for i, x := range a.weight(weight, place, j) {
				out[i] = append(out[i], x)
			}
		}
		for i, array := range arrays {
			if array.written {
				a.store(array.form, places[i], out[i])
			}
		}
	})
	if a.Rest == 0 {
		return
	}
	k.Comment("the last %d, by one thread", a.Rest)
	k.If(k.And(k.Lt(first, count), k.Gt(k.Add(first, 8), count)), func() {
		for j := range a.Rest {
			var weight []ptx.Reg
			for i, array := range arrays {
				weight = append(weight, a.loadOne(array, places[i].At(j*array.form.elem().Bytes())))
			}
			for i, x := range a.weight(weight, place, j) {
				if array := arrays[i]; array.written {
					k.St(ptx.Global, places[i].At(j*array.form.elem().Bytes()), a.half(array.form, x))
				}
			}
		}
	})
}

// load reads eight numbers as float32, the lower halves as int32. The weights of profile master are read in the first
// step only.
func (a *adamW) load(array adamWArray, at ptx.Reg) (out []ptx.Reg) {
	k := a.k
	access := ptx.Stream
	if array.written {
		access = once
	}
	if array.form == whole {
		return append(k.LdVec(access, ptx.F32, 4, at.At(0)), k.LdVec(access, ptx.F32, 4, at.At(16))...)
	}
	words := k.DeclareArray(ptx.B32, array.name, 4)
	from := k
	if a.unread(array) {
		for _, w := range words {
			k.Assign(w, 0)
		}
		from = k.When(a.first)
	}
	from.LdInto(access, words, at.At(0))
	for _, w := range words {
		low, high := k.UnpackBF16(w)
		if array.form == lower {
			low, high = k.Shr(low.As(ptx.S32), 16), k.Shr(w.As(ptx.S32), 16)
		}
		out = append(out, low, high)
	}
	return out
}

// loadOne reads one number.
func (a *adamW) loadOne(array adamWArray, at ptx.Addr) ptx.Reg {
	k := a.k
	switch {
	case array.form == whole:
		return k.Ld(ptx.Global, ptx.F32, at)
	case array.form == lower:
		return k.Convert(ptx.S32, k.Ld(ptx.Global, ptx.S16, at))
	case a.unread(array):
		x := k.Var(ptx.F32, array.name, 0.0)
		k.If(a.first, func() { k.To(x).Convert(ptx.F32, k.Ld(ptx.Global, ptx.BF16, at)) })
		return x
	}
	return k.Convert(ptx.F32, k.Ld(ptx.Global, ptx.BF16, at))
}

// unread tells whether only the first step reads an array.
func (a *adamW) unread(array adamWArray) bool { return a.Profile == "master" && array.name == "w" }

// store writes eight numbers.
func (a *adamW) store(form adamWForm, at ptx.Reg, values []ptx.Reg) {
	k := a.k
	if form == whole {
		k.St(ptx.Global, at.At(0), values[:4]...)
		k.St(ptx.Global, at.At(16), values[4:]...)
		return
	}
	var words []ptx.Reg
	for j := 0; j < 8; j += 2 {
		low, high := values[j], values[j+1]
		switch form {
		case nearest:
			words = append(words, k.PackBF16(low, high).As(ptx.B32))
		case upper:
			words = append(words, k.Permute(low, high, 0x7632))
		case lower:
			words = append(words, k.Permute(low, high, 0x5410))
		}
	}
	k.St(ptx.Global, at.At(0), words...)
}

// half is an element of an array.
func (a *adamW) half(form adamWForm, x ptx.Reg) ptx.Reg {
	switch form {
	case nearest:
		return a.k.Convert(ptx.BF16, x)
	case upper:
		return a.k.Split(ptx.B16, x)[1]
	case lower:
		return a.k.Split(ptx.B16, x)[0]
	}
	return x
}

// weight updates the j-th weight from place on: from the elements of all arrays to what becomes of them.
func (a *adamW) weight(in []ptx.Reg, place ptx.Reg, j int) []ptx.Reg {
	k := a.k
	switch a.Profile {
	case "split":
		w := k.Add(in[0].As(ptx.U32), in[2].As(ptx.U32)).As(ptx.F32)
		w, m, v := a.step(w, in[1], in[3], in[4])
		bits := a.hash(k.Add(a.hash(k.Add(place, j)), a.key))
		exact := a.number(w, w.As(ptx.U32))
		return []ptx.Reg{k.Add(exact, 0x8000), in[1], exact,
			a.number(m, k.Add(m.As(ptx.U32), k.And(bits, 0xFFFF))), a.number(v, k.Add(v.As(ptx.U32), k.Shr(bits, 16)))}
	case "master":
		w, m, v := a.step(k.Select(a.first, in[0], in[2]), in[1], in[3], in[4])
		return []ptx.Reg{w, in[1], w, m, v}
	}
	w, m, v := a.step(in[0], in[1], in[2], in[3])
	return []ptx.Reg{w, in[1], m, v}
}

// notANumber has upper half 0x7FC0, also where 0x8000 is added.
const notANumber = 0x7FC00000

// number is bits, or those of no number where x is none: adding to these could make one of them.
func (a *adamW) number(x, bits ptx.Reg) ptx.Reg {
	return a.k.Select(a.k.Eq(x, x), bits, a.k.Const(ptx.U32, notANumber))
}

// step is the arithmetic of a weight.
func (a *adamW) step(w, grad, m, v ptx.Reg) (w1, m1, v1 ptx.Reg) {
	k := a.k
	g := k.Mul(grad, a.scale)
	m1 = k.Add(k.Mul(a.beta1, m), k.Mul(a.gain1, g))
	v1 = k.Add(k.Mul(a.beta2, v), k.Mul(k.Mul(a.gain2, g), g))
	update := k.Div(m1, k.Add(k.Mul(k.Sqrt(v1), a.invSqrtBias2), a.eps))
	return k.Sub(k.Mul(w, a.keep), k.Mul(a.rate, update)), m1, v1
}

// AdamWFloor is what the update of n weights moves: every array is read, but for a weight that is made of an exact one.
func AdamWFloor(d AdamWDesc, n int) (f Floor) {
	for _, a := range d.arrays() {
		bytes := int64(a.form.elem().Bytes()) * int64(ir.Share(n, d.Of.Parts))
		if d.Profile != "master" || a.name != "w" {
			f.Bytes += bytes
		}
		if a.written {
			f.Bytes += bytes
		}
	}
	return f
}

// adamWStep is the update of n weights; arrays names their buffers.
func adamWStep(d AdamWDesc, n int, arrays []string, scale, record string, stream uint32) Step {
	d.Rest = n % 8
	share := ir.Share(n, d.Of.Parts)
	l := Launch{Entry: d.name(), Grid: ceil(share, 8*adamWThreads*adamWEights), Dependent: true, Floor: AdamWFloor(d, n)}
	for _, name := range arrays {
		l.Args = append(l.Args, Place(name))
	}
	l.Args = append(l.Args, Place(scale), Place(record), U64(n))
	if d.Of.Parts > 1 {
		l.Args = append(l.Args, U64(share))
	}
	if d.Profile == "split" {
		l.Args = append(l.Args, Arg{Type: ptx.U32, Bits: uint64(stream), Differs: "stream"})
	}
	return Step{l, d.emit}
}

// adamWBy is the kernel of an operation.
func adamWBy(op, profile string, shares [][2]int) *Kernel {
	n := len(AdamWDesc{Profile: profile}.arrays())
	return &Kernel{
		Name: "adamw", Op: op, Shares: shares,
		Covers: func(n *ir.Node) bool { return bfloat(n.In[:2]...) },
		Steps: func(l *ir.Launch) []Step {
			d, stream := AdamWDesc{Profile: profile, Of: replicasOf(l.Attrs)}, 0
			if profile == "split" {
				stream = l.Attrs.Int("stream")
			}
			var arrays []string
			for i := range n {
				arrays = append(arrays, In(i))
			}
			return []Step{adamWStep(d, l.In[0].Type.Elements(), arrays, In(n), In(n+1), uint32(stream))}
		},
	}
}

var (
	adamWKernel       = adamWBy("adamw", "bf16", [][2]int{{0, 0}, {1, 2}, {2, 3}})
	adamWMasterKernel = adamWBy("adamw_master", "master", [][2]int{{0, 0}, {1, 2}, {2, 3}, {3, 4}})
	adamWSplitKernel  = adamWBy("adamw_split", "split", [][2]int{{0, 0}, {1, 2}, {2, 3}, {3, 4}})
)
