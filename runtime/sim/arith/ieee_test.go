package arith

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// The IEEE parts against exact rational arithmetic. The reference knows nothing of pack: it finds the two neighbours of
// an exact value among a format's numbers by bisection, and chooses by the definition of the rounding.

// exact is the value of a finite number's magnitude bits; the bits of infinity count as the power of two after the largest.
func (f *format) exact(mag uint64) *big.Rat {
	e, m := int(mag>>f.man), mag&(1<<f.man-1)
	if e == 0 {
		e = 1
	} else {
		m |= 1 << f.man
	}
	return scaled(m, e-f.bias-f.man)
}

// scaled is m·2^e.
func scaled(m uint64, e int) *big.Rat {
	r := new(big.Rat).SetInt(new(big.Int).SetUint64(m))
	p := new(big.Int).Lsh(big.NewInt(1), uint(max(e, -e)))
	if e < 0 {
		return r.Quo(r, new(big.Rat).SetInt(p))
	}
	return r.Mul(r, new(big.Rat).SetInt(p))
}

func ratio(f *format, u uint64) *big.Rat {
	v := f.exact(u &^ f.sign)
	if u&f.sign != 0 {
		v.Neg(v)
	}
	return v
}

// nearest rounds a positive value, of which above(q) tells the sign of (value - q).
func (f *format) nearest(above func(q *big.Rat) int, neg bool, r Rounding) uint64 {
	lo, hi := uint64(0), f.inf // lo ≤ value; value < hi, or beyond the format
	for lo+1 < hi {
		if mid := (lo + hi) / 2; above(f.exact(mid)) >= 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	if above(f.exact(lo)) == 0 {
		return lo
	}
	half := new(big.Rat).Add(f.exact(lo), f.exact(hi))
	half.Mul(half, big.NewRat(1, 2))
	c := above(half)
	switch {
	case r == RN && (c > 0 || c == 0 && lo&1 != 0), r == RP && !neg, r == RM && neg:
		return hi
	}
	return lo
}

// rounded is the format's number for an exact value.
func (f *format) rounded(v *big.Rat, r Rounding) uint64 {
	neg := v.Sign() < 0
	mag := new(big.Rat).Abs(v)
	u := f.nearest(mag.Cmp, neg, r)
	if neg {
		u |= f.sign
	}
	return u
}

// operand draws a finite number with many subnormals, powers of two, all-ones significands and near neighbours of other.
func operand(f *format, r *rand.Rand, other uint64) uint64 {
	width := uint(f.man + 1)
	for {
		u := r.Uint64() & (f.sign<<1 - 1)
		switch r.IntN(6) {
		case 0: // subnormal
			u &= f.sign | 1<<f.man - 1
		case 1: // few significant bits: exact results and ties
			u &^= 1<<(width/2+r.UintN(width/2)) - 1
		case 2:
			u |= 1<<f.man - 1
		case 3: // exponent near the other operand's
			e := other &^ f.sign >> f.man
			u = u&(f.sign|1<<f.man-1) | (e+r.Uint64N(5))<<f.man
		case 4:
			u = other ^ f.sign + r.Uint64N(3)
		}
		u &= f.sign<<1 - 1
		if u&^f.sign < f.inf {
			return u
		}
	}
}

var allRoundings = []Rounding{RN, RZ, RM, RP}

// check compares a result with the exact one; a zero's sign is left to the recorded vectors.
func check(t *testing.T, f *format, what string, got, want uint64, operands ...uint64) {
	t.Helper()
	if got != want && (got|want)&^f.sign != 0 {
		t.Fatalf("%s %x = %x, exact %x", what, operands, got, want)
	}
}

func TestFloat32Exact(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	f := &f32
	for i := range 3000 {
		a := operand(f, r, 1<<30)
		b := operand(f, r, a)
		c := operand(f, r, b)
		x, y, z := ratio(f, a), ratio(f, b), ratio(f, c)
		if i%3 == 0 { // c cancels most of a·b
			p := new(big.Rat).Mul(x, y)
			if u := f.rounded(p.Neg(p), RN) + r.Uint64N(3) - 1; u&^f.sign < f.inf && u < 1<<32 {
				c, z = u, ratio(f, u)
			}
		}
		xy := new(big.Rat).Mul(x, y)
		m := Mode{Round: allRoundings[i%4]}
		at := func(v *big.Rat) uint64 { return f.rounded(v, m.Round) }
		check(t, f, "add", uint64(Add32M(uint32(a), uint32(b), m)), at(new(big.Rat).Add(x, y)), a, b)
		check(t, f, "sub", uint64(Sub32M(uint32(a), uint32(b), m)), at(new(big.Rat).Sub(x, y)), a, b)
		check(t, f, "mul", uint64(Mul32M(uint32(a), uint32(b), m)), at(xy), a, b)
		sum := new(big.Rat).Add(xy, z)
		check(t, f, "fma", uint64(FMA32M(uint32(a), uint32(b), uint32(c), m)), at(sum), a, b, c)
		if y.Sign() != 0 {
			check(t, f, "div", uint64(Div32(uint32(a), uint32(b), m)), at(new(big.Rat).Quo(x, y)), a, b)
		}
		root := f.nearest(func(q *big.Rat) int { return new(big.Rat).Abs(x).Cmp(q.Mul(q, q)) }, false, m.Round)
		check(t, f, "sqrt", uint64(Sqrt32(uint32(a)&abs32, m)), root, a)
		check(t, f, "fma.rn", uint64(FMA32(uint32(a), uint32(b), uint32(c))), f.rounded(sum, RN), a, b, c)
	}
}

func TestHalfExact(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, h := range []Half{F16, BF16} {
		f := h.format()
		for range 2000 {
			a := operand(f, r, uint64(f.bias)<<f.man)
			b := operand(f, r, a)
			c := operand(f, r, b)
			x, y, z := ratio(f, a), ratio(f, b), ratio(f, c)
			xy := new(big.Rat).Mul(x, y)
			p, q := uint16(a), uint16(b)
			check(t, f, "add", uint64(h.Add(p, q, Mode{})), f.rounded(new(big.Rat).Add(x, y), RN), a, b)
			check(t, f, "sub", uint64(h.Sub(p, q, Mode{})), f.rounded(new(big.Rat).Sub(x, y), RN), a, b)
			check(t, f, "mul", uint64(h.Mul(p, q, Mode{})), f.rounded(xy, RN), a, b)
			check(t, f, "fma", uint64(h.FMA(p, q, uint16(c), Mode{})), f.rounded(new(big.Rat).Add(xy, z), RN), a, b, c)
		}
	}
}

func TestConversionsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for i := range 1500 {
		m := Mode{Round: allRoundings[i%4]}
		for _, h := range []Half{F16, BF16} {
			f := h.format()
			// A float32 near a number of the format, so that ties and overflows occur.
			u := uint64(h.Widen(uint16(operand(f, r, f.max))))
			u += r.Uint64N(1<<14) - 1<<13
			u &= 1<<32 - 1
			if u&abs32 >= inf32 {
				continue
			}
			v := ratio(&f32, u)
			check(t, f, "narrow", uint64(h.Narrow(uint32(u), m)), f.rounded(v, m.Round), u)
			if h == BF16 {
				check(t, f, "cvt.rn.bf16", uint64(CvtBF16(uint32(u))), f.rounded(v, RN), u)
			}
			want := f.rounded(v, m.Round)
			if want&^f.sign == f.inf {
				want = want&f.sign | f.max
			}
			sat := m
			sat.SatFinite = true
			check(t, f, "satfinite", uint64(h.Narrow(uint32(u), sat)), want, u)
		}
		u := operand(&f64, r, (1023-127+r.Uint64N(256))<<52)
		check(t, &f32, "f32 from f64", uint64(F32FromF64(u, m)), f32.rounded(ratio(&f64, u), m.Round), u)
		n := int64(r.Uint64()) >> r.UintN(64)
		v := new(big.Rat).SetInt64(n)
		check(t, &f32, "f32 from int", uint64(F32FromInt(n, m.Round)), f32.rounded(v, m.Round), uint64(n))
		check(t, &f64, "f64 from int", F64FromInt(n, m.Round), f64.rounded(v, m.Round), uint64(n))
		check(t, &f16, "f16 from int", uint64(F16.FromInt(n, m.Round)), f16.rounded(v, m.Round), uint64(n))
		w := new(big.Rat).SetInt(new(big.Int).SetUint64(uint64(n)))
		check(t, &f32, "f32 from uint", uint64(F32FromUint(uint64(n), m.Round)), f32.rounded(w, m.Round), uint64(n))
	}
}

