package checkpoint

import (
	"fmt"
	"strings"

	"moegen/runtime/safetensors"
)

// Elements is the number of elements of the whole parameter.
func (p *Param) Elements() int {
	n := 1
	for _, d := range p.Shape {
		n *= d
	}
	return n
}

// LocalElements is the number of elements that one of ep expert-parallel ranks holds.
func (p *Param) LocalElements(ep int) int {
	if p.Sharded {
		return p.Elements() / ep
	}
	return p.Elements()
}

// tensor is one checkpoint tensor and its place in a parameter: a Piece with its pattern resolved.
type tensor struct {
	safetensors.Info
	param   *Param
	offset  int
	strides []int
	tied    string // another name of it in a checkpoint
}

// tensors lists the checkpoint tensors of all parameters.
func tensors(params []Param) []tensor {
	var list []tensor
	names := map[string]bool{}
	for i := range params {
		p := &params[i]
		first := len(list)
		for _, piece := range p.Pieces {
			for c := range max(piece.Count, 1) {
				list = append(list, piece.tensor(p, c))
			}
		}
		total := 0
		for _, t := range list[first:] {
			if names[t.Name] {
				panic(fmt.Sprintf("BUG: tensor %q belongs to two pieces", t.Name))
			}
			names[t.Name] = true
			total += t.Elements()
			last := t.offset
			for d, n := range t.Shape {
				last += (n - 1) * t.strides[d]
			}
			if t.offset < 0 || last >= p.Elements() {
				panic(fmt.Sprintf("BUG: tensor %q leaves parameter %s", t.Name, p.Name))
			}
		}
		if total != p.Elements() {
			panic(fmt.Sprintf("BUG: the tensors of parameter %s have %d elements, it has %d", p.Name, total, p.Elements()))
		}
	}
	return list
}

// tensor resolves tensor c of the piece.
func (piece *Piece) tensor(p *Param, c int) tensor {
	t := tensor{
		Info:    safetensors.Info{Name: piece.Name, Shape: piece.Shape},
		param:   p,
		offset:  piece.Offset + c*piece.Step,
		strides: piece.Strides,
		tied:    piece.Tied,
	}
	if piece.Count > 0 {
		t.Name = strings.Replace(piece.Name, "%d", fmt.Sprint(c), 1)
	}
	if t.strides == nil {
		t.strides = make([]int, len(t.Shape))
		step := 1
		for d := len(t.Shape) - 1; d >= 0; d-- {
			t.strides[d] = step
			step *= t.Shape[d]
		}
	}
	return t
}

// runs splits elements [first, first+n) of the tensor, in row-major order, into the longest stretches that are
// contiguous in the parameter, and calls f with each one's position among the n, its first element in the
// parameter, and its length.
func (t *tensor) runs(first, n int, f func(at, element, length int) error) error {
	run, outer := 1, len(t.Shape) // the dims from outer on are contiguous in the parameter: run elements
	for outer > 0 && (t.Shape[outer-1] == 1 || t.strides[outer-1] == run) {
		outer--
		run *= t.Shape[outer]
	}
	for at := 0; at < n; {
		index, inside := (first+at)/run, (first+at)%run
		element := t.offset + inside
		for d := outer - 1; d >= 0; d-- {
			element += index % t.Shape[d] * t.strides[d]
			index /= t.Shape[d]
		}
		length := min(run-inside, n-at)
		if err := f(at, element, length); err != nil {
			return err
		}
		at += length
	}
	return nil
}
