package host

import "math"

// sumSquaresTasks bounds SumSquares' partial sums: 2 KiB, whatever it adds up.
const sumSquaresTasks = 256

// SumSquares adds Σ x² to sum[0], or sets it when first, in float64: the squared norm of a set of arrays, one at a time.
func SumSquares(p *Pool, x []float32, first bool, sum []float64) {
	var partial [sumSquaresTasks]float64
	size := max(taskElements, blockCount(len(x), sumSquaresTasks))
	forBlocks(p, len(x), size, func(block, lo, hi int) { partial[block] = sumSquares(x[lo:hi]) })
	if first {
		sum[0] = 0
	}
	for _, s := range partial {
		sum[0] += s
	}
}

// ClipScale turns squared norms into the global norm and the factor that clips gradients to the record's maximum, as
// torch.nn.utils.clip_grad_norm_ does: norm[0] = sqrt(Σ sums), scale[0] = min(1, max/(norm + 1e-6)), or 1 when the maximum is 0.
func ClipScale(record []float32, sums []float64, norm, scale []float32) {
	var total float64
	for _, s := range sums {
		total += s
	}
	root := math.Sqrt(total)
	norm[0] = float32(root)
	scale[0] = 1
	if limit := float64(record[RecordMaxNorm]); limit > 0 {
		scale[0] = float32(min(1, limit/(root+1e-6)))
	}
}

// adamWStep holds what is the same for every element of a step.
type adamWStep struct {
	scale    float32 // of the gradient
	gain1    float32 // 1 − β1
	gain2    float32 // 1 − β2
	rootBias float32 // 1 / sqrt(1 − β2^t)
	eps      float32
	decay    float32 // lr·decay
	step     float32 // lr / (1 − β1^t)
}

// AdamW updates a parameter with decoupled weight decay (Loshchilov and Hutter, 2019), by the formulas of torch.optim.AdamW. With
// g = scale[0]·grad and the rates of the record:
//
//	m ← m + (1−β1)·(g − m)    v ← v + (1−β2)·(g² − v)
//	value ← value − (lr·decay·value + lr/bias1 · m / (sqrt(v)/sqrt(bias2) + ε))
//
// Factors close to 1, 1 − lr·decay and β2, would be off by up to 2⁻²⁵ in the same direction every step. So what they leave out is
// subtracted instead.
//
// A rank updates its own part of value, see ReduceScatter for parts and stride, and has grad, m and v for that part only.
func AdamW(p *Pool, parts, stride int, scale, record, grad, value, m, v []float32) {
	mustLen("AdamW", "grad", grad, share(len(value), parts))
	mustLen("AdamW", "m", m, share(len(value), parts))
	mustLen("AdamW", "v", v, share(len(value), parts))
	from, to := ownPart(parts, stride, record, len(value))
	value = value[from:to]
	if record[RecordBeta2] != 1 && record[RecordGain2] == 0 {
		panic("BUG: host.AdamW: the step record lacks 1 − β1 and 1 − β2")
	}
	c := adamWStep{
		scale:    scale[0],
		gain1:    record[RecordGain1],
		gain2:    record[RecordGain2],
		rootBias: float32(1 / math.Sqrt(float64(record[RecordBias2]))),
		eps:      record[RecordEps],
		decay:    float32(float64(record[RecordLR]) * float64(record[RecordDecay])),
		step:     float32(float64(record[RecordLR]) / float64(record[RecordBias1])),
	}
	forElements(p, len(value), func(lo, hi int) {
		adamWRow(&c, grad[lo:hi], value[lo:hi], m[lo:hi], v[lo:hi])
	})
}
