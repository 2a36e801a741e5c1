package arith

import "math"

// MMA adds the product of a and b to d, [rows of a][rows of b] float32, with the bits of an H100's wgmma (and, except for
// the 8-bit types, mma.sync). For every element of d, with c its old value and k running over the operands' length:
//
//   - A NaN among the operands, 0·∞, or infinities of both signs give 7FFFFFFF; an infinity otherwise wins.
//   - E is the largest exponent among the non-zero products (sums of the factors' exponents, significands not
//     normalised), c unless it is zero, and -133.
//   - c and every product are cut toward zero to multiples of 2^(E-25) (8-bit types: 2^(E-13)) and added exactly.
//   - The sum is cut toward zero to 24 bits (14), subnormals kept; zero is always +0.
//
// The rule was measured: 6.5 million dot products, none different. The order of k does not matter.
func MMA(d []uint32, a, b *Operand) {
	n, wide := b.Rows(), elems[a.elem].result == 23
	for i := range a.top {
		row := d[i*n : (i+1)*n]
		for j, c := range row {
			ce := none
			if c<<1 != 0 {
				ce = max(int(c>>23&255)-127, -126)
			}
			sum, e := dot(a, b, i, j, value(c), ce)
			if e == special {
				row[j] = bits32(float32(infinite(a, b, i, j, value(c))))
				continue
			}
			// A sum of at most 2^6 terms below 2^28 is exact in float64; cutting its fraction cuts toward zero.
			u := math.Float64bits(float64(sum))
			if wide {
				u &^= 1<<29 - 1
			} else {
				u &^= 1<<39 - 1
			}
			x := math.Float64frombits(u) * power(e)
			if math.Abs(x) < 0x1p-126 {
				row[j] = cutSubnormal(sum, e, wide)
				continue
			}
			row[j] = math.Float32bits(float32(x)) // exact, or infinite
		}
	}
}

// MMA16 is MMA with accumulators in f16, in the low halves of d: the sum is rounded to nearest even, not cut.
func MMA16(d []uint32, a, b *Operand) {
	n := b.Rows()
	for i := range a.top {
		row := d[i*n : (i+1)*n]
		for j, u := range row {
			c, ce := F32FromF16(uint16(u)), none
			switch {
			case u&0x7C00 == 0x7C00:
				ce = special
			case c<<1 != 0:
				ce = max(int(c>>23&255)-127, -14)
			}
			sum, e := dot(a, b, i, j, value(c), ce)
			if e == special {
				row[j] = uint32(f16.round(infinite(a, b, i, j, value(c)), RN))
				continue
			}
			row[j] = uint32(f16.pack(sum < 0, magnitude(sum), e, RN))
		}
	}
}

// MMAFast is MMA in plain arithmetic: the sum in float64, rounded once. It differs from the hardware in the last bits.
func MMAFast(d []uint32, a, b *Operand) {
	n := b.Rows()
	for i := range a.top {
		row := d[i*n : (i+1)*n]
		for j, c := range row {
			row[j] = bits32(float32(plain(a, b, i, j) + value(c)))
		}
	}
}

// dot gives the exact sum of the cut terms c + Σ a_ik·b_jk, in units of 2^e. ce is the exponent of c, none for zero. With an infinity or
// NaN among the operands, e is special.
func dot(a, b *Operand, i, j int, c float64, ce int) (sum int64, e int) {
	k := a.k
	x, y := a.values[i*k:(i+1)*k], b.values[j*k:(j+1)*k]
	e = max(ce, noneMin)
	if bound := int(a.top[i]) + int(b.top[j]); bound > e {
		if bound >= special/2 {
			return 0, special
		}
		e = max(e, topExponent(a.exps[i*k:(i+1)*k], b.exps[j*k:(j+1)*k]))
	}
	if e >= 128 && ce >= 128 {
		return 0, special
	}
	e -= elems[a.elem].kept
	u := power(-e)
	for len(x) >= 8 && len(y) >= 8 {
		p, q := (*[8]float64)(x), (*[8]float64)(y)
		sum += int64(p[0]*q[0]*u) + int64(p[1]*q[1]*u) + int64(p[2]*q[2]*u) + int64(p[3]*q[3]*u) +
			int64(p[4]*q[4]*u) + int64(p[5]*q[5]*u) + int64(p[6]*q[6]*u) + int64(p[7]*q[7]*u)
		x, y = x[8:], y[8:]
	}
	return sum + int64(c*u), e
}

// topExponent is the largest sum of two exponents.
func topExponent(x, y []int16) int {
	e := int32(2 * none)
	for len(x) >= 8 && len(y) >= 8 {
		p, q := (*[8]int16)(x), (*[8]int16)(y)
		e0 := max(int32(p[0])+int32(q[0]), int32(p[1])+int32(q[1]))
		e1 := max(int32(p[2])+int32(q[2]), int32(p[3])+int32(q[3]))
		e2 := max(int32(p[4])+int32(q[4]), int32(p[5])+int32(q[5]))
		e3 := max(int32(p[6])+int32(q[6]), int32(p[7])+int32(q[7]))
		e = max(e, max(e0, e1), max(e2, e3))
		x, y = x[8:], y[8:]
	}
	return int(e)
}

// infinite is the result with an infinity or NaN among the operands.
func infinite(a, b *Operand, i, j int, c float64) float64 { return plain(a, b, i, j) + c }

// plain is Σ a_ik·b_jk in float64.
func plain(a, b *Operand, i, j int) float64 {
	k := a.k
	x, y := a.values[i*k:(i+1)*k], b.values[j*k:(j+1)*k]
	var s0, s1, s2, s3 float64
	for len(x) >= 4 && len(y) >= 4 {
		p, q := (*[4]float64)(x), (*[4]float64)(y)
		s0, s1, s2, s3 = s0+float64(p[0]*q[0]), s1+float64(p[1]*q[1]), s2+float64(p[2]*q[2]), s3+float64(p[3]*q[3])
		x, y = x[4:], y[4:]
	}
	return s0 + s1 + (s2 + s3)
}

// power is 2^e, e within the normal range of float64.
func power(e int) float64 { return math.Float64frombits(uint64(1023+e) << 52) }

// cutSubnormal cuts sum·2^e, less than 2^-126, to a multiple of the smallest subnormal.
func cutSubnormal(sum int64, e int, wide bool) uint32 {
	m, last := magnitude(sum), -149
	if !wide {
		last = -139 // 13 fraction bits
	}
	if e < last {
		m >>= min(last-e, 63)
	} else {
		m <<= e - last
	}
	m <<= last + 149
	if sum < 0 && m != 0 {
		m |= signBit
	}
	return uint32(m)
}

func magnitude(v int64) uint64 {
	if v < 0 {
		return uint64(-v)
	}
	return uint64(v)
}
