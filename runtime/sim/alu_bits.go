package sim

import "math/bits"

// bitwise lowers counting, fields, permutations and the small dot products.
func (l *lowering) bitwise(t dtype) {
	in := l.in
	n := t.bits
	switch in.op {
	case "popc":
		l.counted(t, func(a uint64) uint32 { return uint32(bits.OnesCount64(a)) })
	case "clz":
		l.counted(t, func(a uint64) uint32 { return uint32(bits.LeadingZeros64(a) - (64 - n)) })
	case "bfind":
		amount := in.has("shiftamt")
		l.counted(t, func(a uint64) uint32 {
			if t.signed() && signExtend(a, n) < 0 {
				a = cut(^a, n)
			}
			if a == 0 {
				return full
			}
			top := uint32(63 - bits.LeadingZeros64(a))
			if amount {
				return uint32(n-1) - top
			}
			return top
		})
	case "brev":
		l.unary(t, func(a uint64) uint64 { return bits.Reverse64(a) >> (64 - n) })
	case "fns":
		l.step.run = lanes3(l.destination(in.args[0], false), l.source(in.args[1], t), l.source(in.args[2], t), l.source(in.args[3], t), findNth)
	case "bfe":
		l.extract(t)
	case "bfi":
		l.insert(t)
	case "bmsk":
		clamp := in.has("clamp")
		l.binary(t, func(a, b uint64) uint64 { return bitMask(a, b, clamp) })
	case "szext":
		clamp := in.has("clamp")
		l.binary(t, func(a, b uint64) uint64 {
			k := int(b)
			if !clamp {
				k &= 31
			} else if b >= 32 {
				return a
			}
			if k == 0 {
				return 0
			}
			return cut(dtype{t.class, k, ""}.extend(a), 32)
		})
	case "lop3":
		table := uint32(in.args[4].bits)
		l.ternary(t, func(a, b, c uint64) uint64 { return uint64(lookup3(uint32(a), uint32(b), uint32(c), table)) })
	case "shf":
		left, wrap := in.has("l"), in.has("wrap")
		l.ternary(t, func(a, b, c uint64) uint64 { return funnel(a, b, c, left, wrap) })
	case "prmt":
		mode := in.one("f4e", "b4e", "rc8", "ecl", "ecr", "rc16")
		l.ternary(t, func(a, b, c uint64) uint64 { return uint64(permute(a|b<<32, uint32(c), mode)) })
	case "dp4a", "dp2a":
		l.dot()
	default:
		l.fail(Unsupported, "%s is not simulated", in.op)
	}
}

// findNth is fns: the n-th set bit of mask from base on, upward for positive n, downward for negative.
func findNth(mask, base, n uint32) uint32 {
	k, step := int32(n), 1
	if k == 0 {
		if mask>>(base&31)&1 != 0 {
			return base
		}
		return full
	}
	if k < 0 {
		k, step = -k, -1
	}
	for i := int(base); i >= 0 && i < 32; i += step {
		if mask>>i&1 != 0 {
			if k--; k == 0 {
				return uint32(i)
			}
		}
	}
	return full
}

func (l *lowering) extract(t dtype) {
	n := t.bits
	in := l.in
	u32 := typeNamed("u32")
	f := func(a uint64, pos, length uint32) uint64 {
		p, k := int(pos&0xFF), int(length&0xFF)
		msb := n - 1
		sign := uint64(0)
		if t.signed() && k > 0 {
			sign = a >> min(p+k-1, msb) & 1
		}
		r := uint64(0)
		for i := range n {
			b := sign
			if i < k && p+i <= msb {
				b = a >> (p + i) & 1
			}
			r |= b << i
		}
		return r
	}
	d, a, b, c := l.destination(in.args[0], n == 64), l.source(in.args[1], t), l.source(in.args[2], u32), l.source(in.args[3], u32)
	if n == 64 {
		l.step.run = lanes3(d, a, b, c, f)
	} else {
		l.step.run = lanes3(d, a, b, c, func(x, y, z uint32) uint32 { return uint32(f(uint64(x), y, z)) })
	}
}

