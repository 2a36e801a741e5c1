package ptx_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"moegen/internal/golden"
	"moegen/internal/ptxas"
	"moegen/kernels/ptx"
)

// axpy is the example of the package's documentation.
func axpy(m *ptx.Module) {
	k := m.Kernel("axpy", 256)
	x, y, a, n := k.ParamPtr("x"), k.ParamPtr("y"), k.ParamF32("a"), k.ParamU32("n")
	i := k.Mad(k.Read(ptx.CtaIDX), 256, k.Read(ptx.TidX))
	k.If(k.Lt(i, n), func() {
		at := k.MulWide(i, 4)
		px, py := k.Add(x, at).At(0), k.Add(y, at).At(0)
		k.Comment("y = a x + y")
		k.St(ptx.Global, py, k.Fma(a, k.Ld(ptx.Global, ptx.F32, px), k.Ld(ptx.Global, ptx.F32, py)))
	})
	k.Exit()
}

// The modules whose text is pinned: together they print every instruction group.
var modules = []struct {
	name  string
	build func(*ptx.Module)
}{
	{"axpy", axpy},
	{"scalar", scalar},
	{"memory", memory},
	{"warp", warp},
	{"async", async},
	{"matrix", matrix},
}

func TestText(t *testing.T) {
	for _, c := range modules {
		t.Run(c.name, func(t *testing.T) {
			text := build(t, c.build)
			if again := build(t, c.build); again != text {
				t.Error("printed differently the second time")
			}
			golden.File(t, "testdata/"+c.name+".ptx", []byte(text))
		})
	}
}

