package ptx

import (
	"fmt"
	"strings"
)

// Acc holds the accumulators of one warpgroup's wgmma: a tile of 64 rows and N columns of float32. Thread t of the
// warpgroup, with w = t/32, g = (t mod 32)/4 and q = t mod 4, has in register i row 16w + g + 8·(i/2 mod 2) and column
// 8·(i/4) + 2q + i mod 2.
type Acc struct {
	N    int
	Regs []Reg // N/2
}

// Accumulator declares accumulators for n columns and sets them to zero: an accumulator that a wgmma defines makes
// ptxas up to 12.8 run all of them one after the other.
func (k *Kernel) Accumulator(name string, n int) Acc {
	if n < 8 || n > 256 || n%8 != 0 {
		k.fail("accumulators of %d columns; a multiple of 8 up to 256", n)
		n = 8
	}
	a := Acc{N: n, Regs: k.DeclareArray(F32, name, n/2)}
	for _, r := range a.Regs {
		k.Assign(r, 0)
	}
	return a
}

// Major says which way an operand of wgmma is contiguous in shared memory.
type Major uint8

// An operand A[m][k] or B[n][k] is K-major if k is contiguous, MN-major if m or n is.
const (
	KMajor Major = iota
	MNMajor
)

// Layout is where an operand's rows lie in shared memory, behind its start address: bytes from one group of 8 rows (of
// 8 values of k if it is MN-major) to the next, and for MN-major operands from one span of the swizzle along mn to the
// next. K-major operands do not use Leading.
type Layout struct {
	Swizzle Swizzle
	Leading int
	Stride  int
}

// Descriptor describes an operand of wgmma that starts at an address in shared memory, a multiple of 16 below 2^18. Adding
// n to it moves the start by 16·n bytes.
func (k *Kernel) Descriptor(start Reg, l Layout) Reg {
	k.composite("Descriptor")
	code, ok := map[Swizzle]uint64{NoSwizzle: 0, Swizzle128: 1, Swizzle64: 2, Swizzle32: 3}[l.Swizzle]
	if !ok || l.Leading < 0 || l.Leading%16 != 0 || l.Leading >= 1<<18 || l.Stride <= 0 || l.Stride%16 != 0 || l.Stride >= 1<<18 {
		k.fail("%+v is no layout: distances are multiples of 16 below 2^18", l)
	}
	k.sharedAt(start.At(0), 16, "an operand of wgmma")
	fixed := code<<62 | uint64(l.Stride>>4)<<32 | uint64(max(l.Leading>>4, 1))<<16
	// In a cluster the upper bits of a shared address name the block.
	low := k.Shr(k.And(start, 1<<18-1), 4)
	return k.define(B64, 0, "or.b64", k.Convert(U64, low).name, fmt.Sprintf("0x%016X", fixed)).untyped(U64)
}

// WgmmaFence orders the warpgroup's use of accumulators and A registers before it with the wgmmas behind it.
func (k *Kernel) WgmmaFence() { k.emit("wgmma.fence.sync.aligned") }

// WgmmaCommit closes the group of wgmmas under way.
func (k *Kernel) WgmmaCommit() { k.emit("wgmma.commit_group.sync.aligned") }

// WgmmaWait waits until at most n of the newest groups are under way. Accumulators and A registers of the others may be
// touched.
func (k *Kernel) WgmmaWait(n int) { k.emit("wgmma.wait_group.sync.aligned", fmt.Sprint(n)) }

// Wgmma starts acc = a·bᵀ (+ acc if the predicate or bool add holds) for one step along k, both operands of type t in
// shared memory: 16 values of k for BF16 and F16, 8 for TF32, 32 for E4M3 and E5M2. Only 16-bit types can be MN-major.
func (k *Kernel) Wgmma(t Type, acc Acc, a, b Reg, add Operand, aMajor, bMajor Major) {
	k.wgmma(t, acc, k.src(B64, a), k.src(B64, b), add, k.transposed(t, aMajor, bMajor)...)
}

// WgmmaRegs is Wgmma with a in four registers of two 16-bit numbers: register i, half h of thread t (as in Acc) holds row
// 16w + g + 8·(i mod 2) and value 2q + h + 8·(i/2) of k.
func (k *Kernel) WgmmaRegs(t Type, acc Acc, a [4]Reg, b Reg, add Operand, bMajor Major) {
	names := make([]string, 4)
	for i, r := range a {
		names[i] = k.src(B32, r)
	}
	k.wgmma(t, acc, "{"+strings.Join(names, ", ")+"}", k.src(B64, b), add, k.transposed(t, bMajor)...)
}

func (k *Kernel) transposed(t Type, majors ...Major) []string {
	var out []string
	for _, m := range majors {
		if t.Bits() == 16 {
			out = append(out, fmt.Sprint(m))
		} else if m != KMajor {
			k.fail("an operand of %s cannot be MN-major", t)
		}
	}
	return out
}

func (k *Kernel) wgmma(t Type, acc Acc, a, b string, add Operand, transposed ...string) {
	depth := map[Type]int{BF16: 16, F16: 16, TF32: 8, E4M3: 32, E5M2: 32}[t]
	if depth == 0 {
		k.fail("no wgmma of %s", t)
	}
	if len(acc.Regs) == 0 || len(acc.Regs) != acc.N/2 {
		k.fail("accumulators that Accumulator did not make")
	}
	names := make([]string, len(acc.Regs))
	for i, r := range acc.Regs {
		names[i] = r.name
	}
	operands := []string{"{" + strings.Join(names, ", ") + "}", a, b, k.src(Pred, add), "1", "1"}
	k.emit(fmt.Sprintf("wgmma.mma_async.sync.aligned.m64n%dk%d.f32.%s.%s", acc.N, depth, t, t), append(operands, transposed...)...)
}
