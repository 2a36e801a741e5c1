package arith

import "math/bits"

// The special function unit (SASS: MUFU). Each function interpolates in a table of segments with a quadratic
//
//	V = A + c1·k + c2·(Q(k) >> 17)
//
// where k is a 17-bit position inside the segment and Q(k) is k² from a squarer without the columns below 2^19:
// Q(k) = Σ_{i≥10} k_i 2^(2i) + Σ_{i<j, i+j≥18} k_i k_j 2^(i+j+1), k_i the bits of k. Subnormal operands count as
// zeros and subnormal results become zeros. m is the 23-bit significand field, e the unbiased exponent.

// squares holds Q(k) >> 17.
var squares = squareTable()

func squareTable() *[1 << 17]int32 {
	q := make([]uint64, 1<<17)
	t := new([1 << 17]int32)
	for j := range 17 {
		// With top bit j: the square of the rest, the bit's own square, and twice its products with the bits i ≥ 18-j.
		own := uint64(0)
		if j >= 10 {
			own = 1 << (2 * j)
		}
		low := max(18-j, 0)
		for rest := range uint64(1) << j {
			q[1<<j|rest] = q[rest] + own + rest>>low<<(low+j+1)
		}
	}
	for k, v := range q {
		t[k] = int32(v >> 17)
	}
	return t
}

func (s *segment) evaluate(k uint32) int64 {
	return s.a + int64(s.c1)*int64(k) + int64(s.c2)*int64(squares[k&0x1FFFF])
}

const signBit = 0x80000000

// mufuRcp is 1/x.
func mufuRcp(x uint32) uint32 {
	s, e, m := x&signBit, x>>23&255, x&0x7FFFFF
	switch {
	case e == 0:
		return s | inf32
	case e == 255 && m != 0:
		return NaN32
	case e == 255 || e > 252 && (m != 0 || e == 254): // 1/∞, and results that would be subnormal
		return s
	case m == 0:
		return s | (254-e)<<23
	}
	y := rcpTable[m>>16].evaluate(m&0xFFFF<<1) >> 17 // in [2^23, 2^24)
	return s | (252-e)<<23 + uint32(y)
}

// mufuRsqrt is 1/√x.
func mufuRsqrt(x uint32) uint32 {
	e, m := x>>23&255, x&0x7FFFFF
	switch {
	case e == 0:
		return x&signBit | inf32
	case x > inf32: // NaN or negative
		return NaN32
	case x == inf32:
		return 0
	}
	odd, h := ^e&1, int32(e-127)>>1 // x = 2^(2h) · [1,4); an even field is an odd exponent
	if odd == 0 && m == 0 {
		return uint32(127-h) << 23
	}
	y := rsqrtTable[odd<<6|m>>17].evaluate(m&0x1FFFF) >> 17
	return uint32(125-h)<<23 + uint32(y)
}

// mufuSqrt is √x.
func mufuSqrt(x uint32) uint32 {
	e, m := x>>23&255, x&0x7FFFFF
	switch {
	case e == 0:
		return x & signBit
	case x > inf32:
		return NaN32
	case x == inf32:
		return inf32
	}
	odd, h := ^e&1, int32(e-127)>>1
	y := sqrtTable[odd<<6|m>>17].evaluate(m&0x1FFFF) >> 18
	return uint32(126+h)<<23 + uint32(y)
}

// mufuEx2 is 2^x.
func mufuEx2(x uint32) uint32 {
	negative, e, m := x&signBit != 0, int32(x>>23&255)-127, x&0x7FFFFF
	switch {
	case e == 128 && m != 0:
		return NaN32
	case e >= 8 && negative:
		return 0
	case e >= 8:
		return inf32
	}
	fixed := int64(m | 1<<23) // |x| in units of 2^-23, cut toward zero; zero for subnormal x
	if e >= 0 {
		fixed <<= e
	} else {
		fixed >>= min(-e, 63)
	}
	if negative {
		if fixed&0x7FFFFF == 0 {
			fixed = -fixed
		} else {
			fixed = ^fixed // the unit saves the carry of a two's complement
		}
	}
	i, f := fixed>>23, uint32(fixed)&0x7FFFFF
	switch {
	case i >= 128:
		return inf32
	case i < -126:
		return 0
	}
	y := ex2Table[f>>17].evaluate(f&0x1FFFF) >> 17
	return uint32(126+i)<<23 + uint32(y)
}

// mufuLg2 is log2 x.
func mufuLg2(x uint32) uint32 {
	e, m := int64(x>>23&255)-127, x&0x7FFFFF
	switch {
	case e == -127:
		return signBit | inf32
	case x > inf32:
		return NaN32
	case x == inf32:
		return inf32
	case x == one32:
		return 0
	}
	v := lg2Table[m>>17].evaluate(m&0x1FFFF) &^ 15 // of the significand, in units of 2^-40, 36 bits of which count
	if e >= 0 {
		return cut40(0, e<<40+v)
	}
	return cut40(signBit, -e<<40-v-16)
}

// mufuSin is the sine of x ≥ 0 revolutions and so many quarters. The angle is cut to 25 bits of a revolution; where the sine
// falls, the segments are walked backward by the complement of a position.
func mufuSin(x, quarters uint32) uint32 {
	e := int(x >> 23)
	if e == 255 {
		return NaN32
	}
	angle := uint64(x&0x7FFFFF | 1<<23) // in units of 2^-25
	if e >= 125 {
		angle <<= e - 125
	} else {
		angle >>= 125 - e
	}
	quarters += uint32(angle >> 23)
	f := uint32(angle) & 0x7FFFFF
	if quarters&1 != 0 {
		f ^= 0x7FFFFF
	}
	sign := quarters & 2 << 30
	if f == 0 {
		return sign
	}
	return cut40(sign, 2*sinTable[f>>17].evaluate(f&0x1FFFF))
}

// tanhOctaves tells, for the octaves 2^-8 to 2^2 of |x|, how many low bits of m are dropped and which segment is the first.
var tanhOctaves = [11]struct{ drop, first uint32 }{
	{6, 0}, {6, 1}, {6, 2}, {5, 3}, {5, 5}, {4, 7}, {4, 11}, {4, 15}, {3, 19}, {2, 27}, {3, 43},
}

// mufuTanh is tanh x: the identity below 2^-8 (subnormals included), one from 8 on.
func mufuTanh(x uint32) uint32 {
	s, e, m := x&signBit, int32(x>>23&255)-127, x&0x7FFFFF
	switch {
	case e == 128 && m != 0:
		return NaN32
	case e >= 3:
		return s | one32
	case e < -8:
		return x
	}
	o := &tanhOctaves[e+8]
	g := m >> o.drop
	return cut40(s, tanhTable[o.first+g>>17].evaluate(g&0x1FFFF))
}

// cut40 is v·2^-40, v > 0, cut to 24 bits.
func cut40(sign uint32, v int64) uint32 {
	n := bits.Len64(uint64(v))
	y := uint32(uint64(v) << (64 - n) >> 40) // 24 bits, leading one set
	return sign | uint32(n+85)<<23 + y
}
