package gen

import (
	"errors"
	"fmt"

	"moegen/ir"
	"moegen/kernels"
)

// A pass takes the training step one stage further. It is total: what it cannot do is an error that names the
// value or layer.
type pass struct {
	name string
	run  func(*step) error
	why  string // why it stands where it stands
}

var passes = []pass{
	{"grad", grad, "first: gradients are defined on the model as one rank would run it"},
	{"shard", shard, "after grad, so that one table of rules splits forward and backward alike"},
	{"recompute", recompute, "after shard: what is worth keeping depends on what was exchanged; before fuse, which then joins recomputed producers with their readers"},
	{"fuse", fuse, "after recompute; before select, which chooses kernels for the joined operations"},
	{"select", choose, "after fuse: a kernel covers one operation as it will run"},
	{"schedule", schedule, "after select: order depends on what a kernel does, lifetimes on the order"},
	{"arena", arena, "last: offsets need final lifetimes and workspaces"},
}

// step is what the passes work on: the programs of the binary as graphs, then the plan.
type step struct {
	req     Request
	forward *ir.Graph // the model as given
	setup   *ir.Graph // constants, once at start
	micro   *ir.Graph // forward and backward of a micro-batch
	update  *ir.Graph // gradient reduction, clipping, optimizer
	eval    *ir.Graph // forward only
	head    *ir.Graph // logits of a few tokens
	kernels map[*ir.Node]*kernels.Kernel
	streams map[*ir.Node]ir.Stream  // of those that are not on the compute stream
	after   map[*ir.Node][]*ir.Node // what nodes wait for beside what they read
	plan    *ir.Plan
}

// programs returns the graphs of the binary in the order in which they are emitted.
func (s *step) programs() []*ir.Graph {
	return []*ir.Graph{s.setup, s.micro, s.update, s.eval, s.head}
}

// rewrite replaces every program by what f makes of it.
func (s *step) rewrite(f func(*ir.Graph) *ir.Graph) {
	for _, g := range []**ir.Graph{&s.setup, &s.micro, &s.update, &s.eval, &s.head} {
		*g = f(*g)
	}
}

// run executes the passes in order and verifies after each. dump, when not nil, receives the text of
// every program, or of the plan, after every pass.
func (s *step) run(dump func(Dump)) error {
	for i, p := range passes {
		if err := p.run(s); err != nil {
			return err
		}
		if err := s.verify(); err != nil {
			panic(fmt.Sprintf("BUG: after pass %s: %v", p.name, err))
		}
		if dump != nil {
			s.print(func(program, text string) {
				dump(Dump{fmt.Sprintf("%02d_%s/%s.txt", i+1, p.name, program), text})
			})
		}
	}
	return nil
}

func (s *step) verify() error {
	if s.plan != nil {
		return ir.VerifyPlan(s.plan)
	}
	var errs []error
	for _, g := range s.programs() {
		errs = append(errs, ir.Verify(g))
	}
	return errors.Join(errs...)
}

func (s *step) print(dump func(program, text string)) {
	if s.plan != nil {
		dump("plan", ir.PrintPlan(s.plan))
		return
	}
	for _, g := range s.programs() {
		dump(g.Name, ir.Print(g))
	}
}

// op returns a registered operation.
func op(name string) *ir.Op {
	o, ok := ir.LookupOp(name)
	if !ok {
		panic("BUG: no operation " + name)
	}
	return o
}