// TestIntFromFloat: clamped to every width, from the definition of rounding to an integer.
func TestIntFromFloat(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	half := big.NewRat(1, 2)
	for i := range 20000 {
		u := operand(&f32, r, (127+r.Uint64N(66))<<23)
		v := ratio(&f32, u)
		floor := new(big.Int).Div(v.Num(), v.Denom()) // Euclidean; the denominator is positive
		rest := new(big.Rat).Sub(v, new(big.Rat).SetInt(floor))
		up := false
		mode := allRoundings[i%4]
		switch mode {
		case RN:
			c := rest.Cmp(half)
			up = c > 0 || c == 0 && floor.Bit(0) == 1
		case RZ:
			up = v.Sign() < 0 && rest.Sign() != 0
		case RP:
			up = rest.Sign() != 0
		}
		if up {
			floor.Add(floor, big.NewInt(1))
		}
		for _, width := range []int{8, 16, 32, 64} {
			one := big.NewInt(1)
			for _, signed := range []bool{true, false} {
				lo, hi := new(big.Int), new(big.Int).Lsh(one, uint(width))
				if signed {
					hi.Rsh(hi, 1)
					lo.Neg(hi)
				}
				hi.Sub(hi, one)
				want := new(big.Int).Set(floor)
				if want.Cmp(lo) < 0 {
					want = lo
				} else if want.Cmp(hi) > 0 {
					want = hi
				}
				w := want.Uint64()
				if want.Sign() < 0 {
					w = uint64(want.Int64())
				}
				if got := IntFromFloat(value(uint32(u)), mode, width, signed); got != w {
					t.Fatalf("%x rounded %d to %d bits (signed %v): %x, want %x", u, mode, width, signed, got, w)
				}
			}
		}
	}
}

