package host

import "math"

// attentionOps is one implementation of the five loops that attention is made of. Blocks are row-major with any row stride;
// sizes are multiples of attentionLane except where stated.
type attentionOps struct {
	// product computes c[i*crs+j] (+)= Σ_{p<k} a[i*ars+p*aks]·b[p,j] for i < m and j < n; k ≥ 1 is any number. It adds to c
	// when accumulate is set.
	product func(m, n, k int, a []float32, ars, aks int, b panels, c []float32, crs int, accumulate bool)

	// rowMax writes the largest element of each of the rows.
	rowMax func(rows, n int, s []float32, stride int, largest []float32)

	// rowExp replaces s by 2^(s + shift), with one shift a row, and writes the sums of the rows. Powers below 2^-126 are
	// not exact, and zero from 2^-127 on.
	rowExp func(rows, n int, s []float32, stride int, shift, sum []float32)

	// rowExpGrad replaces s by p = 2^(s + shift) and ds by p·(ds + delta), with one shift and one delta a row.
	rowExpGrad func(rows, n int, s, ds []float32, stride int, shift, delta []float32)

	// rowScale multiplies each row by its factor.
	rowScale func(rows, n int, x []float32, stride int, factor []float32)
}

// panels is a matrix with its columns in panels of a lane: element (p, j) is x[p*step + j/attentionLane*next + j%attentionLane].
type panels struct {
	x          []float32
	step, next int
}

// rowMajor is a matrix with rows `stride` elements apart.
func rowMajor(x []float32, stride int) panels { return panels{x, stride, attentionLane} }

// at is the matrix from column j on, in its panel.
func (b panels) at(j int) []float32 { return b.x[j/attentionLane*b.next+j%attentionLane:] }

func portableProduct(m, n, k int, a []float32, ars, aks int, b panels, c []float32, crs int, accumulate bool) {
	for j := 0; j < n; j += 4 {
		for i := 0; i < m; i += 2 {
			r0, r1 := productBlock(k, a[i*ars:], a[(i+1)*ars:], aks, b.at(j), b.step)
			c0, c1 := (*[4]float32)(c[i*crs+j:]), (*[4]float32)(c[(i+1)*crs+j:])
			if accumulate {
				for x := range r0 {
					r0[x] += c0[x]
					r1[x] += c1[x]
				}
			}
			*c0, *c1 = r0, r1
		}
	}
}

// productBlock returns two rows of four sums.
func productBlock(k int, a0, a1 []float32, aks int, b []float32, brs int) (r0, r1 [4]float32) {
	var s00, s01, s02, s03, s10, s11, s12, s13 float32
	for p := range k {
		x, y := a0[p*aks], a1[p*aks]
		v := (*[4]float32)(b[p*brs:])
		s00 += x * v[0]
		s01 += x * v[1]
		s02 += x * v[2]
		s03 += x * v[3]
		s10 += y * v[0]
		s11 += y * v[1]
		s12 += y * v[2]
		s13 += y * v[3]
	}
	return [4]float32{s00, s01, s02, s03}, [4]float32{s10, s11, s12, s13}
}

func portableRowMax(rows, n int, s []float32, stride int, largest []float32) {
	for r := range rows {
		largest[r] = maximumPortable(s[r*stride:][:n])
	}
}

func portableRowExp(rows, n int, s []float32, stride int, shift, sum []float32) {
	for r := range rows {
		var part [4]float32
		row := s[r*stride:][:n]
		for i, x := range row {
			row[i] = exp2(x + shift[r])
			part[i%4] += row[i]
		}
		sum[r] = (part[0] + part[1]) + (part[2] + part[3])
	}
}

func portableRowExpGrad(rows, n int, s, ds []float32, stride int, shift, delta []float32) {
	for r := range rows {
		row, grad := s[r*stride:][:n], ds[r*stride:][:n]
		for i, x := range row {
			row[i] = exp2(x + shift[r])
			grad[i] = row[i] * (grad[i] + delta[r])
		}
	}
}

func portableRowScale(rows, n int, x []float32, stride int, factor []float32) {
	for r := range rows {
		row := x[r*stride:][:n]
		scalePortable(factor[r], row, row)
	}
}

// exp2 is 2^x, as the vector kernels compute it: x = n + r with n whole and |r| ≤ ½, 2^r = 1 + r·q(r) with q the polynomial that
// interpolates (2^r−1)/r at the six Chebyshev points of [−½, ½] (largest relative error of 2^r 9e-9, coefficients rounded), and n
// added to the exponent's bits. At the lower bound, −127, that gives the bits of zero.
func exp2(x float32) float32 {
	if x < -127 {
		x = -127
	}
	n := float32(math.RoundToEven(float64(x)))
	r := x - n
	q := r*exp2Poly[5] + exp2Poly[4]
	for i := 3; i >= 0; i-- {
		q = q*r + exp2Poly[i]
	}
	if n != n {
		return n
	}
	return math.Float32frombits(math.Float32bits(q*r+1) + uint32(int32(n))<<23)
}

var exp2Poly = [6]float32{0.6931471880262288, 0.24022650760568084, 0.055503571142191434, 0.009618082557285757, 0.0013390863364639927, 0.0001545316294227159}
