package ir

import (
	"fmt"
	"slices"
	"strings"
)

// DType is the element type of a value.
type DType uint8

const (
	F32 DType = iota
	F64
	I32
	BF16
	I16
)

var dtypeNames = [...]string{F32: "f32", F64: "f64", I32: "i32", BF16: "bf16", I16: "i16"}

var dtypeSizes = [...]int64{F32: 4, F64: 8, I32: 4, BF16: 2, I16: 2}

// String returns the name used in the text form: f32, f64, i32, bf16, i16.
func (d DType) String() string { return dtypeNames[d] }

// ParseDType returns the element type of a name, or an error.
func ParseDType(name string) (DType, error) {
	i := slices.Index(dtypeNames[:], name)
	if i < 0 {
		return 0, fmt.Errorf("there is no element type %q", name)
	}
	return DType(i), nil
}

// Size returns the bytes of one element.
func (d DType) Size() int64 { return dtypeSizes[d] }

// Float reports whether models compute in this type: whether weights and activations can have it. What a model
// needs more exactly than that, or as whole numbers, has a type of its own whatever this one is.
func (d DType) Float() bool { return d == F32 || d == BF16 }

// Dim is one extent of a shape. A bounded dim holds at most N rows; how many there are is known at run time
// only, from a count that the operations over it take as an ordinary operand; Expected is what costs assume.
type Dim struct {
	N        int
	Bounded  bool
	Expected int // of a bounded dim
}

// Type is the element type and shape of a value, row-major.
type Type struct {
	DType DType
	Shape []Dim
}

// Fixed returns a type whose dims are all fixed.
func Fixed(d DType, dims ...int) Type {
	t := Type{DType: d, Shape: make([]Dim, len(dims))}
	for i, n := range dims {
		t.Shape[i] = Dim{N: n}
	}
	return t
}

// Bounded returns a type whose first dim is bounded.
func Bounded(d DType, first Dim, dims ...int) Type {
	t := Fixed(d, append([]int{first.N}, dims...)...)
	t.Shape[0] = first
	return t
}

// Dim returns extent i (its bound, when bounded); negative i counts from the end.
func (t Type) Dim(i int) int {
	if i < 0 {
		i += len(t.Shape)
	}
	return t.Shape[i].N
}

// Elements returns the number of elements, bounded dims at their bound.
func (t Type) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d.N
	}
	return n
}

// Expected returns the number of elements, bounded dims at what is expected.
func (t Type) Expected() int64 {
	n := int64(1)
	for _, d := range t.Shape {
		if d.Bounded {
			n *= int64(d.Expected)
		} else {
			n *= int64(d.N)
		}
	}
	return n
}

// Bytes returns the size in memory, bounded dims at their bound.
func (t Type) Bytes() int64 { return int64(t.Elements()) * t.DType.Size() }

// Equal reports whether two types agree in element type and every dim.
func (t Type) Equal(u Type) bool {
	if t.DType != u.DType || len(t.Shape) != len(u.Shape) {
		return false
	}
	for i := range t.Shape {
		if t.Shape[i] != u.Shape[i] {
			return false
		}
	}
	return true
}

// String returns the text form: f32[512 128], i32[<=2048~1024 4] (at most 2048, 1024 expected).
func (t Type) String() string {
	dims := make([]string, len(t.Shape))
	for i, d := range t.Shape {
		dims[i] = fmt.Sprint(d.N)
		if d.Bounded {
			dims[i] = fmt.Sprintf("<=%d~%d", d.N, d.Expected)
		}
	}
	return t.DType.String() + "[" + strings.Join(dims, " ") + "]"
}

// Role says what a value is to the outside of the graph. Values with a role other than Activation are
// operands that no node defines; they live for the life of the process.
type Role uint8

const (
	Activation Role = iota // defined by a node, lives as long as it is used
	Input                  // written by the host before a run: tokens, targets, the step record
	Constant               // computed once at start: rope tables
	Weight                 // a trained parameter
	Gradient               // the accumulated gradient of a parameter
	State                  // optimizer state
	Result                 // written by a run, read by the host or by another program: losses, norms, logits
)

var roleNames = [...]string{"activation", "input", "const", "param", "grad", "state", "result"}

// String returns the name used in the text form.
func (r Role) String() string { return roleNames[r] }

// Value is one tensor: an operand given from outside, or a result of a node.
type Value struct {
	Name  string // unique in its graph; "layers.3.qkv_TQ"
	Type  Type
	Role  Role
	Param *Param // of a Weight; its gradient and state point to the same
	Def   *Node  // the node that defines it; nil for operands from outside
}

// Node is one operation.
type Node struct {
	Op      *Op
	In      []*Value // nil entries: optional operands left out
	Out     []*Value
	Attrs   Attrs
	Section string // part of the model it belongs to: "layers.3", "embed", "head"; passes keep it
}

// Graph is a straight-line list of nodes in execution order, every operand defined before its use.
type Graph struct {
	Name    string
	Ranks   int      // ranks that run this graph, 1 before sharding
	Outside []*Value // operands with a role, in declaration order
	Nodes   []*Node
	Results []Write // what the graph leaves behind
}

// Write says that at the end of the graph the value From is what To holds: a Gradient, a Weight, a State or a
// Result. From must have To's type.
type Write struct {
	To, From *Value
}

// Lookup returns the value with that name, or nil.
func (g *Graph) Lookup(name string) *Value {
	for _, v := range g.Outside {
		if v.Name == name {
			return v
		}
	}
	for _, n := range g.Nodes {
		for _, v := range n.Out {
			if v.Name == name {
				return v
			}
		}
	}
	return nil
}

// Uses returns, for every value, the nodes that read it, in order; a node that reads it twice stands twice.
func (g *Graph) Uses() map[*Value][]*Node {
	uses := map[*Value][]*Node{}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if v != nil {
				uses[v] = append(uses[v], n)
			}
		}
	}
	return uses
}

// Param is what a Weight carries beside its type: the map to checkpoint tensors, which loading, saving,
// initialisation and probing execute. See the checkpoint package of the runtime, whose types mirror these.
type Param struct {
	Name    string
	Shape   []int // logical shape, before sharding
	Sharded bool  // the leading dim is split over the expert-parallel ranks
	Expert  bool  // leading dim is the expert: shard may split it
	Pieces  []Piece
	Init    Init

	// Members makes it a group: parameters of one element type, by name, that lie one behind the other in this order, each on a
	// whole number of cache lines, zeros between them. What the optimizer works on is such a group as one flat array. It has no
	// pieces; of its value and gradient those of its members are parts, its state is its own.
	Members []string
	// Parts is how many ranks hold the same group and share it: each has its part of the gradient, as of the state, and members
	// have no gradients of their own. Up to 1: nobody else holds it.
	Parts int
}

// Piece maps one checkpoint tensor, or Count tensors of a numbered pattern, onto elements of a parameter.
type Piece struct {
	Name    string // tensor name on disk; with Count > 0 a pattern with one %d
	Shape   []int  // of one tensor
	Offset  int    // of its first element in the parameter, in elements
	Strides []int  // nil: row-major without gaps
	Count   int
	Step    int    // elements between consecutive tensors of a pattern
	Tied    string // another name of a single tensor, under which a checkpoint may hold it too; "": none
}

// Init is how a random initialisation fills a parameter.
type Init struct {
	Kind     string  // normal, ones, zeros
	Std      float64 // of normal
	ZeroRows []int   // rows of each tensor, in its first dim, that are zero whatever Kind says
}