// TestFP8Exact takes every number of both formats, its neighbours' midpoints and values just beside them.
func TestFP8Exact(t *testing.T) {
	for _, e := range []FP8{E4M3, E5M2} {
		f := e.format()
		for m := uint64(0); m <= f.max; m++ {
			at := ratio(&f16, uint64(e.widen(uint8(m))))
			if at.Cmp(f.exact(m)) != 0 {
				t.Fatalf("%02x widens to %v, want %v", m, at, f.exact(m))
			}
			x, _ := at.Float64()
			next, _ := f.exact(m + 1).Float64()
			for _, v := range []float64{x, (x + next) / 2, beside(x, next, 0), beside(x, next, math.MaxFloat32)} {
				u := math.Float32bits(float32(v))
				exact := ratio(&f32, uint64(u))
				want := min(f.rounded(exact, RN), f.max)
				if got := e.Narrow2(u|signBit, u, false); uint64(got) != want|(want|0x80)<<8 {
					t.Fatalf("%g: %04x, want %02x in both bytes", v, got, want)
				}
			}
		}
	}
}

// beside is the float32 next to the midpoint of x and y in a direction.
func beside(x, y float64, toward float32) float64 {
	return float64(math.Nextafter32(float32((x+y)/2), toward))
}

// TestTensorRule holds MMA and MMA16 against the rule of MMA's comment in exact rationals, for every operand type: on
// operands of any exponent, within 2^±8 of 1, subnormal, and with products around the least exponent. 70 columns, so that a
// second block of columns begins; the first row of A is zero; odd rows times odd columns nearly cancel.
func TestTensorRule(t *testing.T) {
	tf32 := format{man: 10, bias: 127, sign: 1 << 18, inf: 255 << 10}
	formats := []*format{ElemBF16: &bf16, ElemF16: &f16, ElemTF32: &tf32, ElemE4M3: &e4m3, ElemE5M2: &e5m2}
	for elem, f := range formats {
		all := [2]uint64{0, f.inf>>f.man - 1}
		near := [2]uint64{uint64(max(f.bias-8, 0)), uint64(min(f.bias+8, int(all[1])))}
		testTensorRule(t, Elem(elem), f, all, [2]uint64{0, 254}, 3, 8)
		testTensorRule(t, Elem(elem), f, near, [2]uint64{117, 137}, 6, 8)
		product := max(127-2*f.bias, 0) // about the exponent field of a product of two subnormals
		testTensorRule(t, Elem(elem), f, [2]uint64{0, 0}, [2]uint64{uint64(max(product-10, 0)), uint64(product + 6)}, 3, 8)
		if f.bias == 127 { // sums of two exponents from -150 to -138
			testTensorRule(t, Elem(elem), f, [2]uint64{52, 58}, [2]uint64{0, 2}, 12, 2)
		}
	}
}

