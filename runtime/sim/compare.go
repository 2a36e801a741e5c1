package sim

import (
	"math"
)

// order holds the lanes in which the first operand is less, equal, and the pair unordered (a NaN among them).
type order struct{ less, equal, unordered uint32 }

// A comparison reads two operands in the lanes of m.
type comparison func(w *warp, m uint32) order

//go:noinline
func compareInts[S lane, T int16 | uint16 | int32 | uint32 | int64 | uint64](a, b int) comparison {
	return func(w *warp, m uint32) order {
		x, y := vector[S](w, a), vector[S](w, b)
		var o order
		for i := range x {
			if T(x[i]) < T(y[i]) {
				o.less |= 1 << i
			}
			if x[i] == y[i] {
				o.equal |= 1 << i
			}
		}
		return o
	}
}

//go:noinline
func compareFloats[S lane](a, b int, value func(S) float64) comparison {
	return func(w *warp, m uint32) order {
		x, y := vector[S](w, a), vector[S](w, b)
		var o order
		for i := range x {
			p, q := value(x[i]), value(y[i])
			switch {
			case p < q:
				o.less |= 1 << i
			case p == q:
				o.equal |= 1 << i
			case p != p || q != q:
				o.unordered |= 1 << i
			}
		}
		return o
	}
}

// relation turns an order into the lanes in which the comparison op holds.
func relation(op string, o order) uint32 {
	switch op {
	case "eq":
		return o.equal
	case "ne":
		return ^(o.equal | o.unordered)
	case "lt", "lo":
		return o.less
	case "le", "ls":
		return o.less | o.equal
	case "gt", "hi":
		return ^(o.less | o.equal | o.unordered)
	case "ge", "hs":
		return ^(o.less | o.unordered)
	case "equ":
		return o.equal | o.unordered
	case "neu":
		return ^o.equal
	case "ltu":
		return o.less | o.unordered
	case "leu":
		return o.less | o.equal | o.unordered
	case "gtu":
		return ^(o.less | o.equal)
	case "geu":
		return ^o.less
	case "num":
		return ^o.unordered
	}
	return o.unordered // nan
}

// comparison chooses how operands of t are compared.
func (l *lowering) comparison(t dtype, x, y operand) (comparison, int, int) {
	a, b := l.source(x, t), l.source(y, t)
	ftz := l.in.has("ftz")
	switch {
	case t.name == "f32":
		if ftz {
			return compareFloats(a, b, func(u uint32) float64 { return float64(math.Float32frombits(flush(u))) }), a, b
		}
		return compareFloats(a, b, func(u uint32) float64 { return float64(math.Float32frombits(u)) }), a, b
	case t.name == "f64":
		return compareFloats(a, b, math.Float64frombits), a, b
	case t.class == 'f' || t.class == 'h': // f16, bf16: the low half
		value := halfValue(t, ftz)
		return compareFloats(a, b, func(u uint32) float64 { return value(uint16(u)) }), a, b
	case t.bits == 64 && t.signed():
		return compareInts[uint64, int64](a, b), a, b
	case t.bits == 64:
		return compareInts[uint64, uint64](a, b), a, b
	case t.bits == 16 && t.signed():
		return compareInts[uint32, int16](a, b), a, b
	case t.signed():
		return compareInts[uint32, int32](a, b), a, b
	}
	return compareInts[uint32, uint32](a, b), a, b
}

// compare lowers setp and set.
func (l *lowering) compare() {
	in := l.in
	t := in.typ()
	if t.name == "f16x2" || t.name == "bf16x2" {
		l.comparePairs(t)
		return
	}
	x, y := in.args[1], in.args[2]
	order, a, b := l.comparison(t, x, y)
	op := in.mods[0]
	combine := ""
	c, flip := predTrue, uint32(0)
	if len(in.args) == 4 {
		combine = in.one("and", "or", "xor")
		c, flip = l.predicate(in.args[3])
	}
	result := func(w *warp, m uint32) (r, other, def uint32) {
		r = relation(op, order(w, m))
		other = ^r
		def = w.def[a] & w.def[b] & w.pdef[c]
		k := w.p[c] ^ flip
		return combinePredicates(combine, r, k), combinePredicates(combine, other, k), def
	}
	if in.op == "setp" {
		d, q := in.args[0], -1
		if d.kind == operandPair {
			q, d = l.predicateOut(d.list[1]), d.list[0]
		}
		p := l.predicateOut(d)
		l.step.run = func(w *warp, m uint32) {
			r, other, def := result(w, m)
			w.setPredicate(p, m, r, def)
			w.setPredicate(q, m, other, def)
		}
		return
	}
	yes := uint32(full)
	if in.types[0].class == 'f' {
		yes = math.Float32bits(1)
	}
	d := l.destination(in.args[0], false)
	l.step.run = func(w *warp, m uint32) {
		r, _, def := result(w, m)
		v := w.v32(d)
		for i := range v {
			if m>>i&1 != 0 {
				v[i] = 0
				if r>>i&1 != 0 {
					v[i] = yes
				}
			}
		}
		w.def[d] = w.def[d]&^m | def&m
	}
}

// combinePredicates applies the Boolean operation of a comparison; none keeps r.
func combinePredicates(op string, r, k uint32) uint32 {
	switch op {
	case "and":
		return r & k
	case "or":
		return r | k
	case "xor":
		return r ^ k
	}
	return r
}

// setPredicate writes the lanes of m; slot -1 is a sink.
func (w *warp) setPredicate(slot int, m, value, def uint32) {
	if slot >= 0 {
		w.p[slot] = w.p[slot]&^m | value&m
		w.pdef[slot] = w.pdef[slot]&^m | def&m
	}
}

// comparePairs is setp of two halves: p for the low pair, q for the high one.
func (l *lowering) comparePairs(t dtype) {
	in := l.in
	d := in.args[0]
	if d.kind != operandPair {
		l.fail(Syntax, "a comparison of pairs writes two predicates")
		return
	}
	p, q := l.predicateOut(d.list[0]), l.predicateOut(d.list[1])
	a, b := l.source(in.args[1], t), l.source(in.args[2], t)
	value := halfValue(t, in.has("ftz"))
	low := compareFloats(a, b, func(u uint32) float64 { return value(uint16(u)) })
	high := compareFloats(a, b, func(u uint32) float64 { return value(uint16(u >> 16)) })
	c, flip := predTrue, uint32(0)
	combine := ""
	if len(in.args) == 4 {
		combine = in.one("and", "or", "xor")
		c, flip = l.predicate(in.args[3])
	}
	op := in.mods[0]
	l.step.run = func(w *warp, m uint32) {
		def := w.def[a] & w.def[b] & w.pdef[c]
		k := w.p[c] ^ flip
		r, s := combinePredicates(combine, relation(op, low(w, m)), k), combinePredicates(combine, relation(op, high(w, m)), k)
		w.setPredicate(p, m, r, def)
		w.setPredicate(q, m, s, def)
	}
}
