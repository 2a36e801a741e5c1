// Package kernels says which kernels there are, which operations they compute and how they are called. The
// code of host kernels is package host of the runtime, that of a GPU's the families of package gpu; tests run every
// kernel through its entry here against the operation's Eval, so that the two cannot drift apart.
//
// The package touches numbers and text only.
package kernels

import (
	"fmt"
	"sort"
	"strings"

	"moegen/ir"
	"moegen/kernels/gpu"
)

// Kernel is one way to compute an operation on a target.
type Kernel struct {
	// Name is what a launch calls it: "host.Linear" is the function Linear of package host, "host.Rank.TapF32"
	// the method TapF32 of its type Rank; "gpu.gemm" stands for the launches of that family.
	Name string
	Op   string // the operation that it computes

	// Covers reports whether the kernel can compute a node of Op; nil: any.
	Covers func(*ir.Node) bool
	// Limit says, in words of a model's config, which size of a node is not covered and what would be; nil, or "": it is not
	// a size of the model.
	Limit func(*ir.Node) string
	// Shares lists pairs {result, operand} that are one buffer to the kernel: it updates the operand. A pair
	// whose operand is left out does not count.
	Shares [][2]int
	// Apart says that results never take the place of operands, except those of Shares.
	Apart bool
	// Workspace returns how many float32 of scratch a node needs; nil: none.
	Workspace func(*ir.Node) int
	// Call returns the arguments of a launch, in the order of the function's parameters; nil where Steps is not.
	Call func(*ir.Launch) []Arg
	// Steps returns the launches on a GPU; nil for a function of the runtime.
	Steps func(*ir.Launch) []gpu.Step
}

// Select returns the kernel for a node on a target, the first in the registry that covers it, or nil.
func Select(target string, n *ir.Node) *Kernel {
	for _, k := range all[target] {
		if k.Op == n.Op.Name && (k.Covers == nil || k.Covers(n)) {
			return k
		}
	}
	return nil
}

// Refusal says why no kernel of a target covers a node.
func Refusal(target string, n *ir.Node) string {
	if !Computes(target, n.Op.Name) {
		return "it has none for the operation"
	}
	for _, k := range all[target] {
		if k.Op == n.Op.Name && k.Limit != nil {
			if why := k.Limit(n); why != "" {
				return why
			}
		}
	}
	var types []string
	for _, v := range n.In {
		if v != nil {
			types = append(types, v.Type.String())
		}
	}
	return "it has none for operands of " + strings.Join(types, ", ")
}

// Lookup returns the kernel of a target that a launch names.
func Lookup(target, name, op string) (*Kernel, bool) {
	for _, k := range all[target] {
		if k.Name == name && k.Op == op {
			return k, true
		}
	}
	return nil, false
}

// Computes reports whether a target has a kernel for an operation.
func Computes(target, op string) bool {
	for _, k := range all[target] {
		if k.Op == op {
			return true
		}
	}
	return false
}

// All returns the kernels of a target, sorted by operation.
func All(target string) []*Kernel { return append([]*Kernel(nil), all[target]...) }

// Targets returns the names of the targets, sorted.
func Targets() []string {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// ArgKind says where an argument of a call comes from.
type ArgKind uint8

const (
	Rank       ArgKind = iota // the *host.Rank that runs the program
	Pool                      // the rank's *host.Pool
	None                      // nil: a part that the operation does without
	Operand                   // the launch's operand Index; nil when it is left out
	Result                    // the launch's result Index
	Workspace                 // the launch's workspace
	Accumulate                // whether this micro-batch adds to the gradients: the record's RecordAccumulate
	Record                    // one element of operand Index, the step record: host's constant Name
	Scalars                   // a list of the first elements of operands Index and up
	DType                     // Value, an element type
	World                     // what the rank knows of all ranks, see gpu.World
	Literal                   // Value: int, float64, bool, string, []int or []float64; Name, if it differs between layers
)

// Arg is one argument of a kernel call.
type Arg struct {
	Kind  ArgKind
	Index int
	Name  string
	Value any
}

// args makes a list of arguments; whatever is no Arg is a literal.
func args(list ...any) []Arg {
	out := make([]Arg, len(list))
	for i, x := range list {
		switch x := x.(type) {
		case Arg:
			out[i] = x
		case int, float64, bool, string, []int, []float64:
			out[i] = Arg{Kind: Literal, Value: x}
		default:
			panic(fmt.Sprintf("BUG: %T is no argument of a kernel", x))
		}
	}
	return out
}

var (
	rank      = Arg{Kind: Rank}
	pool      = Arg{Kind: Pool}
	workspace = Arg{Kind: Workspace}
	none      = Arg{Kind: None}
)

func in(i int) Arg  { return Arg{Kind: Operand, Index: i} }
func out(i int) Arg { return Arg{Kind: Result, Index: i} }

// differing is a literal that launches of one kind may have different values of.
func differing(name string, value any) Arg { return Arg{Kind: Literal, Name: name, Value: value} }

// record is an element of the step record, which is operand i.
func record(i int, name string) Arg { return Arg{Kind: Record, Index: i, Name: name} }

// scalars are the only elements of operands i and up.
func scalars(i int) Arg { return Arg{Kind: Scalars, Index: i} }

// accumulate is the flag of a gradient whose accumulated value is operand grad: without one the kernel
// overwrites.
func accumulate(l *ir.Launch, grad int) Arg {
	if l.In[grad] == nil {
		return Arg{Kind: Literal, Value: false}
	}
	return Arg{Kind: Accumulate}
}

// dims returns the extents of a buffer, bounded ones at their bound.
func dims(b *ir.Buffer) []int {
	d := make([]int, len(b.Type.Shape))
	for i := range d {
		d[i] = b.Type.Dim(i)
	}
	return d
}
