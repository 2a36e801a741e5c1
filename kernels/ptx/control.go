package ptx

import "fmt"

func (k *Kernel) label(what string) string {
	k.labels++
	return fmt.Sprintf("%s_%d", what, k.labels)
}

func (k *Kernel) place(label string) {
	if k.err == nil {
		k.lines = append(k.lines, label+":")
	}
}

// branch jumps where the guard, if any, holds.
func (k *Kernel) branch(label string) { k.emit("bra", label) }

func (k *Kernel) indented(body func()) {
	k.depth++
	body()
	k.depth--
}

// If runs body for the threads for which p holds.
func (k *Kernel) If(p Reg, body func()) {
	k.composite("If")
	end := k.label("endif")
	k.Unless(p).branch(end)
	k.indented(body)
	k.place(end)
}

// IfElse runs yes for the threads for which p holds, no for the others.
func (k *Kernel) IfElse(p Reg, yes, no func()) {
	k.composite("IfElse")
	other, end := k.label("else"), k.label("endif")
	k.Unless(p).branch(other)
	k.indented(yes)
	k.branch(end)
	k.place(other)
	k.indented(no)
	k.place(end)
}

// A Loop is the inside of a loop that breaks itself.
type Loop struct {
	k    *Kernel
	done string
}

// Break leaves the loop for the threads for which p holds.
func (l Loop) Break(p Reg) { l.k.When(p).branch(l.done) }

// BreakUnless leaves the loop for the threads for which p does not hold.
func (l Loop) BreakUnless(p Reg) { l.k.Unless(p).branch(l.done) }

// Loop repeats body until it breaks.
func (k *Kernel) Loop(body func(Loop)) {
	k.composite("Loop")
	l := Loop{k, k.label("done")}
	again := k.label("loop")
	k.place(again)
	k.indented(func() { body(l) })
	k.branch(again)
	k.place(l.done)
}

// For runs body with a variable of type U32 from from, below to, in steps of step, which must not run past 2^32. If
// from and step are constants, the variable is known to be a multiple of the power of two that divides both.
func (k *Kernel) For(name string, from, to, step Operand, body func(i Reg)) {
	k.composite("For")
	i := k.variable(U32, forPower(from, step), name, from)
	done, again := k.label("done"), k.label("loop")
	a, isA := from.(int)
	b, isB := to.(int)
	if !isA || !isB || a >= b {
		k.When(k.Ge(i, to)).branch(done)
	}
	k.place(again)
	k.indented(func() {
		body(i)
		k.To(i).Add(i, step)
	})
	k.When(k.Lt(i, to)).branch(again)
	k.place(done)
}

func forPower(from, step Operand) uint8 { return min(powerIn(from), powerIn(step)) }

// Exit ends the thread.
func (k *Kernel) Exit() { k.emit("exit") }

// Trap ends the grid with an error.
func (k *Kernel) Trap() { k.emit("trap") }

// Sleep lets the thread wait for about ns nanoseconds.
func (k *Kernel) Sleep(ns Operand) { k.emit("nanosleep.u32", k.src(U32, ns)) }
