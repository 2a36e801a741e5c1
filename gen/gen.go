// Package gen turns a model and a topology into the source of a training program. It is pure: the same request
// gives the same bytes, and nothing is read or written but its arguments.
//
// The way through is one direction: the model's forward graph, the passes of the table in passes.go, a plan
// (every launch and every buffer known), and the emitted Go module.
package gen

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"

	"moegen/ir"
	"moegen/kernels"
	"moegen/models"
)

// Request says what to generate.
type Request struct {
	Model      *models.Model
	Target     string // cpu, h100
	DType      string // f32, bf16
	Seq        int    // tokens of a row
	MicroBatch int    // rows of a rank's micro-batch
	GPUs       int    // ranks
	EP         int    // ranks that share the experts of a layer, a divisor of both; 0: as many as can
	Optimizer  string // what AdamW keeps: bf16, split, f32; "": the target's default, the first of Optimizers
	Recompute  Recompute
	Pool       float64 // of the rows that ranks are expected to receive, room to keep so many times as many, or all; at least 1; 0: 1.1
	NoOverlap  bool    // what ranks exchange is not hidden under computation: one stream
}

// DTypes gives, by target, the element type that it trains in.
var DTypes = map[string]string{"cpu": "f32", "h100": "bf16"}

// Optimizers gives, by target, what AdamW may keep of a weight, the default first. bf16: the weight and both moments, all in
// bf16. split: the weight exactly, as a bf16 and its 16 low bits, and the moments in bf16, rounded stochastically. f32:
// the weight and the moments in float32, beside the bf16 weight where the model computes in bf16.
var Optimizers = map[string][]string{"cpu": {"f32"}, "h100": {"split", "bf16", "f32"}}

// Dump is the text of one program, or of the plan, after one pass.
type Dump struct {
	Path string // NN_pass/program.txt
	Text string
}

// Planned is what is known of a program before any of it is emitted.
type Planned struct {
	Request Request
	Plan    *ir.Plan
	Hash    string // SHA-256 of the plan's text, hex
	head    int    // rows of one Head
}

// Plan runs the passes. dump, when not nil, is given what each pass made. An error is the user's: it says what
// is wrong and what to do.
func Plan(req Request, dump func(Dump)) (*Planned, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	req = req.complete()
	dtype, err := ir.ParseDType(req.DType)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	graphs, err := req.Model.Build(models.Shape{Seq: req.Seq, Rows: req.MicroBatch, DType: dtype})
	if err != nil {
		return nil, err
	}
	s := &step{req: req, forward: graphs.Forward, setup: graphs.Setup, head: graphs.Head}
	p := &Planned{Request: req, head: graphs.HeadRows}
	if err := s.run(dump); err != nil {
		return nil, err
	}
	p.Plan = s.plan
	sum := sha256.Sum256([]byte(ir.PrintPlan(s.plan)))
	p.Hash = hex.EncodeToString(sum[:])
	return p, nil
}

// complete fills in what may be left open.
func (r Request) complete() Request {
	if r.Optimizer == "" {
		r.Optimizer = Optimizers[r.Target][0]
	}
	if r.EP == 0 {
		r.EP = commonDivisors(r.GPUs, r.Model.Facts.Experts)[0]
	}
	if r.Pool == 0 {
		r.Pool = poolFactor
	}
	return r
}

func (r Request) check() error {
	if targets := kernels.Targets(); !slices.Contains(targets, r.Target) {
		return fmt.Errorf("there is no target %q; use %s", r.Target, strings.Join(targets, " or "))
	}
	if want := DTypes[r.Target]; r.DType != want {
		return fmt.Errorf("target %s does not train in %q; use %s", r.Target, r.DType, want)
	}
	if own := Optimizers[r.Target]; r.Optimizer != "" && !slices.Contains(own, r.Optimizer) {
		return fmt.Errorf("target %s has no optimizer %q; use %s", r.Target, r.Optimizer, strings.Join(own, " or "))
	}
	if r.GPUs < 1 {
		return fmt.Errorf("%d ranks cannot train; give --gpus at least 1", r.GPUs)
	}
	if fit := commonDivisors(r.GPUs, r.Model.Facts.Experts); r.EP != 0 && !slices.Contains(fit, r.EP) {
		return fmt.Errorf("--ep %d: %d ranks and the %d experts of %s cannot be split that way; use one of %v",
			r.EP, r.GPUs, r.Model.Facts.Experts, r.Model.Name, fit)
	}
	if !slices.Contains(Recomputes, r.Recompute) {
		return fmt.Errorf("there is no way to recompute called %q; use auto, none, up, dispatch or block", r.Recompute)
	}
	if r.Pool != 0 && !(r.Pool >= 1 && r.Pool <= math.MaxInt32) {
		return fmt.Errorf("--pool %v: a pool has room for at least what is expected; give a factor of 1 or more", r.Pool)
	}
	return nil
}

// commonDivisors returns the numbers that divide both of two, the largest first. Every number divides 0.
func commonDivisors(a, b int) (out []int) {
	for d := a; d >= 1; d-- {
		if a%d == 0 && b%d == 0 {
			out = append(out, d)
		}
	}
	return out
}
