package gen

import (
	"fmt"
	"slices"

	"github.com/dave/jennifer/jen"

	"moegen/ir"
)

// meeting is what a launch has to do with other streams: the one that it is on, the events that it waits for, and the event that
// marks its end, -1 if nobody waits for it.
type meeting struct {
	stream ir.Stream
	waits  []int
	mark   int
}

// meetings numbers the events of a program. A number is free again once nobody waits for its launch any more, so that layers that
// are alike have the same numbers.
func meetings(p *ir.Program) []meeting {
	waiter := make([]int, len(p.Launches)) // the last that waits for a launch
	for i, l := range p.Launches {
		for _, a := range l.After {
			waiter[a] = i
		}
	}
	var marked []int // by event, the launch whose end it marks; -1: free
	out := make([]meeting, len(p.Launches))
	for i, l := range p.Launches {
		out[i] = meeting{stream: l.Stream, mark: -1}
		for _, a := range l.After {
			event := slices.Index(marked, a)
			out[i].waits = append(out[i].waits, event)
			if waiter[a] == i {
				marked[event] = -1
			}
		}
		if waiter[i] == 0 {
			continue
		}
		if out[i].mark = slices.Index(marked, -1); out[i].mark < 0 {
			out[i].mark, marked = len(marked), append(marked, -1)
		}
		marked[out[i].mark] = i
	}
	return out
}

var streamVars = [ir.Streams]string{ir.Compute: "Compute", ir.Communication: "Communication"}

// turn emits what makes the calls that follow go to a stream.
func turn(to ir.Stream) *jen.Statement {
	return jen.Id("r").Dot("On").Call(jen.Qual(devicePath, streamVars[to]))
}

// before emits what comes in front of a call: a change of the stream, and what the call's launch waits for.
func (c call) before(on ir.Stream) (out []*jen.Statement) {
	if c.meeting.stream != on {
		out = append(out, turn(c.meeting.stream))
	}
	if c.more {
		return out
	}
	for _, event := range c.meeting.waits {
		out = append(out, jen.Id("r").Dot("Wait").Call(jen.Lit(event)))
	}
	return out
}

// after emits what comes behind the last call of a launch: the mark of its end.
func (c call) after() (out []*jen.Statement) {
	if c.meeting.mark >= 0 && c.last {
		out = append(out, jen.Id("r").Dot("Mark").Call(jen.Lit(c.meeting.mark)))
	}
	return out
}

func (m meeting) String() string { return fmt.Sprint(m.stream, m.waits, m.mark) }
