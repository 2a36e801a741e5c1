package interp

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestFMA compares with exact arithmetic, rounded once. Most products are a little less than half a unit in the last
// place of the addend, where rounding twice goes wrong.
func TestFMA(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	twice := 0
	for range 100_000 {
		d := math.Exp2(-float64(rng.IntN(20) + 3))
		a, b := float32(1+d), float32(0.5-0.5*d)
		c := float32(1<<23 + rng.IntN(1<<23))
		if rng.IntN(2) == 0 {
			a = -a
		}
		if rng.IntN(4) == 0 {
			b *= float32(rng.Float64())
		}
		sum := new(big.Float).SetPrec(500)
		sum.Mul(big.NewFloat(float64(a)).SetPrec(500), big.NewFloat(float64(b)).SetPrec(500))
		sum.Add(sum, big.NewFloat(float64(c)))
		want, _ := sum.Float32()
		if got := FMA(a, b, c); got != want {
			t.Fatalf("FMA(%v, %v, %v) = %v, want %v", a, b, c, got, want)
		}
		if float32(float64(a)*float64(b)+float64(c)) != want {
			twice++
		}
	}
	if twice == 0 {
		t.Error("no operands on which rounding twice differs: the test sees nothing")
	}
	inf := float32(math.Inf(1))
	if got := FMA(inf, 1, 2); got != inf {
		t.Errorf("∞·1 + 2 = %v", got)
	}
	if got := FMA(inf, 1, -inf); got == got {
		t.Errorf("∞·1 − ∞ = %v", got)
	}
}
