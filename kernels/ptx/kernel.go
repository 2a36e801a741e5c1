package ptx

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// Kernel is a kernel being written. Its methods append instructions. When, Unless, To and Hint return the same kernel
// with something added to each instruction that is appended through what they return.
type Kernel struct {
	*code
	guard string
	to    Reg
	hint  Reg
}

// code is what has been written of a kernel.
type code struct {
	name    string
	threads int
	cluster int
	params  []Param
	shared  int // bytes given out so far
	smem    Reg // address of the block's dynamic shared memory; none before the first use

	lines    []string
	depth    int
	count    map[string]int  // registers of a prefix
	order    []declaration   // registers with names of their own
	taken    map[string]bool // names that no other register can have
	labels   int
	maxReg   maxRegs
	noSpills bool
	finished bool
	err      error
}

func newKernel(name string, threads int) *Kernel {
	k := &Kernel{code: &code{name: name, threads: threads, cluster: 1, count: map[string]int{}, taken: map[string]bool{}}}
	for _, s := range specials {
		k.taken["%"+s.name] = true
	}
	for _, s := range []string{"tid", "ntid", "ctaid", "nctaid", "clusterid", "nclusterid", "warpid"} {
		k.taken["%"+s] = true // vectors, and what kernels have no use for
	}
	if !identifier(name) {
		k.fail("%q cannot be the name of a kernel: letters, digits and _ only", name)
	}
	if threads <= 0 || threads > 1024 || threads%32 != 0 {
		k.fail("a block has 32 to 1024 threads in whole warps, not %d", threads)
	}
	return k
}

func identifier(s string) bool {
	for i, c := range s {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// Cluster makes n blocks along x a cluster. The launch must say the same.
func (k *Kernel) Cluster(n int) {
	if n < 1 || n > 8 || n&(n-1) != 0 {
		k.fail("a cluster has 1, 2, 4 or 8 blocks, not %d", n)
	}
	k.cluster = n
}

// Threads returns the threads of a block.
func (k *Kernel) Threads() int { return k.threads }

// fail keeps the first mistake with the place outside this package that made it.
func (k *Kernel) fail(format string, args ...any) {
	if k.err == nil {
		k.err = fmt.Errorf("%s: %s", callSite(), fmt.Sprintf(format, args...))
	}
}

// Fail reports a mistake of the caller's own rules, as those of this package are reported.
func (k *Kernel) Fail(format string, args ...any) { k.fail(format, args...) }

// source is the folder of this package's files, as the compiler recorded it.
var source = func() string {
	_, file, _, _ := runtime.Caller(0)
	return path.Dir(file)
}()

// callSite returns the first caller outside this package as folder/file:line below the module's root.
func callSite() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if path.Dir(f.File) != source || strings.HasSuffix(f.File, "_test.go") {
			return fmt.Sprintf("%s:%d", strings.TrimPrefix(f.File, strings.TrimSuffix(source, "kernels/ptx")), f.Line)
		}
		if !more {
			return "unknown caller"
		}
	}
}

// Comment puts a line of explanation before the next instruction.
func (k *Kernel) Comment(format string, args ...any) {
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		for _, c := range line {
			if c < ' ' || c > '~' {
				k.fail("comment %q: ptxas takes ASCII only", line)
				return
			}
		}
		k.line("// " + line)
	}
}

func (k *Kernel) line(s string) {
	if k.err == nil {
		k.lines = append(k.lines, strings.Repeat("\t", k.depth+1)+s)
	}
}

// When is k with instructions that only threads execute for which p holds.
func (k *Kernel) When(p Reg) *Kernel { return k.guarded("", p) }

// Unless is k with instructions that only threads execute for which p does not hold.
func (k *Kernel) Unless(p Reg) *Kernel { return k.guarded("!", p) }

func (k *Kernel) guarded(not string, p Reg) *Kernel {
	if p.typ != Pred {
		k.fail("a guard is a predicate, not %s", p.describe())
	}
	if k.guard != "" {
		k.fail("an instruction has one guard")
	}
	g := *k
	g.guard = "@" + not + p.name + " "
	return &g
}

