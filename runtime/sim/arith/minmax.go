package arith

// MinMax is a min or max instruction with its modifiers. -0 is smaller than +0.
type MinMax struct {
	Max     bool
	NaN     bool // .NaN: a NaN operand makes the result NaN; otherwise the other operand wins
	XorSign bool // .xorsign.abs: magnitudes are compared, the result's sign is the product's
	FTZ     bool // subnormal operands count as zeros
}

// F32 works on float32.
func (o MinMax) F32(a, b uint32) uint32 {
	if o.FTZ {
		a, b = Flush32(a), Flush32(b)
	}
	return uint32(o.of(&f32, uint64(a), uint64(b)))
}

// F64 works on float64. Of two NaN the first is kept, made quiet.
func (o MinMax) F64(a, b uint64) uint64 {
	if isNaN64(a) && isNaN64(b) {
		return a | quiet64
	}
	return o.of(&f64, a, b)
}

// Half works on f16 and bf16.
func (o MinMax) Half(h Half, a, b uint16) uint16 {
	m := Mode{FTZ: o.FTZ}
	return uint16(o.of(h.format(), uint64(h.in(a, m)), uint64(h.in(b, m))))
}

// Half2 works on f16x2 and bf16x2.
func (o MinMax) Half2(h Half, a, b uint32) uint32 {
	return pair(o.Half(h, uint16(a>>16), uint16(b>>16)), o.Half(h, uint16(a), uint16(b)))
}

func (o MinMax) of(f *format, a, b uint64) uint64 {
	sign := (a ^ b) & f.sign
	aNaN, bNaN := a&^f.sign > f.inf, b&^f.sign > f.inf
	if o.XorSign {
		a, b = a&^f.sign, b&^f.sign
	}
	r := a
	switch {
	case aNaN && bNaN, o.NaN && (aNaN || bNaN):
		return f.nan
	case aNaN:
		r = b
	case bNaN:
	case f.less(a, b) == o.Max:
		r = b
	}
	if o.XorSign {
		r |= sign
	}
	return r
}

// less orders two numbers by their bits, -0 before +0.
func (f *format) less(a, b uint64) bool {
	if a&f.sign != 0 {
		return b < a // as unsigned numbers; a positive b is smaller, too
	}
	return b&f.sign == 0 && a < b
}

// Class is a test of testp.
type Class uint8

const (
	Finite     Class = iota // neither infinite nor NaN
	Infinite                // ±∞
	Number                  // not NaN
	NotANumber              // NaN
	Normal                  // finite and not subnormal; zero counts as normal
	Subnormal               // subnormal, not zero
)

// Holds32 is testp on float32.
func (c Class) Holds32(u uint32) bool { return c.of(&f32, uint64(u)) }

// Holds64 is testp on float64.
func (c Class) Holds64(u uint64) bool { return c.of(&f64, u) }

func (c Class) of(f *format, u uint64) bool {
	u &^= f.sign
	switch c {
	case Finite:
		return u < f.inf
	case Infinite:
		return u == f.inf
	case Number:
		return u <= f.inf
	case NotANumber:
		return u > f.inf
	case Normal:
		return u < f.inf && (u>>f.man != 0 || u == 0)
	}
	return u>>f.man == 0 && u != 0
}
