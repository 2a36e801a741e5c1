package gen

import (
	"fmt"
	"strings"

	"moegen/ir"
	"moegen/kernels"
	"moegen/kernels/gpu"
)

// A segment is a run of launches of one section: a layer's forward pass, a layer's backward pass.
type segment struct {
	section  string
	launches []*ir.Launch
	calls    []call
	kind     *kind
	row      int // in the kind's table
}

// A kind is what segments have in common that differ only in where their buffers lie and in which layer they
// are. It becomes one function and, if it has several segments, a table with a row a segment.
type kind struct {
	name     string
	segments []*segment
}

// call is a launch seen as a function call, or one of several that make up a launch.
type call struct {
	launch *ir.Launch
	kernel *kernels.Kernel
	args   []kernels.Arg
	step   *gpu.Step // what it launches on a GPU, with step.Args beside args; nil: it calls a function of the runtime
	idle   bool      // nothing is to be done: what the launch makes is there
	more   bool      // it goes on with the launch of the call before
	last   bool      // of its launch

	meeting meeting // of its launch
}

// newCalls looks a launch up in the registry and holds it against its kernel.
func newCalls(target string, l *ir.Launch) []call {
	k, ok := kernels.Lookup(target, l.Kernel, l.Op.Name)
	if !ok {
		panic(fmt.Sprintf("BUG: target %s has no kernel %s for %s", target, l.Kernel, l.Op.Name))
	}
	for _, s := range k.Shares {
		in, out := l.In[s[1]], l.Out[s[0]]
		if in != nil && in.Offset != out.Offset {
			panic(fmt.Sprintf("BUG: %s updates %s, but its result %s lies elsewhere", k.Name, in.Name, out.Name))
		}
	}
	if k.Steps == nil {
		return []call{{launch: l, kernel: k, args: k.Call(l)}}
	}
	steps := k.Steps(l)
	if len(steps) == 0 {
		return []call{{launch: l, kernel: k, idle: true}}
	}
	var calls []call
	for i, step := range steps {
		c := call{launch: l, kernel: k, step: &step, more: i > 0}
		for _, a := range step.Args {
			c.args = append(c.args, argOf(a))
		}
		calls = append(calls, c)
	}
	return calls
}

// argOf is the argument of a launch that names a buffer as package gpu does; a number is a literal.
func argOf(x gpu.Arg) kernels.Arg {
	a := kernels.Arg{Kind: kernels.Literal}
	if buffer := x.Buffer; x.Differs != "" {
		a.Name, a.Value = x.Differs, uint32(x.Bits)
	} else if buffer == gpu.Work {
		a.Kind = kernels.Workspace
	} else if buffer == gpu.World {
		a.Kind = kernels.World
	} else if n, err := fmt.Sscanf(buffer, gpu.InFormat, &a.Index); n == 1 && err == nil {
		a.Kind = kernels.Operand
	} else if n, err := fmt.Sscanf(buffer, gpu.OutFormat, &a.Index); n == 1 && err == nil {
		a.Kind = kernels.Result
	} else if buffer != "" {
		panic("BUG: no launch has a buffer " + buffer)
	}
	return a
}

// buffers returns the buffers that argument i views: one, or several of a list of scalars; nil: left out.
func (c call) buffers(i int) []*ir.Buffer {
	switch a := c.args[i]; a.Kind {
	case kernels.Operand, kernels.Record:
		return c.launch.In[a.Index : a.Index+1]
	case kernels.Scalars:
		return c.launch.In[a.Index:]
	case kernels.Result:
		return c.launch.Out[a.Index : a.Index+1]
	case kernels.Workspace:
		return []*ir.Buffer{c.launch.Workspace}
	}
	return nil
}

// signature is what two calls must have in common to become one line of a function.
func (c call) signature() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", c.kernel.Name, c.meeting)
	if c.step != nil {
		fmt.Fprintf(&b, " %s %d", c.step.Entry, c.step.Grid)
	}
	for i, a := range c.args {
		fmt.Fprintf(&b, " %d:%s", a.Kind, a.Name)
		if c.step != nil {
			x := c.step.Args[i]
			if x.Differs != "" {
				continue
			}
			fmt.Fprintf(&b, " %s %x +%d", x.Type, x.Bits, x.Offset)
			if x.Map != nil {
				fmt.Fprintf(&b, " %v", *x.Map)
			}
		}
		if a.Kind == kernels.Literal && a.Name == "" {
			fmt.Fprintf(&b, "=%v", a.Value)
		}
		for _, buffer := range c.buffers(i) {
			if buffer != nil {
				fmt.Fprintf(&b, " %s", buffer.Type)
			}
		}
	}
	return b.String()
}

// sections cuts a program into segments and sorts them into kinds.
func sections(target string, p *ir.Program) ([]*segment, []*kind) {
	var segments []*segment
	var kinds []*kind
	meet := meetings(p)
	for i, l := range p.Launches {
		if len(segments) == 0 || segments[len(segments)-1].section != l.Section {
			segments = append(segments, &segment{section: l.Section})
		}
		s := segments[len(segments)-1]
		s.launches = append(s.launches, l)
		calls := newCalls(target, l)
		for j := range calls {
			calls[j].meeting, calls[j].last = meet[i], j == len(calls)-1
		}
		s.calls = append(s.calls, calls...)
	}
	bySignature := map[string]*kind{}
	for _, s := range segments {
		key := kindName(p.Name, s.section)
		for _, c := range s.calls {
			key += "\n" + c.signature()
		}
		k := bySignature[key]
		if k == nil {
			k = &kind{name: kindName(p.Name, s.section)}
			bySignature[key] = k
			kinds = append(kinds, k)
		}
		s.kind, s.row = k, len(k.segments)
		k.segments = append(k.segments, s)
	}
	return segments, kinds
}

// repeat is a part of a program: the segments from first on, in periods of len(kinds) segments, times times.
type repeat struct {
	first, times int
	kinds        []*kind
}

// repeats folds the segments of a program into loops: the longest repetition of the shortest pattern, patterns
// without a kind twice.
func repeats(segments []*segment) []repeat {
	var out []repeat
	for at := 0; at < len(segments); {
		best := repeat{at, 1, []*kind{segments[at].kind}}
		for period := 1; at+2*period <= len(segments) && distinct(segments[at:at+period]); period++ {
			times := 1
			for end := at + (times+1)*period; end <= len(segments) && same(segments[at:at+period], segments[end-period:end]); end += period {
				times++
			}
			if times > 1 && times*period > best.times*len(best.kinds) {
				best = repeat{at, times, nil}
				for _, s := range segments[at : at+period] {
					best.kinds = append(best.kinds, s.kind)
				}
			}
		}
		out = append(out, best)
		at += best.times * len(best.kinds)
	}
	return out
}

func distinct(segments []*segment) bool {
	seen := map[*kind]bool{}
	for _, s := range segments {
		if seen[s.kind] {
			return false
		}
		seen[s.kind] = true
	}
	return true
}

func same(a, b []*segment) bool {
	for i := range a {
		if a[i].kind != b[i].kind {
			return false
		}
	}
	return true
}
