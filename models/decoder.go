package models

import (
	"fmt"

	"moegen/ir"
)

// What the graphs of decoder-only models have in common.

// layersMax bounds the depth of a model, and so the size of its graph.
const layersMax = 1024

// at names a value, a weight or a section of a layer.
func at(layer int, name string) string { return fmt.Sprintf("layers.%d.%s", layer, name) }

// inputs are what the host writes before a run, i32[T] each.
type inputs struct{ tokens, targets, positions, starts *ir.Value }

func declareInputs(b *ir.Builder, s Shape) inputs {
	t := ir.Fixed(ir.I32, s.Tokens())
	return inputs{
		b.Outside("tokens_T", ir.Input, t), b.Outside("targets_T", ir.Input, t),
		b.Outside("positions_T", ir.Input, t), b.Outside("starts_T", ir.Input, t),
	}
}

// writeResult leaves v behind as a result.
func writeResult(b *ir.Builder, name string, v *ir.Value) {
	b.Write(b.Outside(name, ir.Result, v.Type), v)
}

// setup builds the program that computes the rotation tables.
func (r *rope) setup(s Shape) *ir.Graph {
	b := ir.NewBuilder("setup")
	b.Section = "setup"
	toCos, toSin := r.declare(b, s)
	cos, sin := b.RopeTable(s.Seq, r.InvFreq, r.Scale, s.DType)
	b.Write(toCos, cos)
	b.Write(toSin, sin)
	return b.Graph
}

// declare declares the rotation tables.
func (r *rope) declare(b *ir.Builder, s Shape) (cos, sin *ir.Value) {
	t := ir.Fixed(s.DType, s.Seq, len(r.InvFreq))
	return b.Outside("rope_cos", ir.Constant, t), b.Outside("rope_sin", ir.Constant, t)
}

// head builds the program that computes some rows of logits of the last forward pass.
func head(s Shape, weight func(*ir.Builder) *ir.Value, vocab, hidden int) *ir.Graph {
	b := ir.NewBuilder("head")
	b.DType = s.DType
	b.Section = "head"
	first := b.Outside("head_row", ir.Input, ir.Fixed(ir.I32, 1))
	final := b.Outside("final_TD", ir.Result, ir.Fixed(s.DType, s.Tokens(), hidden))
	some := b.SliceRows("head.rows_CD", final, first, headRows(s.Tokens(), vocab))
	writeResult(b, "logits_CV", b.Linear("head.logits_CV", some, weight(b), nil))
	return b.Graph
}

// rows is a parameter [Σ counts, cols] whose rows are those of the named tensors, one after the other; a
// vector when cols is left out.
func rows(name string, init ir.Init, tensors []string, counts []int, cols ...int) ir.Param {
	width, total := 1, 0
	for _, n := range cols {
		width *= n
	}
	p := ir.Param{Name: name, Init: init}
	for i, tensor := range tensors {
		p.Pieces = append(p.Pieces, ir.Piece{Name: tensor, Shape: append([]int{counts[i]}, cols...), Offset: total * width})
		total += counts[i]
	}
	p.Shape = append([]int{total}, cols...)
	return p
}

// norm is the weight of a norm over n elements.
func norm(name, tensor string, n int) ir.Param {
	return rows(name, ir.Init{Kind: "ones"}, []string{tensor}, []int{n})
}

var zeros = ir.Init{Kind: "zeros"}

// readDType reads the element type of the published weights, under its new or its old name.
func readDType(c *config) string {
	if c.get("quantization_config") != nil {
		c.complain("quantization_config", "is set; moegen trains weights as they were before quantisation, give that checkpoint")
	}
	c.alias("dtype", "torch_dtype")
	dtype := c.stringOr("dtype", "float32")
	if dtypeBytes[dtype] == 0 {
		c.complain("dtype", "is %q; moegen knows bfloat16, float16 and float32", dtype)
	}
	return dtype
}
