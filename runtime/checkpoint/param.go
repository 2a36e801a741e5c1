package checkpoint

import "moegen/runtime/safetensors"

// Param is one trained parameter as the program stores it, together with the map to the tensors of a
// Hugging Face checkpoint. Loading, saving, initialising and probing execute this one map.
//
// The logical parameter has row-major Shape. A rank holds all of it, or, when Sharded, the contiguous
// part that belongs to its experts: elements [axis·n, (axis+1)·n) with n = elements/ep, where axis is the
// rank's coordinate on the expert-parallel axis.
type Param struct {
	Name    string  // name inside the program, for messages: "layers.3.experts_gate_up"
	Shape   []int   // logical shape, before sharding
	Sharded bool    // leading dim (experts) split over the expert-parallel ranks
	Pieces  []Piece // the checkpoint tensors that make up the parameter; they cover it exactly once
	Init    Init    // how a random initialisation fills it

	Value Array // where the local part lies, LocalElements of it

	// The gradient, and what the optimizer keeps for the parameter, are spread over the ranks that hold the same part of it: arrays
	// of Share elements on each. Element e of the local part is element First + e of the ranks' arrays one behind the other.
	// A gradient is what micro-batches of all ranks add to it, undefined after an update; the state is all zero when a program
	// starts.
	Grad  Array
	State []State
	First int
	Share int
}

// Array is an array in the arena, at the same place on every rank.
type Array struct {
	At    int64 // bytes from the arena's beginning
	DType safetensors.DType
}

// State is an array that the optimizer keeps for parameters, with the name that torch gives it (exp_avg): in a saved
// training state it is a set of files of that name.
type State struct {
	Name string
	Array
}

// Piece maps checkpoint tensors onto elements of a parameter: element (i_0, i_1, ...) of a tensor with
// shape Shape is element Offset + Σ i_d·Strides[d] of the parameter.
//
// With Count > 0, Name holds one %d and stands for Count tensors, number c shifted by c·Step elements: the
// experts of a layer are two such pieces, gate and up.
type Piece struct {
	Name    string // tensor name on disk, or a pattern with %d
	Shape   []int  // of one tensor on disk
	Offset  int    // of its first element in the parameter, in elements
	Strides []int  // in elements, one per dim of Shape; nil: row-major without gaps
	Count   int    // 0: a single tensor
	Step    int    // elements between consecutive tensors of a pattern

	// Tied is another name of a single tensor, "" if it has none. A checkpoint may hold the tensor under that name,
	// or under both with the same values, as some programs write tied embeddings; it is written under Name alone.
	Tied string
}

// InitKind says how a parameter is filled at random.
type InitKind uint8

const (
	InitNormal InitKind = iota // normal with standard deviation Init.Std
	InitOnes
	InitZeros
)

// Init is the initialisation of a parameter, Hugging Face's for the architecture.
type Init struct {
	Kind     InitKind
	Std      float64 // of InitNormal
	ZeroRows []int   // rows of each tensor, in its first dim, that are zero whatever Kind says
}
