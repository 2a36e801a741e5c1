package ir

import "fmt"

// Replicas is a set of ranks that hold the same array. Every rank is responsible for a part of it, its own: rank r is number
// (r/Stride) mod Parts of the set {r + (j−number)·Stride}, j from 0 to Parts − 1, and number k has the elements
// [k·S, min((k+1)·S, n)) of n, S = Share(n, Parts). Parts 1 means that nobody else holds the array; all of it is the rank's own.
type Replicas struct{ Parts, Stride int }

// shareUnit is what a share is a multiple of, in elements: a part begins at a whole cache line whatever the elements are.
const shareUnit = 128

// Share returns how many elements of n are a replica's part, rounded up to a multiple of 128; the last parts are shorter, or
// empty. One that holds all has n.
func Share(n, parts int) int {
	if parts == 1 {
		return n
	}
	return ((n+parts-1)/parts + shareUnit - 1) / shareUnit * shareUnit
}

// Attrs describes the set as the operations on replicas do.
func (s Replicas) Attrs() Attrs { return Attrs{{"parts", s.Parts}, {"stride", s.Stride}} }

// Number returns which of its set a rank is.
func (s Replicas) Number(rank int) int { return rank / s.Stride % s.Parts }

// Rank returns number j of a rank's set.
func (s Replicas) Rank(rank, j int) int { return rank + (j-s.Number(rank))*s.Stride }

// Own returns the elements of n that are replica k's part: [first, end).
func (s Replicas) Own(k, n int) (first, end int) {
	share := Share(n, s.Parts)
	return min(k*share, n), min((k+1)*share, n)
}

// replicas is what attributes parts and stride of a node say.
func (n *Node) replicas() Replicas { return Replicas{n.Attrs.Int("parts"), n.Attrs.Int("stride")} }

// checkReplicas returns an error unless the node's attributes and operand i can be an array of replicas.
func (n *Node) checkReplicas(i int) error {
	s, t := n.replicas(), n.In[i].Type
	if s.Parts < 1 || s.Stride < 1 {
		return fmt.Errorf("%d parts with stride %d", s.Parts, s.Stride)
	}
	if err := n.checkFixed(i); err != nil {
		return err
	}
	if s.Parts > 1 && len(t.Shape) != 1 {
		return fmt.Errorf("operand %s has type %s, want a vector to make %d parts of", n.Op.Operands[i], t, s.Parts)
	}
	return nil
}

// checkFixed returns an error if operand i has a bounded dim.
func (n *Node) checkFixed(i int) error {
	t := n.In[i].Type
	for _, d := range t.Shape {
		if d.Bounded {
			return fmt.Errorf("operand %s has type %s, want fixed dims", n.Op.Operands[min(i, len(n.Op.Operands)-1)], t)
		}
	}
	return nil
}

// shareOf is the type of what a rank keeps for each element of its part of a value of type t.
func (s Replicas) shareOf(d DType, t Type) Type {
	if s.Parts == 1 {
		return Type{d, t.Shape}
	}
	return Fixed(d, Share(t.Elements(), s.Parts))
}

// unspecified returns n elements that are anything.
func unspecified(t *Tensor) { poison(t, 0) }