// testTensorRule draws operands of type elem with exponent fields in one range, accumulators with fields in another; one
// accumulator of so many is zero.
func testTensorRule(t *testing.T, elem Elem, f *format, fields, accFields [2]uint64, M, zeros int) {
	const N = 70
	r := rand.New(rand.NewPCG(11, uint64(elem)))
	draw := func(f *format, fields [2]uint64, zeros int) uint64 {
		if r.IntN(zeros) == 0 {
			return 0
		}
		e := fields[0] + r.Uint64N(fields[1]-fields[0]+1)
		return min(e<<f.man+r.Uint64N(1<<f.man), f.inf-1) | f.sign*r.Uint64N(2)
	}
	var a, b Operand
	a.Reset(elem, M, true)
	b.Reset(elem, N, false)
	row := func(o *Operand, i int) []uint64 {
		x := make([]uint64, elem.K())
		for k := range x {
			switch {
			case o == &a && i == 0:
			case i%2 == 1 && k%2 == 1 && k < len(x)-2:
				x[k] = x[k-1]
				if o == &a {
					x[k] ^= f.sign
				}
			default:
				x[k] = draw(f, fields, 8)
			}
			u := x[k]
			if elem == ElemTF32 {
				u = u<<13 | r.Uint64N(1<<13)
			}
			o.Load(i, k, binary.LittleEndian.AppendUint32(nil, uint32(u))[:elem.Bytes()])
		}
		return x
	}
	var x, y [][]uint64
	for i := range M {
		x = append(x, row(&a, i))
	}
	for j := range N {
		y = append(y, row(&b, j))
	}
	acc, half := make([]uint32, M*N), make([]uint32, M*N)
	for i := range acc {
		acc[i] = uint32(draw(&f32, accFields, zeros))
		half[i] = uint32(draw(&f16, [2]uint64{0, 20}, zeros))
	}
	c, hc := slices.Clone(acc), slices.Clone(half)
	MMA(acc, &a, &b)
	MMA16(half, &a, &b)
	for at := range acc {
		i, j := at/N, at%N
		if want := cutRule(elem, tensorRule(elem, f, x[i], y[j], &f32, uint64(c[at]))); uint64(acc[at]) != want {
			t.Fatalf("type %d [%d][%d]: %08x, rule %08x", elem, i, j, acc[at], want)
		}
		if elem == ElemF16 { // accumulators in f16 are for f16 operands only
			v := tensorRule(elem, f, x[i], y[j], &f16, uint64(hc[at]))
			check(t, &f16, "MMA16", uint64(half[at]), f16.rounded(v, RN), uint64(i), uint64(j))
		}
	}
}

// cutRule cuts a sum to the 24 or 14 bits of a result, too large ones to infinity.
func cutRule(elem Elem, v *big.Rat) uint64 {
	f := &f32
	if elem.Bytes() == 1 {
		f = &format{man: 13, bias: 127, sign: 1 << 21, inf: 255 << 13}
	}
	mag := new(big.Rat).Abs(v)
	u := f.inf
	if mag.Cmp(f.exact(f.inf)) < 0 {
		u = f.nearest(mag.Cmp, false, RZ)
	}
	if v.Sign() < 0 && u != 0 {
		u |= f.sign
	}
	return u << (23 - f.man)
}

// tensorRule is c - Σ x_k·y_k with every term cut (x was loaded with its signs flipped).
func tensorRule(elem Elem, f *format, x, y []uint64, cf *format, c uint64) *big.Rat {
	kept := 25
	if elem.Bytes() == 1 {
		kept = 13
	}
	exponent := func(f *format, u uint64) int { return max(int(u&^f.sign>>f.man), 1) - f.bias }
	e := -133
	if c&^cf.sign != 0 {
		e = max(e, exponent(cf, c))
	}
	terms := []*big.Rat{ratio(cf, c)}
	for k := range x {
		p := new(big.Rat).Mul(ratio(f, x[k]), ratio(f, y[k]))
		if p.Sign() != 0 {
			e = max(e, exponent(f, x[k])+exponent(f, y[k]))
		}
		terms = append(terms, p.Neg(p))
	}
	sum := new(big.Int)
	for _, v := range terms {
		v.Mul(v, scaled(1, kept-e))
		sum.Add(sum, new(big.Int).Quo(v.Num(), v.Denom()))
	}
	v := new(big.Rat).SetInt(sum)
	return v.Mul(v, scaled(1, e-kept))
}
