package sim

import (
	"math"
	"slices"
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

// A relation says for which orders a comparison holds, as masks of all lanes or none.
type relation struct{ less, equal, greater, unordered uint32 }

// relationNamed is the relation of a comparison operator.
func relationNamed(op string) relation {
	holds := func(ops ...string) uint32 { return -bit(slices.Contains(ops, op)) }
	return relation{
		less:      holds("lt", "lo", "le", "ls", "ne", "ltu", "leu", "neu", "num"),
		equal:     holds("eq", "le", "ls", "ge", "hs", "equ", "leu", "geu", "num"),
		greater:   holds("gt", "hi", "ge", "hs", "ne", "gtu", "geu", "neu", "num"),
		unordered: holds("equ", "neu", "ltu", "leu", "gtu", "geu", "nan"),
	}
}

// of is the lanes in which the relation holds.
func (r *relation) of(o order) uint32 {
	return o.less&r.less | o.equal&r.equal | o.unordered&r.unordered | ^(o.less|o.equal|o.unordered)&r.greater
}

// comparison chooses how operands of t are compared.
func (l *lowering) comparison(t dtype, x, y operand) (comparison, int, int) {
	a, b := l.source(x, t), l.source(y, t)
	ftz := l.in.has("ftz")
	switch {
	case t.name == "f32" && ftz:
		return compareFloats(a, b, func(u uint32) float64 { return float64(math.Float32frombits(flush(u))) }), a, b
	case t.name == "f32":
		return func(w *warp, m uint32) (o order) {
			o.less, o.equal, o.unordered = lanes.orderFloats(w.v32(a), w.v32(b))
			return o
		}, a, b
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
	case t.bits == 16:
		return compareInts[uint32, uint16](a, b), a, b
	}
	flip := uint32(0)
	if !t.signed() {
		flip = 1 << 31
	}
	return func(w *warp, m uint32) (o order) {
		o.less, o.equal = lanes.orderInts(w.v32(a), w.v32(b), flip)
		return o
	}, a, b
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
	holds := relationNamed(in.mods[0])
	combine := ""
	c, flip := predTrue, uint32(0)
	if len(in.args) == 4 {
		combine = in.one("and", "or", "xor")
		c, flip = l.predicate(in.args[3])
	}
	result := func(w *warp, m uint32) (r, other, def uint32) {
		r = holds.of(order(w, m))
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
	holds := relationNamed(in.mods[0])
	l.step.run = func(w *warp, m uint32) {
		def := w.def[a] & w.def[b] & w.pdef[c]
		k := w.p[c] ^ flip
		r, s := combinePredicates(combine, holds.of(low(w, m)), k), combinePredicates(combine, holds.of(high(w, m)), k)
		w.setPredicate(p, m, r, def)
		w.setPredicate(q, m, s, def)
	}
}
