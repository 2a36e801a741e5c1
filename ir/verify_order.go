package ir

import (
	"cmp"
	"fmt"
	"slices"
)

// verifyOrder checks that a program means the same however its streams get on: every two launches that touch the same memory,
// one of them writing, run one after the other. Its order as a list is then one of those in which it may run, and all
// others give the same.
//
// Ranks run the same program, and meet in collectives. While a rank's launch of one lasts, peers read and write what the
// launch itself names, so that this check of one rank is one of all. That all collectives are on one stream makes their order the
// same on all ranks: none waits for a rank that waits for it in another.
func verifyOrder(p *Plan, prog *Program) (errs []error) {
	fail := func(l *Launch, i int, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: launch %d (%s) %s", prog.Name, i, l.Op.Name, fmt.Sprintf(format, args...)))
	}
	order, memory := NewOrder(), &touched{plan: p}
	var crossing *Launch
	for i, l := range prog.Launches {
		for _, a := range l.After {
			if a < 0 || a >= i || prog.Launches[a].Stream == l.Stream {
				fail(l, i, "waits for %d, which is not in front of it on another stream", a)
				return errs
			}
		}
		if l.Op.Collective() {
			if crossing != nil && crossing.Stream != l.Stream {
				fail(l, i, "crosses between ranks on stream %s, others do on %s", streamNames[l.Stream], streamNames[crossing.Stream])
			}
			crossing = l
		}
		order.Add(l)
		memory.order, memory.now = order, i
		for _, b := range l.In {
			if b != nil {
				memory.read(b)
			}
		}
		for _, b := range append(slices.Clip(l.Out), l.Workspace) {
			if b != nil {
				memory.write(b)
			}
		}
		for _, c := range memory.clashes {
			fail(l, i, "touches %s at the same time as launch %d (%s)", c.buffer.Name, c.launch, prog.Launches[c.launch].Op.Name)
		}
		memory.clashes = nil
	}
	return errs
}

// touched is memory with who touched it last: pieces by address, none empty, that do not overlap. What came before the last write
// need not be known: whoever comes after the write comes after that, too. Of the readers since then the last of each
// stream stands for those in front of it.
type touched struct {
	plan    *Plan
	order   *Order
	now     int // launch
	pieces  []touchedPiece
	clashes []clash // of the launch
}

type touchedPiece struct {
	from, to int64
	writer   int          // launch; -1: none
	readers  [Streams]int // launches
}

// clash is an earlier launch that touches a buffer as well and need not have ended.
type clash struct {
	launch int
	buffer *Buffer
}

func (t *touched) read(b *Buffer) {
	first, end := t.cut(b)
	var pieces []touchedPiece
	at := t.plan.Folded(b)
	to := at + b.Bytes()
	untouched := func(next int64) {
		if at < next {
			pieces = append(pieces, touchedPiece{at, next, -1, NewOrder().last})
		}
	}
	for _, p := range t.pieces[first:end] {
		t.check(b, p.writer)
		untouched(p.from)
		pieces = append(pieces, p)
		at = p.to
	}
	untouched(to)
	for i := range pieces {
		pieces[i].readers[t.order.streams[t.now]] = t.now
	}
	t.pieces = slices.Replace(t.pieces, first, end, pieces...)
}

func (t *touched) write(b *Buffer) {
	at := t.plan.Folded(b)
	first, end := t.cut(b)
	for _, p := range t.pieces[first:end] {
		t.check(b, p.writer)
		for _, r := range p.readers {
			t.check(b, r)
		}
	}
	t.pieces = slices.Replace(t.pieces, first, end, touchedPiece{at, at + b.Bytes(), t.now, NewOrder().last})
}

// check notes an earlier launch that need not have ended, once.
func (t *touched) check(b *Buffer, launch int) {
	if c := (clash{launch, b}); launch >= 0 && launch != t.now && !t.order.Before(launch, t.now) && !slices.Contains(t.clashes, c) {
		t.clashes = append(t.clashes, c)
	}
}

// cut returns the pieces inside a buffer, after cutting those in two that reach beyond it.
func (t *touched) cut(b *Buffer) (first, end int) {
	at := t.plan.Folded(b)
	return t.edge(at), t.edge(at + b.Bytes())
}

// edge cuts the piece around an address in two and returns the first piece that begins there or behind it.
func (t *touched) edge(at int64) int {
	i, _ := slices.BinarySearchFunc(t.pieces, at, func(p touchedPiece, at int64) int { return cmp.Compare(p.from, at) })
	if i > 0 && at < t.pieces[i-1].to {
		t.pieces = slices.Insert(t.pieces, i, t.pieces[i-1])
		t.pieces[i-1].to, t.pieces[i].from = at, at
	}
	return i
}
