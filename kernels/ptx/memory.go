package ptx

import "strings"

// Access says how memory is read or written; the package's Global, Shared and so on are ordinary accesses, and a copy
// with more fields set is another kind.
type Access struct {
	Space Space
	Order Order // none: weak, unordered
	Scope Scope // of an ordered access
	Const bool  // ld.global.nc: nobody writes these bytes while the kernel runs
	L1    L1    // eviction from the first-level cache
	L2    int   // bytes to prefetch into the second-level cache: 64, 128 or 256; 0: none
}

// Space is a state space of memory.
type Space string

// The state spaces. Addresses in global memory have 64 bits, the others 32.
const (
	GlobalSpace  Space = "global"
	SharedSpace  Space = "shared"          // of the thread's block
	ClusterSpace Space = "shared::cluster" // of any block of the cluster; addresses from Map
)

// Order is what an access promises about others.
type Order string

// The orders. Volatile is relaxed at the scope of the system.
const (
	Relaxed  Order = "relaxed"
	Acquire  Order = "acquire"
	Release  Order = "release"
	AcqRel   Order = "acq_rel"
	Volatile Order = "volatile"
)

// Scope is the set of threads among which an order holds.
type Scope string

// The scopes: a block, a cluster, a GPU, all GPUs and the host.
const (
	CTA     Scope = "cta"
	Cluster Scope = "cluster"
	GPU     Scope = "gpu"
	Sys     Scope = "sys"
)

// L1 says what the first-level cache does with a line.
type L1 string

// Lines that are read once.
const (
	NoAllocate L1 = "no_allocate"
	EvictFirst L1 = "evict_first"
)

// Plain accesses.
var (
	Global        = Access{Space: GlobalSpace}
	Shared        = Access{Space: SharedSpace}
	SharedCluster = Access{Space: ClusterSpace}
	// Stream reads what the kernel reads once and nobody writes meanwhile.
	Stream = Access{Space: GlobalSpace, Const: true, L1: NoAllocate, L2: 256}
)

func (s Space) width() int {
	if s == GlobalSpace {
		return 64
	}
	return 32
}

// name prints the modifiers of a load or store.
func (k *Kernel) access(op string, a Access) string {
	if a.Space != GlobalSpace && a.Space != SharedSpace && a.Space != ClusterSpace {
		k.fail("%q is no state space that %s takes", a.Space, op)
	}
	parts := []string{op}
	switch {
	case a.Order == Volatile:
		parts = append(parts, "volatile")
	case a.Order != "":
		if a.Scope == "" || op == "ld" && a.Order != Relaxed && a.Order != Acquire || op == "st" && a.Order != Relaxed && a.Order != Release {
			k.fail("%s takes no order %s at scope %q", op, a.Order, a.Scope)
		}
		parts = append(parts, string(a.Order), string(a.Scope))
	case a.Scope != "":
		k.fail("a scope without an order means nothing")
	}
	parts = append(parts, string(a.Space))
	if a.Const {
		if op != "ld" || a.Space != GlobalSpace || a.Order != "" {
			k.fail("only weak loads from global memory can be of constant data")
		}
		parts = append(parts, "nc")
	}
	if a.L1 != "" {
		parts = append(parts, "L1::"+string(a.L1))
	}
	if k.hint.typ != 0 {
		parts = append(parts, "L2::cache_hint")
	}
	switch a.L2 {
	case 0:
	case 64, 128, 256:
		if op != "ld" {
			k.fail("%s prefetches nothing", op)
		}
		parts = append(parts, map[int]string{64: "L2::64B", 128: "L2::128B", 256: "L2::256B"}[a.L2])
	default:
		k.fail("a prefetch of %d bytes; 64, 128 or 256", a.L2)
	}
	if (a.L1 != "" || a.L2 != 0 || k.hint.typ != 0) && a.Space != GlobalSpace {
		k.fail("%s memory has no caches to steer", a.Space)
	}
	return strings.Join(parts, ".")
}

// hinted adds the operand of a cache policy.
func (k *Kernel) hinted(operands ...string) []string {
	if k.hint.typ != 0 {
		operands = append(operands, k.src(B64, k.hint))
	}
	return operands
}

// Ld loads one element.
func (k *Kernel) Ld(a Access, t Type, at Addr) Reg {
	d := k.result(t.carrier(), 0)
	k.instruction(k.access("ld", a)+"."+t.carrier().String(), k.hinted(d.name, k.mem(at, a.Space.width())))
	return d.untyped(t)
}

// LdVec loads two or four neighbouring elements, at most 16 bytes, in one access; the address is a multiple of its size.
func (k *Kernel) LdVec(a Access, t Type, n int, at Addr) []Reg {
	if k.to.typ != 0 || k.guard != "" {
		k.fail("LdVec writes fresh registers: neither To nor When goes with it; LdInto does")
	}
	out := make([]Reg, n)
	for i := range out {
		out[i] = k.fresh(t, 0)
	}
	k.LdInto(a, out, at)
	return out
}

// LdInto loads two or four neighbouring elements into registers that exist.
func (k *Kernel) LdInto(a Access, into []Reg, at Addr) {
	list, t := k.vector(into)
	k.instruction(k.access("ld", a)+vec(len(into))+"."+t.String(), k.hinted(list, k.mem(at, a.Space.width())))
}

// St stores one, two or four neighbouring elements, at most 16 bytes, in one access; the address is a multiple of its
// size.
func (k *Kernel) St(a Access, at Addr, values ...Reg) {
	list, t := k.vector(values)
	k.instruction(k.access("st", a)+vec(len(values))+"."+t.String(), k.hinted(k.mem(at, a.Space.width()), list))
}

func vec(n int) string {
	if n == 1 {
		return ""
	}
	return map[int]string{2: ".v2", 4: ".v4"}[n]
}

// vector prints registers of one type as one operand.
func (k *Kernel) vector(values []Reg) (string, Type) {
	if n := len(values); n != 1 && n != 2 && n != 4 {
		k.fail("a vector of %d elements; 1, 2 or 4", n)
		return "", B32
	}
	t := k.typeOf(values[0])
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = k.src(t, v)
	}
	if t == Pred || t.Bits()*len(values) > 128 {
		k.fail("%d elements of %s in one access", len(values), t)
	}
	if len(values) == 1 {
		return names[0], t.carrier()
	}
	return "{" + strings.Join(names, ", ") + "}", t.carrier()
}

// Prefetch brings the line of a global address into the second-level cache.
func (k *Kernel) Prefetch(at Addr) { k.emit("prefetch.global.L2", k.mem(at, 64)) }

// Eviction is how long the second-level cache keeps lines.
type Eviction string

// The evictions of a policy.
const (
	KeepShort  Eviction = "evict_first"
	KeepNormal Eviction = "evict_normal"
	KeepLong   Eviction = "evict_last"
)

// Policy makes a cache policy for Hint.
func (k *Kernel) Policy(e Eviction) Reg {
	return k.define(B64, 0, "createpolicy.fractional.L2::"+string(e)+".b64", "0f3F800000")
}
