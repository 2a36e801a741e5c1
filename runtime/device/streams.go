package device

import (
	"fmt"
	"slices"

	"moegen/runtime/driver"
)

// Stream is one of the two queues of launches that a part may have. What is noted on one runs in that order, and beside what is
// noted on the other but for waits. The order in which a part notes all of it is one in which a single stream could run it: so
// it runs where values are tapped or kernels timed.
//
// # No deadlock
//
// Launches that wait for other ranks, those of exchanges, are all on one stream, whose order is the same on all ranks; each waits for
// launches of the same place in that order alone. Everything else waits for what its own rank noted before. So among all that has
// not ended, on all ranks, whatever was noted first has nothing left to wait for. It finds room as well: what waits for other ranks
// is one block of one warp a rank, and all other blocks come to an end without other ranks.
type Stream int

const (
	Compute       Stream = iota
	Communication        // what crosses between ranks
	streams
)

// On makes what follows go to a stream, until the end of the part or the next On.
func (r *Rank) On(s Stream) { r.now = s }

// Mark gives the end of what was noted last on the stream a number. A number can be given again once nobody is to wait for
// the mark before.
func (r *Rank) Mark(number int) { r.add(step{mark: r.event(number)}) }

// Wait makes what follows on the stream wait for the other stream's last mark of a number.
func (r *Rank) Wait(number int) {
	e := r.event(number)
	if r.err == nil && !slices.ContainsFunc(r.notes, func(s step) bool { return s.mark == e && s.on != r.now }) {
		panic(fmt.Sprintf("BUG: device: a wait for mark %d, which the other stream has not made", number))
	}
	r.add(step{wait: e})
}

// event returns the event of a mark.
func (r *Rank) event(number int) *driver.Event {
	for len(r.events) <= number {
		e, err := r.device.NewEvent(false)
		if err != nil && r.err == nil {
			r.err = err
		}
		r.events = append(r.events, &e)
	}
	return r.events[number]
}

// graph makes a graph of steps on the streams that they are on. A kernel starts early only behind another of its stream, with no
// wait between them.
func (r *Rank) graph(steps []step) (driver.Graph, error) {
	to := [streams]driver.Stream{Compute: r.stream, Communication: r.beside}
	two := slices.ContainsFunc(steps, func(s step) bool { return s.on == Communication })
	if two {
		steps = r.share(steps)
	}
	return r.capture(func() error {
		if two {
			if err := r.join(r.beside, r.stream); err != nil {
				return err
			}
		}
		var behind [streams]bool // a kernel
		for i := range steps {
			s := &steps[i]
			if err := r.give(to[s.on], s, behind[s.on]); err != nil {
				return err
			}
			behind[s.on] = s.launch != nil || behind[s.on] && (s.tap != nil || s.mark != nil)
		}
		if two {
			return r.join(r.stream, r.beside)
		}
		return nil
	})
}

// join makes what follows in a stream wait for all that is now in another.
func (r *Rank) join(follows, ahead driver.Stream) error {
	e := r.event(0)
	if err := ahead.Record(*e); err != nil {
		return err
	}
	return follows.Wait(*e)
}
