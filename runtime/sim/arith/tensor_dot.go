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
	n, kept, low := b.Rows(), 25, uint64(1<<29-1)
	if a.elem.Bytes() == 1 {
		kept, low = 13, 1<<39-1
	}
	// Three loops over 64 columns, each of independent iterations, keep a processor busier than one loop with a long chain.
	var exps [64]int
	var sums [64]int64
	for j0 := 0; j0 < n; j0 += 64 {
		m := min(64, n-j0)
		for i := range a.Rows() {
			row := d[i*n+j0:][:m]
			for j, c := range row {
				ce := noExp
				if c<<1 != 0 {
					ce = max(int(c>>23&255)-127, -126)
				}
				e := max(ce, -133)
				if a.top[i]+b.top[j0+j] > e {
					e = a.topExponent(b, i, j0+j, e)
				}
				exps[j&63] = e
			}
			for j, c := range row {
				q := power(kept - exps[j&63])
				sums[j&63] = a.cutSum(b, i, j0+j, q) + int64(value(c)*q)
			}
			for j, c := range row {
				s, e := sums[j&63], exps[j&63]
				if e >= special/2 || c&inf32 == inf32 {
					row[j] = bits32(float32(a.sum(b, i, j0+j) + value(c)))
					continue
				}
				// At most 2^6 terms below 2^28 add up exactly in float64; clearing low bits cuts toward zero.
				x := math.Float64frombits(math.Float64bits(float64(s))&^low) * power(e-kept)
				if math.Abs(x) < 0x1p-126 {
					x = cutSubnormal(s, e-kept, low)
				}
				row[j] = math.Float32bits(float32(x)) // exact, or infinite
			}
		}
	}
}

// MMA16 is MMA with accumulators in f16, in the low halves of d: the sum is rounded to nearest even, not cut. One recorded
// mma.sync (128 results) agrees; that terms keep 25 bits here too is assumed.
func MMA16(d []uint32, a, b *Operand) {
	const kept = 25
	n := b.Rows()
	for i := range a.top {
		row := d[i*n : (i+1)*n]
		for j, u := range row {
			c, ce := F32FromF16(uint16(u)), noExp
			if c<<1 != 0 {
				ce = max(int(c>>23&255)-127, -14)
			}
			e := a.topExponent(b, i, j, max(ce, -133))
			if e >= special/2 || ce == 128 {
				row[j] = uint32(f16.round(a.sum(b, i, j)+value(c), RN))
				continue
			}
			q := power(kept - e)
			s := a.cutSum(b, i, j, q) + int64(value(c)*q)
			row[j] = uint32(f16.pack(s < 0, magnitude(s), e-kept, RN))
		}
	}
}

// MMAFast is MMA in plain arithmetic: the sum in float64, rounded once. It differs from the hardware in the last bits.
func MMAFast(d []uint32, a, b *Operand) {
	n := b.Rows()
	for i := range a.top {
		row := d[i*n : (i+1)*n]
		for j, c := range row {
			row[j] = bits32(float32(a.sum(b, i, j) + value(c)))
		}
	}
}

// topExponent is the largest exponent among the products of row i and column j, c's and -133; at least special/2 when a
// factor is infinite or NaN.
func (a *Operand) topExponent(b *Operand, i, j, e int) int {
	x, y := a.groups[i*a.per:], b.groups[j*b.per:]
	for g := range a.per {
		p, q := &x[g].exp, &y[g].exp
		m := max4(max4(p[0]+q[0], p[1]+q[1]), max4(p[2]+q[2], p[3]+q[3]))
		m = max4(m, m>>32)
		m = max4(m, m>>16)
		e = max(e, int(m&0xFFFF)-2*expBias)
	}
	return e
}

// max4 is the larger of each of four 16-bit lanes, which hold less than 2^15.
func max4(x, y uint64) uint64 {
	const high = 0x8000800080008000
	m := (x | high - y) & high // set where x ≥ y
	m |= m - m>>15             // all 16 bits there
	return y ^ (x^y)&m
}

// cutSum is the sum of the products of row i and column j, each multiplied by q and cut toward zero.
func (a *Operand) cutSum(b *Operand, i, j int, q float64) (s int64) {
	for g := range a.per {
		x, y := &a.groups[i*a.per+g].value, &b.groups[j*b.per+g].value
		s += int64(x[0]*y[0]*q) + int64(x[1]*y[1]*q) + int64(x[2]*y[2]*q) + int64(x[3]*y[3]*q) +
			int64(x[4]*y[4]*q) + int64(x[5]*y[5]*q) + int64(x[6]*y[6]*q) + int64(x[7]*y[7]*q) +
			int64(x[8]*y[8]*q) + int64(x[9]*y[9]*q) + int64(x[10]*y[10]*q) + int64(x[11]*y[11]*q) +
			int64(x[12]*y[12]*q) + int64(x[13]*y[13]*q) + int64(x[14]*y[14]*q) + int64(x[15]*y[15]*q)
	}
	return s
}

// sum is the sum of the products of row i and column j in float64, in four chains.
func (a *Operand) sum(b *Operand, i, j int) (s float64) {
	for g := range a.per {
		x, y := &a.groups[i*a.per+g].value, &b.groups[j*b.per+g].value
		s0 := float64(x[0]*y[0]) + float64(x[4]*y[4]) + float64(x[8]*y[8]) + float64(x[12]*y[12])
		s1 := float64(x[1]*y[1]) + float64(x[5]*y[5]) + float64(x[9]*y[9]) + float64(x[13]*y[13])
		s2 := float64(x[2]*y[2]) + float64(x[6]*y[6]) + float64(x[10]*y[10]) + float64(x[14]*y[14])
		s3 := float64(x[3]*y[3]) + float64(x[7]*y[7]) + float64(x[11]*y[11]) + float64(x[15]*y[15])
		s += s0 + s1 + (s2 + s3)
	}
	return s
}

// power is 2^e, e within the normal range of float64.
func power(e int) float64 { return math.Float64frombits(uint64(1023+e) << 52) }

// cutSubnormal cuts s·2^e, less than 2^-126, to a multiple of the smallest subnormal: 2^-149, or what of its
// fraction the bits outside low leave. Zero loses its sign.
func cutSubnormal(s int64, e int, low uint64) float64 {
	least := -149
	if low != 1<<29-1 {
		least = -139
	}
	return math.Trunc(math.Ldexp(float64(s), e-least))*power(least) + 0
}

func magnitude(v int64) uint64 {
	if v < 0 {
		return uint64(-v)
	}
	return uint64(v)
}
