package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
)

// Fill sets all parameters to their random initialisation. An element depends on the seed, the name of its
// checkpoint tensor and its index there, so neither sharding nor order matters, and Create with the same seed
// writes the same values.
func Fill(params []Param, memory Memory, seed uint64) error {
	return eachChunk(tensors(params), func(c *chunk) error {
		to := value(c.param)
		if !memory.wants(c, to) {
			return nil
		}
		c.random(seed, c.first, c.values)
		return memory.putValues(c, to)
	})
}

// random fills dst with elements first, first+1, ... of the tensor's initialisation.
func (t *tensor) random(seed uint64, first int, dst []float32) {
	switch init := t.param.Init; init.Kind {
	case InitNormal:
		key := tensorKey(seed, t.Name)
		for i := range dst {
			dst[i] = float32(init.Std * normal(key, uint64(first+i)))
		}
	case InitOnes:
		for i := range dst {
			dst[i] = 1
		}
	case InitZeros:
		clear(dst)
	default:
		panic(fmt.Sprintf("BUG: initialisation %d of parameter %s", init.Kind, t.param.Name))
	}
	for _, row := range t.param.Init.ZeroRows {
		width := t.Elements() / t.Shape[0]
		if lo, hi := max(row*width-first, 0), min((row+1)*width-first, len(dst)); lo < hi {
			clear(dst[lo:hi])
		}
	}
}

// tensorKey gives every tensor a stream of its own.
func tensorKey(seed uint64, name string) uint64 {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", seed, name))
	return binary.LittleEndian.Uint64(sum[:])
}

// normal is number i of a stream of standard normal values: the normal quantile of a uniform value made of 53
// bits of splitmix64 (Steele, Lea and Flood 2014), whose state after i+1 steps is key + (i+1)·γ.
func normal(key, i uint64) float64 {
	z := key + (i+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	return quantile((float64(z>>11) + 0.5) * 0x1p-53)
}

// quantile is the inverse of the standard normal distribution function, 0 < p < 1, to about 1e-16: algorithm
// AS 241 (PPND16), M. J. Wichura, Applied Statistics 37 (1988) 477-484.
func quantile(p float64) float64 {
	q := p - 0.5
	if math.Abs(q) <= 0.425 {
		r := 0.180625 - float64(q*q)
		return q * ratio(r, &centreNumerator, &centreDenominator)
	}
	r := math.Sqrt(-logarithm(min(p, 1-p)))
	var x float64
	if r <= 5 {
		x = ratio(r-1.6, &middleNumerator, &middleDenominator)
	} else {
		x = ratio(r-5, &tailNumerator, &tailDenominator)
	}
	return math.Copysign(x, q)
}

// ratio is the quotient of two polynomials. Every product is rounded by an explicit conversion: a compiler
// may otherwise fuse it with the addition, on some processors only, and the same seed must give the same
// values everywhere.
func ratio(x float64, numerator, denominator *[8]float64) float64 {
	n, d := numerator[7], denominator[7]
	for i := 6; i >= 0; i-- {
		n = float64(n*x) + numerator[i]
		d = float64(d*x) + denominator[i]
	}
	return n / d
}

// logarithm is the natural logarithm of a normal positive x, the same to the bit on every processor, which
// math.Log is not: with x = m·2^e and √½ ≤ m < √2, e·ln 2 + 2·atanh s where s = (m-1)/(m+1), |s| < 0.172. The
// series Σ s^2k/(2k+1) is cut after s^20: what is left is below 0.172^22/23 < 1e-18.
func logarithm(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	s := (m - 1) / (m + 1)
	square := float64(s * s)
	sum := 0.0
	for k := 10; k >= 0; k-- {
		sum = float64(sum*square) + 1/float64(2*k+1)
	}
	return float64(float64(e)*math.Ln2) + float64(2*s*sum)
}

// The coefficients of PPND16, lowest power first.
var (
	centreNumerator = [8]float64{
		3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
		4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3,
	}
	centreDenominator = [8]float64{
		1, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
		2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3,
	}
	middleNumerator = [8]float64{
		1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
		1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4,
	}
	middleDenominator = [8]float64{
		1, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
		1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9,
	}
	tailNumerator = [8]float64{
		6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
		2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7,
	}
	tailDenominator = [8]float64{
		1, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
		7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15,
	}
)
