package sim

import "moegen/runtime/sim/arith"

func elemOf(t dtype) arith.Elem {
	switch t.name {
	case "bf16":
		return arith.ElemBF16
	case "f16":
		return arith.ElemF16
	case "tf32":
		return arith.ElemTF32
	case "e4m3":
		return arith.ElemE4M3
	}
	return arith.ElemE5M2
}

// mma lowers mma.sync with m16 n8: lane 4g + q holds, in register i, of A row g + 8·(i mod 2) and the k of word q + 4·(i/2);
// of B column g and the k of word q + 4·i; of C rows g and g + 8, columns 2q and 2q + 1. A word is 32 bits along k.
func (l *lowering) mma() {
	in := l.in
	l.step.aligned = true
	var regs [4][]int
	for i, a := range in.args {
		for _, e := range a.list {
			regs[i] = append(regs[i], l.source(e, typeNamed("b32")))
		}
	}
	shape := in.one("m16n8k4", "m16n8k8", "m16n8k16", "m16n8k32")
	k := atoi(shape[6:])
	ta := in.types[1]
	words := k * ta.bits / 32 // of a row of A
	if ta.class == 'b' {
		words = k * 8 / 32
	}
	acc := 4
	if in.types[0].name == "f16" {
		acc = 2
	}
	if len(regs[0]) != acc || len(regs[3]) != acc || len(regs[1]) != words/2 || len(regs[2]) != words/4 {
		l.fail(Syntax, "%s takes %d, %d, %d and %d registers", shape, acc, words/2, words/4, acc)
		return
	}
	ops := int64(2 * 16 * 8 * k)
	if in.types[0].name == "s32" {
		sat, tb := in.has("satfinite"), in.types[2]
		l.step.run = func(w *warp, m uint32) {
			w.mmaReady(regs, m, ops)
			w.mmaInts(regs, ta, tb, words, sat)
		}
		return
	}
	elem := elemOf(ta)
	if k < elem.K() && elem.K()%k != 0 || k > elem.K() {
		l.fail(Unsupported, "mma of depth %d is not simulated", k)
		return
	}
	var a, b arith.Operand
	l.step.run = func(w *warp, m uint32) {
		w.mmaReady(regs, m, ops)
		a.Reset(elem, 16, false)
		b.Reset(elem, 8, false)
		per := 32 / (elem.Bytes() * 8) // elements of a word
		whole := elem.K() / per
		for lane := range warpSize {
			g, q := lane/4, lane%4
			for i := range whole / 2 {
				v := uint32(0)
				if i < len(regs[1]) {
					v = w.v32(regs[1][i])[lane]
				}
				a.LoadWord(g+8*(i%2), per*(q+4*(i/2)), v)
			}
			for i := range whole / 4 {
				v := uint32(0)
				if i < len(regs[2]) {
					v = w.v32(regs[2][i])[lane]
				}
				b.LoadWord(g, per*(q+4*i), v)
			}
		}
		w.mmaFloats(regs, &a, &b, acc == 2)
	}
}

// mmaReady checks lanes and operands and counts.
func (w *warp) mmaReady(regs [4][]int, m uint32, ops int64) {
	if m != full {
		w.fault(Divergence, lowest(^m), "a matrix instruction needs 32 lanes")
	}
	for _, list := range regs[1:] {
		for _, r := range list {
			w.needs(r, full)
		}
	}
	w.cta.grid.counters.TensorOps += ops
}

func (w *warp) mmaFloats(regs [4][]int, a, b *arith.Operand, half bool) {
	var d [16 * 8]uint32
	for lane := range warpSize {
		g, q := lane/4, lane%4
		for i, r := range regs[3] {
			v := w.v32(r)[lane]
			if half {
				d[(g+8*i)*8+2*q], d[(g+8*i)*8+2*q+1] = v&0xFFFF, v>>16
			} else {
				d[(g+8*(i/2))*8+2*q+i%2] = v
			}
		}
	}
	switch {
	case half:
		arith.MMA16(d[:], a, b)
	case w.cta.machine.FastMath:
		arith.MMAFast(d[:], a, b)
	default:
		arith.MMA(d[:], a, b)
	}
	for lane := range warpSize {
		g, q := lane/4, lane%4
		for i, r := range regs[0] {
			v := d[(g+8*(i/2))*8+2*q+i%2]
			if half {
				v = d[(g+8*i)*8+2*q] | d[(g+8*i)*8+2*q+1]<<16
			}
			w.v32(r)[lane] = v
		}
	}
	for _, r := range regs[0] {
		w.def[r] = full
	}
}

// mmaInts multiplies bytes and adds in 32 bits, wrapping or saturating.
func (w *warp) mmaInts(regs [4][]int, ta, tb dtype, words int, sat bool) {
	var a [16][32]int64
	var b [8][32]int64
	for lane := range warpSize {
		g, q := lane/4, lane%4
		for i := range words / 2 {
			v := w.v32(regs[1][i])[lane]
			for k := range 4 {
				a[g+8*(i%2)][4*(q+4*(i/2))+k] = int64(ta.extend(uint64(v >> (8 * k))))
			}
		}
		for i := range words / 4 {
			v := w.v32(regs[2][i])[lane]
			for k := range 4 {
				b[g][4*(q+4*i)+k] = int64(tb.extend(uint64(v >> (8 * k))))
			}
		}
	}
	var out [4]vec32
	for lane := range warpSize {
		for i, r := range regs[3] {
			row, col := lane/4+8*(i/2), 2*(lane%4)+i%2
			s := int64(int32(w.v32(r)[lane]))
			for k := range 4 * words {
				s += a[row][k] * b[col][k]
			}
			if sat {
				s = min(max(s, -1<<31), 1<<31-1)
			}
			out[i][lane] = uint32(s)
		}
	}
	for i, r := range regs[0] {
		*w.v32(r) = out[i]
		w.def[r] = full
	}
}
