package ir

// Order knows of the launches of a program, in their order there, which have ended when another begins: those in front of it on its
// stream, those that it waits for, and whatever had ended when one of these began. A launch comes behind all that it waits for, so
// that the order of the program is one in which a single stream could run it.
type Order struct {
	streams []Stream
	ended   [][Streams]int // of each launch, of each stream: the last launch that has ended when it begins; -1: none
	last    [Streams]int   // launch of each stream
}

// NewOrder returns the order of no launches.
func NewOrder() *Order {
	o := &Order{}
	for s := range o.last {
		o.last[s] = -1
	}
	return o
}

// begin returns what has ended when the next launch begins, if it is on a stream and waits for nothing else.
func (o *Order) begin(s Stream) [Streams]int {
	if o.last[s] < 0 {
		return NewOrder().last
	}
	ended := o.ended[o.last[s]]
	ended[s] = o.last[s]
	return ended
}

// Waits returns what the next launch, on a stream, must wait for so that deps, indices of launches, have ended: the last of each
// other stream, where that does not follow from its own.
func (o *Order) Waits(s Stream, deps []int) []int {
	ended := o.begin(s)
	need := ended
	for _, d := range deps {
		need[o.streams[d]] = max(need[o.streams[d]], d)
	}
	var waits []int
	for other, d := range need {
		if d > ended[other] && Stream(other) != s {
			waits = append(waits, d)
		}
	}
	return waits
}

// Add puts a launch behind all others.
func (o *Order) Add(l *Launch) {
	ended := o.begin(l.Stream)
	for _, a := range l.After {
		for s, d := range o.ended[a] {
			ended[s] = max(ended[s], d)
		}
		ended[o.streams[a]] = max(ended[o.streams[a]], a)
	}
	o.last[l.Stream] = len(o.streams)
	o.streams, o.ended = append(o.streams, l.Stream), append(o.ended, ended)
}

// Before reports whether launch i has ended when launch j begins.
func (o *Order) Before(i, j int) bool { return i <= o.ended[j][o.streams[i]] }
