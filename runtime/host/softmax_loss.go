package host

import (
	"fmt"
	"math"
)

// lossBlock is how many rows' losses stand between two stretches of their sum.
const lossBlock = 1024

// CrossEntropy is the loss of logits that stand in memory, over the rows with a target ≥ 0:
//
//	loss[0] = norm·Σ_t (ln Σ_V exp(logits_TV[t]) − logits_TV[t, targets_T[t]])
//
// It is summed in float64 in the order of rows.
func CrossEntropy(p *Pool, t, v int, logits []float32, targets []int32, norm float32, loss []float32) {
	mustLen("CrossEntropy", "loss", loss, 1)
	mustTargets("CrossEntropy", t, v, logits, targets)
	var sum float64
	var losses [lossBlock]float64
	for first := 0; first < t; first += lossBlock {
		block := losses[:min(lossBlock, t-first)]
		forRows(p, len(block), v, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				at := first + i
				block[i] = crossEntropyRow(logits[at*v:(at+1)*v], targets[at])
			}
		})
		for _, l := range block {
			sum += l
		}
	}
	loss[0] = float32(sum * float64(norm))
}

// crossEntropyRow is ln Σ exp(logits) − logits[target], 0 without a target.
func crossEntropyRow(logits []float32, target int32) float64 {
	if target < 0 {
		return 0
	}
	top := maximum(logits)
	sum, _ := sumExp(logits, nil, top)
	return float64(top) - float64(logits[target]) + math.Log(sum)
}

// CrossEntropyGrad is the gradient of CrossEntropy, zero in rows without a target:
//
//	dlogits_TV[t] = norm·(softmax_V(logits[t]) − onehot(targets_T[t]))
//
// dlogits may be logits.
func CrossEntropyGrad(p *Pool, t, v int, logits []float32, targets []int32, norm float32, dlogits []float32) {
	mustLen("CrossEntropyGrad", "dlogits", dlogits, t*v)
	mustTargets("CrossEntropyGrad", t, v, logits, targets)
	forRows(p, t, v, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row, grad := logits[i*v:(i+1)*v], dlogits[i*v:(i+1)*v]
			if targets[i] < 0 {
				clear(grad)
				continue
			}
			sum := expShifted(grad, row, maximum(row))
			scale(norm/sum, grad, grad)
			grad[targets[i]] -= norm
		}
	})
}

// mustTargets panics unless logits_TV and targets_T fit and every target is a token.
func mustTargets(kernel string, t, v int, logits []float32, targets []int32) {
	mustLen(kernel, "logits", logits, t*v)
	mustLen(kernel, "targets", targets, t)
	for i, target := range targets {
		if int(target) >= v {
			panic(fmt.Sprintf("BUG: host.%s: target %d of row %d, vocabulary of %d", kernel, target, i, v))
		}
	}
}