func TestAssembles(t *testing.T) {
	tools, err := ptxas.Find()
	if errors.Is(err, ptxas.ErrNone) {
		t.Skip("not assembled: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
	for _, tool := range tools {
		for _, c := range modules {
			if _, err := tool.Assemble(build(t, c.build)); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

func build(t *testing.T, f func(*ptx.Module)) string {
	t.Helper()
	m := ptx.NewModule()
	f(m)
	text, err := m.Text()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func scalar(m *ptx.Module) {
	k := m.Kernel("scalar", 128)
	out, n, eps := k.ParamPtr("out"), k.ParamU32("n"), k.ParamF32("eps")
	big := k.ParamU64("big")
	i := k.Var(ptx.S32, "i", -3)
	k.Comment("integers")
	u := k.Max(k.Min(k.Sub(k.Div(n, 7), k.Rem(n, 5)), 9), k.MulHi(n, n))
	s := k.Abs(k.Neg(k.Mad(i, 3, k.Shr(i, 2))))
	wide := k.MadWide(n, 4, k.MulWide(n, 8))
	wide = k.Add(wide, k.Mul(big, 3))
	b := k.Xor(k.Or(k.And(n, 0xFF), k.Shl(n, 3)), k.Not(n))
	b = k.Insert(k.Bits(b, 4, 8), b, 16, 8)
	b = k.Add(b, k.Add(k.Popc(b), k.Add(k.Clz(b), k.Add(k.Bfind(b), k.Brev(b)))))
	w := k.Permute(k.FunnelShr(k.FunnelShl(b, n, 5), n, 7), k.Lop3(b, n, u, 0xE8), 0x5410)
	k.Comment("floats")
	f := k.Convert(ptx.F32, n)
	f = k.Add(f, k.Sub(k.Mul(f, 0.1), k.Div(f, eps)))
	f = k.Add(k.Ex2(f), k.Add(k.Lg2(f), k.Add(k.RcpApprox(f), k.Add(k.RsqrtApprox(f), k.Add(k.SqrtApprox(f), k.TanhApprox(f))))))
	f = k.Max(k.Min(k.Add(k.Rcp(f), k.Sqrt(f)), 1e30), -1)
	d := k.Convert(ptx.F64, f)
	d = k.Fma(d, 0.5, d)
	h := k.PackBF16(f, eps)
	h = k.Fma(h, h, k.Add(h, k.Mul(h, k.Sub(h, h))))
	h = k.TanhHalf(k.Ex2Half(k.Max(h, k.Neg(h))))
	lo, hi := k.UnpackBF16(h)
	q := k.Join(ptx.B32, k.PackFP8(ptx.E4M3, lo, hi), k.PackFP8(ptx.E5M2, lo, hi))
	g := k.PackF16(lo, k.RoundTF32(hi).As(ptx.F32))
	half := k.Split(ptx.BF16, h)
	back := k.Add(k.Convert(ptx.F32, half[0]), k.Convert(ptx.F32, k.Convert(ptx.BF16, f)))
	k.Comment("predicates and control flow")
	p := k.And(k.Lt(f, eps), k.Or(k.Eq(n, 4), k.Not(k.Ge(s, 2))))
	p = k.Xor(p, k.Or(k.Ne(f, 0), k.Or(k.Le(n, 8), k.Gt(n, 1))))
	sum := k.Var(ptx.U32, "sum", 0)
	k.For("row", 0, 16, 4, func(r ptx.Reg) { k.To(sum).Add(sum, r) })
	k.For("row", n, 99, 1, func(r ptx.Reg) { k.When(p).To(sum).Add(sum, r) })
	k.IfElse(p, func() { k.Assign(sum, 1) }, func() { k.Unless(k.Eq(n, 1)).Assign(sum, k.Const(ptx.U32, 2)) })
	k.Loop(func(l ptx.Loop) {
		k.To(sum).Add(sum, sum)
		l.BreakUnless(k.Lt(sum, 1000))
		k.Sleep(100)
	})
	k.When(k.Gt(sum, 1<<20)).Trap()
	k.St(ptx.Global, out.At(0), k.Select(p, sum, u), b, w.As(ptx.U32), q.As(ptx.U32))
	k.St(ptx.Global, out.At(16), wide, k.Convert(ptx.U64, g.As(ptx.U32)))
	k.St(ptx.Global, out.At(32), d)
	k.St(ptx.Global, out.At(40), back)
	k.Exit()
}

func memory(m *ptx.Module) {
	k := m.Kernel("memory", 128)
	k.NoSpills()
	p, q := k.ParamPtr("p"), k.ParamPtr("q")
	s := k.SharedBytes(4096, 128)
	t := k.SharedBytes(16, 16)
	here := k.Shl(k.Read(ptx.TidX), 4)
	at := k.Add(k.Lea(s), here)
	keep := k.Policy(ptx.KeepLong)
	v := k.LdVec(ptx.Stream, ptx.B32, 4, p.At(16))
	k.Hint(keep).LdInto(ptx.Global, v, p.At(32))
	k.LdInto(ptx.Global, v, k.Add(p, 256).At(-64)) // an offset below zero
	k.St(ptx.Shared, at.At(0), v...)
	k.Sync()
	x := k.Ld(ptx.Access{Space: ptx.SharedSpace, Order: ptx.Volatile}, ptx.F32, t.At(4))
	flag := k.Ld(ptx.Access{Space: ptx.GlobalSpace, Order: ptx.Acquire, Scope: ptx.Sys}, ptx.U32, q.At(0))
	k.St(ptx.Access{Space: ptx.GlobalSpace, Order: ptx.Release, Scope: ptx.GPU}, q.At(0), flag)
	k.Hint(k.Policy(ptx.KeepShort)).St(ptx.Access{Space: ptx.GlobalSpace, L1: ptx.NoAllocate}, q.At(64), k.LdVec(ptx.Shared, ptx.F32, 2, s.At(8))...)
	bf := k.Ld(ptx.Global, ptx.BF16x2, p.At(4))
	k.Prefetch(p.At(4096))
	global := ptx.Access{Space: ptx.GlobalSpace}
	old := k.Atom(ptx.Access{Space: ptx.GlobalSpace, Order: ptx.AcqRel, Scope: ptx.Sys}, ptx.AtomAdd, q.At(128), flag)
	old = k.AtomCAS(global, q.At(132), old, flag)
	old = k.Atom(ptx.Shared, ptx.AtomExch, t.At(0), old)
	k.Atom(global, ptx.AtomMax, q.At(136), old)
	k.Atom(global, ptx.AtomOr, q.At(140), old)
	k.Red(ptx.Access{Space: ptx.GlobalSpace, Order: ptx.Release, Scope: ptx.GPU}, ptx.AtomInc, q.At(144), old)
	k.Red(global, ptx.AtomAdd, q.At(256), x, x, x, x)
	k.Red(global, ptx.AtomAdd, q.At(272), bf, bf)
	k.Red(global, ptx.AtomAdd, q.At(280), bf)
	k.Red(ptx.Shared, ptx.AtomAdd, t.At(8), x)
	k.Fence(ptx.Sys)
	k.FenceSC(ptx.GPU)
	k.Exit()
}

func warp(m *ptx.Module) {
	k := m.Kernel("warp", 256)
	out := k.ParamPtr("out")
	x := k.Read(ptx.LaneID)
	f := k.SumLanes(k.Convert(ptx.F32, x), 32)
	f = k.MaxLanes(f, 4)
	x = k.Add(k.ShflIdx(x, 3), k.Add(k.ShflUp(x, 1), k.ShflDown(x, 2)))
	p := k.Lt(x, 7)
	x = k.Add(x, k.Add(k.Ballot(p), k.MatchAny(x)))
	x = k.Add(k.Redux(ptx.AtomAdd, x), k.Redux(ptx.AtomXor, x))
	p = k.And(k.Any(p), k.Or(k.All(p), k.Elect()))
	k.SyncWarp()
	k.IfElse(k.Lt(k.Read(ptx.TidX), 128), func() { k.SyncNamed(1, 256) }, func() { k.ArriveNamed(1, 256) })
	k.When(p).St(ptx.Global, out.At(0), x, f.As(ptx.U32))
	k.Exit()
}

func async(m *ptx.Module) {
	k := m.Kernel("async", 384)
	k.Cluster(2)
	a := k.TensorMap("a", ptx.MapSpec{Elem: ptx.BF16, Box: []int{64, 128}, Swizzle: ptx.Swizzle128})
	c := k.TensorMap("c", ptx.MapSpec{Elem: ptx.F32, Box: []int{32, 64, 1}})
	p, rows := k.ParamPtr("p"), k.ParamU32("rows")
	tile, plain, full := k.SharedBytes(16384, 1024), k.SharedBytes(8192, 128), k.SharedBytes(16, 8)
	k.PrefetchMap(a)
	lead := k.Eq(k.Read(ptx.TidX), 0)
	k.If(lead, func() {
		k.MbarrierInit(full, 1)
		k.MbarrierInit(full.At(8), 1+128)
		k.FenceBarrierInit()
	})
	k.ClusterArrive(true)
	k.ClusterWait()
	k.WaitPrerequisites()
	k.IfElse(k.Lt(k.Read(ptx.TidX), 128), func() {
		k.DropRegisters(40, 1)
		k.If(lead, func() {
			k.MbarrierExpect(full, a.Bytes()+c.Bytes())
			col := k.VarMultiple(64, "col", 0)
			k.To(col).Add(col, 64)
			k.Hint(k.Policy(ptx.KeepLong)).TMALoad(tile, a, full, col, rows)
			k.TMALoadMulticast(tile, a, full, k.Const(ptx.U16, 3), k.Assume(rows, 8, "the plan pads it"), -5)
			k.TMALoad(plain, c, full, 0, rows, 0)
			k.TMAPrefetch(a, 64, 0)
			k.BulkLoad(tile, p.At(256), 1024, full)
		})
		k.CpAsync(plain.At(16), p.At(16), 16, k.Select(lead, k.Const(ptx.U32, 16), 0))
		k.CpAsync(plain.At(4), p.At(4), 4, 4)
		k.CpAsyncCommit()
		k.CpAsyncWait(0)
		k.CpAsyncWaitAll()
		k.CpAsyncArrive(full.At(8))
	}, func() {
		k.TakeRegisters(232, 2)
		k.MbarrierWait(full, 0)
		k.MbarrierArrive(full)
		k.When(lead).MbarrierArriveRemote(k.Map(full, 1).At(0))
		k.FenceProxyAsync(false)
		k.If(lead, func() {
			k.TMAStore(c, plain, 0, rows, 0)
			k.TMAReduceAdd(c, plain, 4, rows, 0)
			k.BulkStore(p.At(0), plain, 512)
			k.BulkReduceAdd(ptx.F32, p.At(0), plain, 512)
			k.BulkReduceAdd(ptx.BF16, p.At(0), plain, 512)
			k.BulkPrefetch(p.At(0), 4096)
			k.BulkCommit()
			k.BulkWaitRead(1)
			k.BulkWait(0)
			remote := k.Map(full, 0).At(0)
			k.BulkSend(k.Map(plain, 0).At(0), plain, 64, remote)
			k.StAsync(k.Map(plain, 0).At(64), remote, rows, rows)
		})
		k.FenceProxyAsync(true)
	})
	k.LaunchDependents()
	k.ClusterArrive(false)
	k.ClusterWait()
	k.Exit()
}

func matrix(m *ptx.Module) {
	k := m.Kernel("matrix", 128)
	s := k.SharedBytes(65536, 1024)
	out := k.ParamPtr("out")
	acc := k.Accumulator("acc", 64)
	kMajor := k.Descriptor(k.Lea(s), ptx.Layout{Swizzle: ptx.Swizzle128, Stride: 1024})
	mnMajor := k.Descriptor(k.Lea(s.At(32768)), ptx.Layout{Swizzle: ptx.Swizzle64, Leading: 4096, Stride: 512})
	row := k.Add(k.Lea(s), k.Shl(k.Read(ptx.LaneID), 4)).At(0)
	x := k.LdMatrix(4, false, row)
	y := k.LdMatrix(2, true, row)
	k.StMatrix(true, row.At(512), x...)
	k.StMatrix(false, row, k.Transpose8(y[0]))
	var d [4]ptx.Reg
	for i := range d {
		d[i] = k.Var(ptx.F32, fmt.Sprint("sum_", string(rune('a'+i))), 0)
	}
	k.Mma(ptx.BF16, d, [4]ptx.Reg(x), [2]ptx.Reg(y))
	k.MmaTF32(d, [4]ptx.Reg(x), [2]ptx.Reg(y))
	k.FenceProxyAsync(false)
	k.Sync()
	more := k.Ne(k.Read(ptx.CtaIDX), 0)
	k.WgmmaFence()
	k.Wgmma(ptx.BF16, acc, kMajor, mnMajor, more, ptx.KMajor, ptx.MNMajor)
	k.Wgmma(ptx.TF32, acc, k.Add(kMajor, 2), kMajor, true, ptx.KMajor, ptx.KMajor)
	k.Wgmma(ptx.E4M3, acc, kMajor, kMajor, true, ptx.KMajor, ptx.KMajor)
	k.WgmmaRegs(ptx.F16, acc, [4]ptx.Reg(x), mnMajor, true, ptx.MNMajor)
	k.WgmmaCommit()
	k.WgmmaWait(0)
	k.St(ptx.Global, out.At(0), acc.Regs[:4]...)
	k.St(ptx.Global, out.At(16), d[:]...)
	k.Exit()
}

// Every mistake is a sentence with the line that made it, and the first one stays.
func TestMistakes(t *testing.T) {
	bf16 := ptx.MapSpec{Elem: ptx.BF16, Box: []int{64, 8}, Swizzle: ptx.Swizzle128}
	for _, c := range []struct {
		name    string
		threads int
		write   func(*ptx.Kernel)
		want    string
	}{
		{"288 threads with setmaxnreg", 288, func(k *ptx.Kernel) { k.DropRegisters(40, 1) },
			"a block of 288 threads moves registers: it must be whole warpgroups of 128, or it hangs"},
		{"a warpgroup that keeps its registers", 384, func(k *ptx.Kernel) { k.TakeRegisters(232, 2) },
			"2 warpgroups set their registers in a block of 3; each must"},
		{"more registers than there are", 384, func(k *ptx.Kernel) { k.DropRegisters(48, 1); k.TakeRegisters(240, 2) },
			"the warpgroups take 528 registers a thread in all; 3 of 168 are launched"},
		{"odd register count", 384, func(k *ptx.Kernel) { k.DropRegisters(42, 1) }, "42 registers a thread; a multiple of 8 from 24 to 256"},
		{"unaligned coordinate", 128, func(k *ptx.Kernel) {
			k.TMALoad(k.SharedBytes(1024, 1024), k.TensorMap("a", bf16), k.SharedBytes(8, 8), 4, 0)
		}, "must be a multiple of 16 bytes (8 elements of bf16); 4 is not known to be"},
		{"coordinate of unknown alignment", 128, func(k *ptx.Kernel) {
			k.TMAStore(k.TensorMap("a", bf16), k.SharedBytes(1024, 1024), k.ParamU32("col"), 0)
		}, "must be a multiple of 16 bytes (8 elements of bf16); %r0 is not known to be"},
		{"unaligned tile", 128, func(k *ptx.Kernel) {
			k.TMALoad(k.SharedBytes(2048, 1024).At(128), k.TensorMap("a", bf16), k.SharedBytes(8, 8), 0, 0)
		}, "wants a shared address that is a multiple of 1024"},
		{"unswizzled tile at 64 bytes", 128, func(k *ptx.Kernel) {
			k.TMALoad(k.SharedBytes(2048, 1024).At(64), k.TensorMap("a", ptx.MapSpec{Elem: ptx.F32, Box: []int{4, 4}}), k.SharedBytes(8, 8), 0, 0)
		}, "wants a shared address that is a multiple of 128"},
		{"negative store", 128, func(k *ptx.Kernel) {
			k.TMAStore(k.TensorMap("a", bf16), k.SharedBytes(1024, 1024), 0, -1)
		}, "a tensor store at the negative coordinate -1"},
		{"a map that is none", 128, func(k *ptx.Kernel) { k.TMAStore(ptx.TensorMap{MapSpec: bf16}, k.SharedBytes(1024, 1024), 0, 0) },
			"a tensor map that TensorMap did not make"},
		{"box wider than its swizzle", 128, func(k *ptx.Kernel) {
			k.TensorMap("a", ptx.MapSpec{Elem: ptx.F32, Box: []int{64}, Swizzle: ptx.Swizzle128})
		}, "rows of 256 bytes in a box are wider than the swizzle of 128"},
		{"multicast without a cluster", 128, func(k *ptx.Kernel) {
			k.TMALoadMulticast(k.SharedBytes(1024, 1024), k.TensorMap("a", bf16), k.SharedBytes(8, 8), 3, 0, 0)
		}, "a multicast without a cluster"},
		{"variable of multiples", 128, func(k *ptx.Kernel) { v := k.VarMultiple(64, "col", 0); k.To(v).Add(v, 32) },
			"%col is declared a multiple of 64, which this is not known to be"},
		{"accumulators from nowhere", 128, func(k *ptx.Kernel) {
			d := k.Descriptor(k.Lea(k.SharedBytes(1024, 1024)), ptx.Layout{Swizzle: ptx.Swizzle128, Stride: 1024})
			k.Wgmma(ptx.BF16, ptx.Acc{N: 64}, d, d, true, ptx.KMajor, ptx.KMajor)
		}, "accumulators that Accumulator did not make"},
		{"mixed types", 128, func(k *ptx.Kernel) { k.Add(k.ParamU32("n"), k.ParamF32("x")) }, "%f0 of type f32 where u32 is wanted"},
		{"signs mixed", 128, func(k *ptx.Kernel) { k.Max(k.ParamU32("n"), k.Var(ptx.S32, "i", 0)) }, "%i of type s32 where u32 is wanted"},
		{"large constant", 128, func(k *ptx.Kernel) { k.Add(k.ParamU32("n"), 1<<32) }, "4294967296 does not fit u32"},
		{"constants only", 128, func(k *ptx.Kernel) { k.Add(1, 2) }, "only constants: compute it in Go"},
		{"no register", 128, func(k *ptx.Kernel) { k.Add(ptx.Reg{}, 2) }, "a register that nothing wrote"},
		{"reinterpretation of another width", 128, func(k *ptx.Kernel) { k.Add(k.ParamU32("n").As(ptx.U64), 2) }, "%r0 of type u32 as u64"},
		{"guarded definition", 128, func(k *ptx.Kernel) { n := k.ParamU32("n"); k.When(k.Eq(n, 0)).Add(n, 2) },
			"a guarded instruction leaves a fresh register undefined elsewhere"},
		{"guarded loop", 128, func(k *ptx.Kernel) {
			k.When(k.Eq(k.ParamU32("n"), 0)).For("i", 0, 3, 1, func(ptx.Reg) {})
		}, "For is several instructions or none"},
		{"64-bit address in shared memory", 128, func(k *ptx.Kernel) { k.Ld(ptx.Shared, ptx.F32, k.ParamPtr("p").At(0)) },
			"where an address of 32 bits is wanted"},
		{"unordered scope", 128, func(k *ptx.Kernel) {
			k.Ld(ptx.Access{Space: ptx.GlobalSpace, Scope: ptx.GPU}, ptx.F32, k.ParamPtr("p").At(0))
		}, "a scope without an order means nothing"},
		{"barrier 0 by name", 128, func(k *ptx.Kernel) { k.SyncNamed(0, 128) }, "named barriers are 1 to 15, not 0"},
		{"accented comment", 128, func(k *ptx.Kernel) { k.Comment("caf\u00e9") }, "ptxas takes ASCII only"},
		{"too much shared memory", 128, func(k *ptx.Kernel) { k.SharedBytes(232449, 8) }, "232449 bytes of shared memory; a block has at most 232448"},
		{"first of two", 128, func(k *ptx.Kernel) { k.Comment("\n\u00e9"); k.Add(1, 2) }, "ptxas takes ASCII only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := ptx.NewModule()
			k := m.Kernel("k", c.threads)
			c.write(k)
			k.Exit()
			text, err := m.Text()
			if err == nil {
				t.Fatalf("accepted:\n%s", text)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q lacks %q", err, c.want)
			}
			if !strings.Contains(err.Error(), "kernel k: ") {
				t.Errorf("error %q names no kernel", err)
			}
		})
	}
}

// The line is that of the caller outside the package, however deep inside it the mistake was seen.
func TestMistakesNameTheLine(t *testing.T) {
	m := ptx.NewModule()
	k := m.Kernel("k", 128)
	k.For("i", 0, 4, 1, func(i ptx.Reg) {
		k.MbarrierWait(i.At(0), 0) // not a multiple of 8
	})
	_, err := m.Text()
	const want = "kernel k: kernels/ptx/ptx_test.go:"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Fatalf("%v; want %s...", err, want)
	}
	lines := strings.Split(readSelf(t), "\n")
	var n int
	if _, scan := fmt.Sscanf(strings.TrimPrefix(err.Error(), want), "%d:", &n); scan != nil || !strings.Contains(lines[n-1], "not a multiple of 8") {
		t.Errorf("%v names line %d", err, n)
	}
}

func readSelf(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("ptx_test.go")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
