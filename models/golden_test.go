package models

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"moegen/internal/golden"
	"moegen/ir"
)

// eachElement calls f with every element of every tensor that a parameter is made of: the tensor's name and
// shape, the element's index there and in the parameter.
func eachElement(p *ir.Param, f func(tensor string, shape []int, index, element int)) {
	for _, piece := range p.Pieces {
		elements := 1
		for _, n := range piece.Shape {
			elements *= n
		}
		for c := range max(piece.Count, 1) {
			name := piece.Name
			if piece.Count > 0 {
				name = strings.Replace(name, "%d", fmt.Sprint(c), 1)
			}
			for index := range elements {
				element, rest := piece.Offset+c*piece.Step, index
				stride := 1
				for d := len(piece.Shape) - 1; d >= 0; d-- {
					if piece.Strides != nil {
						stride = piece.Strides[d]
					}
					element += rest % piece.Shape[d] * stride
					if piece.Strides == nil {
						stride *= piece.Shape[d]
					}
					rest /= piece.Shape[d]
				}
				f(name, piece.Shape, index, element)
			}
		}
	}
}

// TestGolden runs the graphs in float64 and compares all that they compute, gradients included, with what
// Transformers computes in float64.
func TestGolden(t *testing.T) {
	for _, name := range golden.Cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := golden.Load(t, name)
			report := golden.Compare(c, runCase(t, c), "f32",
				"logits", "loss", "aux_loss", "hidden", "router", "topk", "grad")
			t.Log(report)
			if !report.OK() {
				t.Error("graphs and Transformers differ")
			}
			// The reference is float64 rounded to float32 and so is no further away than 2^-24 of each
			// element. That is all the difference that may be left, but where terms cancel (a
			// gradient sums thousands of them): 1e-7 of the tensor's size covers both with room.
			for _, row := range report.Rows {
				if row.Error > 1e-7 {
					t.Errorf("%s is off by %.2g of its size, more than the rounding of the reference", row.Name, row.Error)
				}
			}
		})
	}
}

// runCase evaluates all programs on the first batch of a case.
func runCase(t *testing.T, c *golden.Case) map[string]golden.Tensor {
	t.Helper()
	m, err := Parse("case", c.Dir+"/config.json", c.Config)
	if err != nil {
		t.Fatal(err)
	}
	batch := c.Batch(0)
	g, err := m.Build(Shape{Seq: batch.Seq, Rows: batch.Rows})
	if err != nil {
		t.Fatal(err)
	}
	var objectives []*ir.Value
	for _, w := range g.Forward.Results {
		if strings.HasSuffix(w.To.Name, "loss") {
			objectives = append(objectives, w.From)
		}
	}
	grads, err := ir.Differentiate(g.Forward, objectives...)
	if err != nil {
		t.Fatal(err)
	}
	env := ir.Env{}
	put := func(name string, data []int32) {
		env[name] = ir.NewTensor(ir.Fixed(ir.I32, len(data)))
		for i, x := range data {
			env[name].Data[i] = float64(x)
		}
	}
	put("tokens_T", batch.Tokens)
	put("targets_T", batch.Targets)
	put("positions_T", batch.Positions)
	put("starts_T", batch.Starts)
	env["record"] = ir.NewTensor(ir.Fixed(ir.F32, ir.RecordLen))
	targets := 0
	for _, x := range batch.Targets {
		if x >= 0 {
			targets++
		}
	}
	env["record"].Data[ir.RecordLossNorm] = 1 / float64(targets)
	env["record"].Data[ir.RecordAuxNorm] = m.Facts.AuxCoef
	for _, v := range g.Forward.Outside {
		switch v.Role {
		case ir.Weight:
			env[v.Name] = ir.NewTensor(v.Type)
			eachElement(v.Param, func(tensor string, shape []int, index, element int) {
				if !slices.Equal(shape, c.Weights[tensor].Shape) {
					t.Fatalf("%s has shape %v in the checkpoint, %v in the model", tensor, c.Weights[tensor].Shape, shape)
				}
				env[v.Name].Data[element] = c.Weights[tensor].Data[index]
			})
		case ir.Gradient:
			env[v.Name] = ir.NewTensor(v.Type)
		}
	}
	for _, program := range []*ir.Graph{g.Setup, g.Forward} {
		if err := ir.Verify(program); err != nil {
			t.Fatal(err)
		}
		if err := ir.Eval(program, []ir.Env{env}, ir.Float64); err != nil {
			t.Fatal(err)
		}
	}

	shape := func(last int) []int { return []int{batch.Rows, batch.Seq, last} }
	out := map[string]golden.Tensor{"loss": {Shape: []int{}, Data: []float64{env["loss"].Data[0]}}}
	if m.Facts.AuxCoef != 0 {
		out["loss"].Data[0] += m.Facts.AuxCoef * env["aux_loss"].Data[0]
		out["aux_loss"] = golden.Tensor{Shape: []int{}, Data: env["aux_loss"].Data}
	}
	out["logits"] = golden.Tensor{Shape: shape(m.Facts.Vocab), Data: runHead(t, g, env)}
	for _, n := range g.Forward.Nodes {
		if n.Op.Name != "tap" {
			continue
		}
		x := env[n.In[0].Name]
		data := slices.Clone(x.Data)
		if n.Attrs.Str("name") == "topk" {
			for i := 0; i < len(data); i += x.Type.Dim(-1) {
				slices.Sort(data[i : i+x.Type.Dim(-1)])
			}
		}
		out[fmt.Sprintf("%s.%d", n.Attrs.Str("name"), n.Attrs.Int("layer"))] = golden.Tensor{Shape: shape(x.Type.Dim(-1)), Data: data}
	}
	for _, v := range g.Forward.Outside {
		if v.Role != ir.Weight {
			continue
		}
		eachElement(v.Param, func(tensor string, shape []int, index, element int) {
			if index == 0 {
				out["grad."+tensor] = golden.Tensor{Shape: shape, Data: make([]float64, len(c.Weights[tensor].Data))}
			}
			out["grad."+tensor].Data[index] = env[grads[v].Name].Data[element]
		})
	}
	return out
}

// runHead returns the logits of all tokens, computed a few rows at a time as a program does.
func runHead(t *testing.T, g *Graphs, env ir.Env) []float64 {
	t.Helper()
	if err := ir.Verify(g.Head); err != nil {
		t.Fatal(err)
	}
	var logits []float64
	tokens := env["final_TD"].Type.Dim(0)
	vocab := g.Head.Lookup("logits_CV").Type.Dim(1)
	for first := 0; first < tokens; first += g.HeadRows {
		env["head_row"] = &ir.Tensor{Type: ir.Fixed(ir.I32, 1), Data: []float64{float64(first)}}
		if err := ir.Eval(g.Head, []ir.Env{env}, ir.Float64); err != nil {
			t.Fatal(err)
		}
		rows := min(g.HeadRows, tokens-first)
		logits = append(logits, env["logits_CV"].Data[:rows*vocab]...)
	}
	return logits
}