// To is k with instructions that write r instead of a fresh register.
func (k *Kernel) To(r Reg) *Kernel {
	if r.typ == 0 {
		k.fail("To wants a register, not %s", r.describe())
	}
	t := *k
	t.to = r
	return &t
}

// Hint is k with memory instructions that follow an L2 cache policy, made by Policy.
func (k *Kernel) Hint(policy Reg) *Kernel {
	h := *k
	h.hint = policy
	return &h
}

// emit appends an instruction without a result.
func (k *Kernel) emit(op string, operands ...string) {
	if k.to.typ != 0 {
		k.fail("%s has no result that To could place", op)
	}
	if k.hint.typ != 0 {
		k.fail("%s takes no cache policy", op)
	}
	k.instruction(op, operands)
}

func (k *Kernel) instruction(op string, operands []string) {
	if k.finished {
		k.fail("%s behind the end of the kernel", op)
	}
	text := k.guard + op
	if len(operands) > 0 {
		text += " " + strings.Join(operands, ", ")
	}
	k.line(text + ";")
}

// define appends an instruction whose first operand is its result: a fresh register of type t, or the one that To
// named. power is what is known to divide the result.
func (k *Kernel) define(t Type, power uint8, op string, operands ...string) Reg {
	if k.hint.typ != 0 {
		k.fail("%s takes no cache policy", op)
	}
	d := k.result(t, power)
	k.instruction(op, append([]string{d.name}, operands...))
	return d
}

// result returns the register that an instruction of type t writes.
func (k *Kernel) result(t Type, power uint8) Reg {
	if k.to.typ == 0 {
		if k.guard != "" {
			k.fail("a guarded instruction leaves a fresh register undefined elsewhere; To names one that has a value")
		}
		return k.fresh(t, power)
	}
	if !t.accepts(k.to.typ) {
		k.fail("a result of type %s does not go into %s", t, k.to.describe())
	}
	if power < k.to.power {
		k.fail("%s is declared a multiple of %d, which this is not known to be", k.to.name, 1<<k.to.power)
	}
	return k.to
}

// composite refuses guards and destinations before something that is several instructions.
func (k *Kernel) composite(what string) {
	if k.guard != "" || k.to.typ != 0 || k.hint.typ != 0 {
		k.fail("%s is several instructions or none: When, To and Hint do not go with it", what)
	}
}

// fresh returns a register that nothing has written.
func (k *Kernel) fresh(t Type, power uint8) Reg {
	prefix := prefixOf(t)
	n := k.count[prefix]
	k.count[prefix]++
	return Reg{name: fmt.Sprintf("%%%s%d", prefix, n), typ: t, power: power}
}

func prefixOf(t Type) string {
	switch {
	case t == Pred:
		return "p"
	case t.Bits() == 16:
		return "h"
	case t == F32:
		return "f"
	case t.Bits() == 64:
		return "rd"
	}
	return "r"
}

// src prints an operand of type t.
func (k *Kernel) src(t Type, x Operand) string {
	r, ok := x.(Reg)
	if !ok {
		s, err := immediate(t, x)
		if err != nil {
			k.fail("%v", err)
		}
		return s
	}
	if r.typ == 0 || !t.accepts(r.typ) {
		k.fail("%s where %s is wanted", r.describe(), t)
	}
	return r.name
}

// typeOf returns the type of the first register among the operands.
func (k *Kernel) typeOf(xs ...Operand) Type {
	for _, x := range xs {
		if r, ok := x.(Reg); ok {
			if r.typ == 0 {
				k.fail("%s", r.describe())
				return U32
			}
			return r.typ
		}
	}
	k.fail("only constants: compute it in Go")
	return U32
}

// mem prints an address, which is 64 bits wide in global and generic memory and 32 in shared memory.
func (k *Kernel) mem(a Addr, width int) string {
	if a.Base.typ == 0 || a.Base.typ.Bits() != width || a.Base.typ.isFloat() {
		k.fail("%s where an address of %d bits is wanted", a.Base.describe(), width)
	}
	return a.String()
}

// info describes the kernel to its launcher.
func (k *Kernel) info() Info {
	return Info{Name: k.name, Threads: k.threads, Cluster: k.cluster, Shared: k.shared, Params: append([]Param(nil), k.params...)}
}