func (l *lowering) insert(t dtype) {
	in := l.in
	n := t.bits
	u32 := typeNamed("u32")
	d, a, b := l.destination(in.args[0], n == 64), l.source(in.args[1], t), l.source(in.args[2], t)
	c, e := l.source(in.args[3], u32), l.source(in.args[4], u32)
	l.step.run = func(w *warp, m uint32) {
		for i := range warpSize {
			if m>>i&1 == 0 {
				continue
			}
			x, y := w.get(a, i, n), w.get(b, i, n)
			pos, k := w.v32(c)[i]&0xFF, w.v32(e)[i]&0xFF
			field := cut(cut(full64, int(min(k, 64)))<<pos, n)
			w.set(d, i, n, y&^field|x<<pos&field)
		}
		w.def[d] = w.def[d]&^m | w.def[a]&w.def[b]&w.def[c]&w.def[e]&m
	}
}

func bitMask(a, b uint64, clamp bool) uint64 {
	if clamp {
		a, b = min(a, 32), min(b, 32)
	} else {
		a, b = a&31, b&31
	}
	return cut(cut(full64, int(b))<<a, 32)
}

// lookup3 applies a three-input truth table to every bit.
func lookup3(a, b, c, table uint32) uint32 {
	r := uint32(0)
	for k := range 8 {
		if table>>k&1 != 0 {
			x, y, z := a, b, c
			if k&4 == 0 {
				x = ^x
			}
			if k&2 == 0 {
				y = ^y
			}
			if k&1 == 0 {
				z = ^z
			}
			r |= x & y & z
		}
	}
	return r
}

// funnel shifts the 64-bit value b:a and keeps the high (left) or low (right) half.
func funnel(a, b, c uint64, left, wrap bool) uint64 {
	if wrap {
		c &= 31
	} else {
		c = min(c, 32)
	}
	v := b<<32 | a
	if left {
		return v << c >> 32
	}
	return cut(v>>c, 32)
}

// permute selects four of eight bytes; the mode forms take their selection from the two low bits of c.
func permute(v uint64, c uint32, mode string) uint32 {
	pick := func(s uint32) uint32 {
		b := uint32(v>>(8*(s&7))) & 0xFF
		if s&8 != 0 { // replicate the sign
			b = uint32(int32(int8(b))>>7) & 0xFF
		}
		return b
	}
	r := uint32(0)
	for i := range uint32(4) {
		k := c & 3
		s := c >> (4 * i) & 0xF
		switch mode {
		case "f4e":
			s = k + i
		case "b4e":
			s = (k - i) & 7
		case "rc8":
			s = k
		case "ecl":
			s = max(i, k)
		case "ecr":
			s = min(i, k)
		case "rc16":
			s = (k&1)*2 + i&1
		}
		r |= pick(s) << (8 * i)
	}
	return r
}

// dot lowers dp4a and dp2a: products of bytes with bytes, or of 16-bit halves with two of four bytes.
func (l *lowering) dot() {
	in := l.in
	b32 := typeNamed("b32")
	ta, tb := in.types[0], in.types[1]
	pairs, width, first := 4, 8, 0
	if in.op == "dp2a" {
		pairs, width = 2, 16
		if in.has("hi") {
			first = 2
		}
	}
	part := func(t dtype, v uint32, i, n int) int64 {
		return int64(dtype{t.class, n, ""}.extend(uint64(v >> (i * n))))
	}
	l.step.run = lanes3(l.destination(in.args[0], false), l.source(in.args[1], b32), l.source(in.args[2], b32), l.source(in.args[3], b32),
		func(a, b, c uint32) uint32 {
			s := int64(int32(c))
			for i := range pairs {
				s += part(ta, a, i, width) * part(tb, b, first+i, 8)
			}
			return uint32(s)
		})
}
