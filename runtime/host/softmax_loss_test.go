package host

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// crossEntropy64 is the loss and its gradient by the definition.
func crossEntropy64(v int, logits []float32, targets []int32, norm float64) (loss float64, dlogits []float64) {
	dlogits = make([]float64, len(logits))
	for i, target := range targets {
		if target < 0 {
			continue
		}
		row, grad := double(logits[i*v:(i+1)*v]), dlogits[i*v:(i+1)*v]
		top, sum := slices.Max(row), 0.0
		for _, x := range row {
			sum += math.Exp(x - top)
		}
		loss += norm * (top + math.Log(sum) - row[target])
		for j, x := range row {
			grad[j] = norm * math.Exp(x-top) / sum
		}
		grad[target] -= norm
	}
	return loss, dlogits
}

// One row and one token, more rows than a block, more tokens than a tile of exponentials, large logits.
func TestCrossEntropy(t *testing.T) {
	const norm = 0.125
	onEveryISA(t, func(t *testing.T) {
		for _, c := range []struct {
			t, v int
			size float32
		}{{1, 1, 1}, {3, 7, 1}, {2100, 5, 1}, {9, 40000, 1}, {40, 50, 1000}} {
			name := fmt.Sprint(c.t, c.v, c.size)
			logits, targets := normal(1, c.t*c.v), make([]int32, c.t)
			for i := range logits {
				logits[i] *= c.size
			}
			for i := range targets {
				targets[i] = int32(7 * i % c.v)
				if i%3 == 2 {
					targets[i] = -100
				}
			}
			wantLoss, wantGrad := crossEntropy64(c.v, logits, targets, norm)
			onAnyCores(t, func(p *Pool) []float32 {
				loss, dlogits := poison(1), poison(len(logits))
				CrossEntropy(p, c.t, c.v, logits, targets, norm, loss)
				// One rounding of the loss and those of its terms, of random sign: four at most.
				wantClose(t, name+" loss", loss, []float64{wantLoss}, 2.4e-7)
				// The exponential, its sum, their quotient and the difference from it: under six roundings.
				CrossEntropyGrad(p, c.t, c.v, logits, targets, norm, dlogits)
				wantClose(t, name+" dlogits", dlogits, wantGrad, 3.6e-7)
				inPlace := slices.Clone(logits)
				CrossEntropyGrad(p, c.t, c.v, inPlace, targets, norm, inPlace)
				wantBits(t, name+" in place", inPlace, dlogits)
				return append(loss, dlogits...)
			})
		}
	})
}

// A row whose target has no probability left still has a finite loss, and rows without targets cost nothing.
func TestCrossEntropyEdges(t *testing.T) {
	p := onePool(t)
	logits := []float32{0, 500, 0, float32(math.NaN()), 1, 2}
	loss, dlogits := poison(1), poison(6)
	CrossEntropy(p, 2, 3, logits, []int32{0, -1}, 1, loss)
	wantBits(t, "loss", loss, []float32{500})
	CrossEntropyGrad(p, 2, 3, logits, []int32{0, -1}, 1, dlogits)
	wantBits(t, "dlogits", dlogits, []float32{-1, 1, 0, 0, 0, 0})
	CrossEntropy(p, 0, 3, nil, nil, 1, loss)
	wantBits(t, "loss of nothing", loss, []float32{0})
}
