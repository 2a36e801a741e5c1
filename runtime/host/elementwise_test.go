package host

import (
	"slices"
	"testing"
)

func TestElementwise(t *testing.T) {
	onEveryISA(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 37, taskElements + 5} {
			a, b := normal(1, n), normal(2, n)
			sum := make([]float32, n)
			for i := range sum {
				sum[i] = a[i] + b[i]
			}
			onAnyCores(t, func(p *Pool) []float32 {
				y := poison(n)
				Add(p, a, b, y)
				wantBits(t, "Add", y, sum)
				Copy(p, a, y)
				wantBits(t, "Copy", y, a)
				Accumulate(p, b, true, y)
				wantBits(t, "Accumulate", y, sum)
				Accumulate(p, b, false, y)
				wantBits(t, "Accumulate, overwriting", y, b)
				Zero(p, y)
				wantBits(t, "Zero", y, make([]float32, n))
				return y
			})
		}
	})
}

func TestSliceRows(t *testing.T) {
	x := []float32{0, 1, 2, 3, 4, 5}
	for first, want := range [][]float32{{0, 1, 2, 3}, {2, 3, 4, 5}, {4, 5, 0, 0}, {0, 0, 0, 0}, {0, 0, 0, 0}} {
		y := poison(4)
		SliceRows(2, []int32{int32(first)}, x, y)
		wantBits(t, "rows", y, want)
	}
}

func TestWrongLength(t *testing.T) {
	p := onePool(t)
	for name, call := range map[string]func(){
		"Add": func() { Add(p, make([]float32, 3), make([]float32, 4), make([]float32, 4)) },
		"RMSNorm": func() {
			RMSNorm(p, 2, 3, 0, make([]float32, 6), make([]float32, 2), make([]float32, 6), make([]float32, 2))
		},
		"SwiGLU": func() { SwiGLU(p, 2, []int32{0, 4}, make([]float32, 8), make([]float32, 8)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s takes operands of the wrong length", name)
				}
			}()
			call()
		}()
	}
}

func TestClearGaps(t *testing.T) {
	y := normal(1, 24)
	want := slices.Clone(y)
	clear(want[3:8])
	clear(want[17:24])
	ClearGaps(8, []int{3, 8, 1}, y)
	wantBits(t, "gaps", y, want)
}
