package arith

// FP8 is one of the two 8-bit formats.
type FP8 uint8

const (
	E4M3 FP8 = iota
	E5M2
)

func (t FP8) format() *format {
	if t == E4M3 {
		return &e4m3
	}
	return &e5m2
}

// Narrow2 is cvt.rn.satfinite{.relu}.e4m3x2.f32 (or e5m2x2) d, a, b: a becomes the upper byte. Too large values and
// infinities become the largest finite number, NaN 7F.
func (t FP8) Narrow2(a, b uint32, relu bool) uint16 {
	m := Mode{SatFinite: true, Relu: relu}
	return uint16(narrow(t.format(), value(a), m))<<8 | uint16(narrow(t.format(), value(b), m))
}

// NarrowF16x2 is cvt.rn.satfinite{.relu}.e4m3x2.f16x2 (or e5m2x2).
func (t FP8) NarrowF16x2(a uint32, relu bool) uint16 {
	return t.Narrow2(F32FromF16(uint16(a>>16)), F32FromF16(uint16(a)), relu)
}

// WidenF16x2 is cvt.rn.f16x2.e4m3x2 (or e5m2x2): exact, 7FFF for NaN.
func (t FP8) WidenF16x2(a uint16) uint32 { return pair(t.widen(uint8(a>>8)), t.widen(uint8(a))) }

func (t FP8) widen(x uint8) uint16 {
	if t == E5M2 {
		if x&0x7F > 0x7C {
			return 0x7FFF
		}
		return uint16(x) << 8
	}
	if x&0x7F == 0x7F {
		return 0x7FFF
	}
	e, m := int(x>>3&15), uint64(x&7)
	if e == 0 {
		e = 1
	} else {
		m |= 8
	}
	return uint16(f16.pack(x&0x80 != 0, m, e-10, RN))
}
