package ir

import (
	"fmt"
	"slices"
	"sort"
)

// Op is one kind of operation. A new one is a file that declares it and a line in the registry.
type Op struct {
	Name string

	// Operands and Results name the operands and results in order. An operand whose name ends in "?" may be
	// left out (a nil value); one that ends in "..." stands last and may be repeated.
	Operands, Results []string
	// Attrs are the attributes that every node of this kind carries, in order, each with the zero value of its
	// type.
	Attrs Attrs

	// Infer returns the types of the results, or an error that names the operand and says what is wrong.
	// Operand count, presence and attribute keys have been checked.
	Infer func(n *Node) ([]Type, error)
	// Eval computes the results of one rank from its operands. Results come zeroed and shaped.
	// Of two functions exactly one is set: EvalRanks is that of a collective, which sees all ranks.
	Eval      func(n *Node, in, out []*Tensor)
	EvalRanks func(n *Node, in, out [][]*Tensor) // [rank][operand]
	// Grad appends the nodes that compute the gradients of the operands from those of the results and returns
	// one value an operand, nil where there is none. A nil gradient of a result means that nothing depends
	// on it, or, for a loss, that it is the objective itself. Nil for operations that are not differentiated.
	Grad func(b *Builder, n *Node, dy []*Value) []*Value
	// Loss operations have a scalar result that may be an objective; nothing else may use it.
	Loss bool
	// Cost is what one execution takes on one rank.
	Cost func(n *Node) Cost

	// Cheap results are bound by memory bandwidth: backward computes them again rather than keep them.
	Cheap bool
	// InPlace lists pairs {result, operand}: the result may take the operand's place when nothing reads the
	// operand later.
	InPlace [][2]int
	// Inside, where it is set, returns for each operand the element of result 0 from which on it lies in there: in a plan
	// operands are parts of the result.
	Inside func(n *Node) []int
	// Sums lists results to which a gradient is added that has been accumulated so far.
	Sums []Sum
}

// Sum is a result with two operands: the accumulated gradient, and the step record, which says whether it counts. Where it does
// not, the gradient's memory may hold anything.
type Sum struct{ Result, Grad, Record int }

// Cost counts work in integers, so that no rounding can move a plan: products exactly, elementwise operations
// by the number of operations on an element, transcendental functions not at all.
type Cost struct {
	FLOPs int64 // multiplications and additions
	Bytes int64 // operands read and results written once
	Sent  int64 // bytes sent to other ranks
}

// Collective reports whether all ranks must run the operation together.
func (o *Op) Collective() bool { return o.EvalRanks != nil }

// adds reports whether operand i is read only where the step record says so.
func (o *Op) adds(i int) bool {
	return slices.ContainsFunc(o.Sums, func(s Sum) bool { return s.Grad == i })
}

// LookupOp returns the operation with that name.
func LookupOp(name string) (*Op, bool) {
	i := sort.Search(len(ops), func(i int) bool { return ops[i].Name >= name })
	if i < len(ops) && ops[i].Name == name {
		return ops[i], true
	}
	return nil, false
}

// Ops returns all operations, sorted by name.
func Ops() []*Op { return append([]*Op(nil), ops...) }

// streamed is the cost of an operation that does nothing but move its operands and results.
func streamed(n *Node) Cost {
	var c Cost
	for _, vs := range [][]*Value{n.In, n.Out} {
		for _, v := range vs {
			if v != nil {
				c.Bytes += v.Type.Expected() * v.Type.DType.Size()
			}
		}
	}
	return c
}

// streamedFLOPs is streamed with flops operations for each element of result 0.
func streamedFLOPs(flops int64) func(n *Node) Cost {
	return func(n *Node) Cost {
		c := streamed(n)
		c.FLOPs = flops * n.Out[0].Type.Expected()
		return c
	}
}

// sole returns the gradient of result i, the only one that may have one: the others stand beside it for the
// sake of the gradient operation.
func sole(n *Node, dy []*Value, i int) *Value {
	for j, d := range dy {
		if (d != nil) != (j == i) {
			panic(fmt.Sprintf("BUG: %s wants the gradient of %s and no other", n.Op.Name, n.Op.Results[i]))
		}
	}
	return dy[i]
}

// elem is the element type of operand i.
func (n *Node) elem(i int) DType { return n.In[i].Type.DType }

// want returns an error unless operand i has the type. It names the operand as the operation does.
func (n *Node) want(i int, t Type) error {
	if n.In[i] == nil || n.In[i].Type.Equal(t) {
		return nil
	}
	return fmt.Errorf("operand %s has type %s, want %s", n.Op.Operands[i], n.In[i].Type, t)
}

// wantAll checks several operands: want(i, types[i]) for every i.
func (n *Node) wantAll(types ...Type) error {
	for i, t := range types {
		if err := n.want(i, t); err != nil {
			return err
		}
	}
	return nil
}
