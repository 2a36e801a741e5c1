package host

import (
	"fmt"
	"math"
)

const (
	// lossElements is how many logits stand in memory at a time (8 MiB): what a third-level cache holds beside a share of w.
	lossElements = 1 << 21
	// Bounds on the rows of a chunk: enough that three products reading w cost more than its bytes, and no more than
	// keep the chunk's bookkeeping small.
	lossRowsMin = 64
	lossRowsMax = 1024
)

// LinearCrossEntropy is the output layer and its loss, with both gradients, over chunks of rows:
//
//	logits = x_TD·w_VDᵀ   loss[0] = norm·Σ_t (lse_t − logits[t, targets[t]])   dlogits = norm·(softmax(logits) − onehot)
//	dx_TD = dlogits·w     dw_VD (+)= dlogitsᵀ·x
//
// The sums run over rows with a target ≥ 0; other rows cost nothing and get a zero gradient. The loss is summed in float64 in
// the order of rows. dx may be x. ws has LinearCrossEntropyWorkspace elements.
func LinearCrossEntropy(p *Pool, t, d, v int, x, w []float32, targets []int32, norm float32, accumulate bool, loss, dx, dw, ws []float32) {
	c := newLoss("LinearCrossEntropy", t, d, v, x, w, targets, norm, loss, ws)
	mustLen(c.kernel, "dx", dx, t*d)
	mustLen(c.kernel, "dw", dw, v*d)
	for i, target := range targets {
		if target < 0 {
			clear(dx[i*d:][:d])
		}
	}
	for c.next() {
		c.forward(p, true)
		out := c.hidden(dx, c.gradient)
		LinearWGrad(p, len(c.rows), v, d, c.logits, c.x, accumulate, dw)
		LinearDGrad(p, len(c.rows), v, d, c.logits, w, nil, out)
		accumulate = true
		if !c.consecutive() {
			p.For(len(c.rows), func(i int) { copy(dx[int(c.rows[i])*d:][:d], out[i*d:]) })
		}
	}
	if !accumulate {
		Zero(p, dw)
	}
	loss[0] = float32(c.sum * float64(norm))
}

// LinearCrossEntropyEval is the loss alone: the same bits as LinearCrossEntropy's.
func LinearCrossEntropyEval(p *Pool, t, d, v int, x, w []float32, targets []int32, norm float32, loss, ws []float32) {
	c := newLoss("LinearCrossEntropyEval", t, d, v, x, w, targets, norm, loss, ws)
	for c.next() {
		c.forward(p, false)
	}
	loss[0] = float32(c.sum * float64(norm))
}

// LinearCrossEntropyWorkspace is the number of elements of the workspace of both: a chunk's logits, and its rows of x and dx
// where they must be gathered.
func LinearCrossEntropyWorkspace(t, d, v int) int { return lossRows(t, v) * (v + 2*d) }

// lossRows is how many rows a chunk has.
func lossRows(t, v int) int {
	return min(t, max(lossRowsMin, min(lossRowsMax, lossElements/max(1, v))))
}

// linearLoss walks over the rows that have a target, a chunk at a time.
type linearLoss struct {
	kernel             string
	d, v               int
	all, w             []float32
	targets            []int32
	norm               float32
	space              []float32 // of a chunk's logits
	gathered, gradient []float32 // rows of x and dx
	seen               int       // rows passed
	sum                float64

	// The chunk: its rows, their loss, their x, their logits (or the gradient of these).
	rows      []int32
	loss      [lossRowsMax]float64
	index     [lossRowsMax]int32
	x, logits []float32
}

func newLoss(kernel string, t, d, v int, x, w []float32, targets []int32, norm float32, loss, ws []float32) *linearLoss {
	mustLen(kernel, "x", x, t*d)
	mustLen(kernel, "w", w, v*d)
	mustLen(kernel, "targets", targets, t)
	mustLen(kernel, "loss", loss, 1)
	mustLen(kernel, "ws", ws, LinearCrossEntropyWorkspace(t, d, v))
	for i, target := range targets {
		if int(target) >= v {
			panic(fmt.Sprintf("BUG: host.%s: target %d of row %d, vocabulary of %d", kernel, target, i, v))
		}
	}
	c := carver{ws}
	n := lossRows(t, v)
	return &linearLoss{
		kernel: kernel, d: d, v: v, all: x, w: w, targets: targets, norm: norm,
		space: c.take(n * v), gathered: c.take(n * d), gradient: c.take(n * d),
	}
}

// next finds the rows of the next chunk; false when there are none.
func (c *linearLoss) next() bool {
	limit := lossRows(len(c.targets), c.v)
	c.rows = c.index[:0]
	for ; c.seen < len(c.targets) && len(c.rows) < limit; c.seen++ {
		if c.targets[c.seen] >= 0 {
			c.rows = append(c.rows, int32(c.seen))
		}
	}
	return len(c.rows) > 0
}

// consecutive says whether the chunk's rows stand one after the other, and so can be used in place.
func (c *linearLoss) consecutive() bool {
	return int(c.rows[len(c.rows)-1]-c.rows[0]) == len(c.rows)-1
}

// hidden is where the chunk's rows of a T×D operand are: in place, or in a buffer.
func (c *linearLoss) hidden(x, buffer []float32) []float32 {
	if c.consecutive() {
		buffer = x[int(c.rows[0])*c.d:]
	}
	return buffer[:len(c.rows)*c.d]
}

// forward computes the chunk's logits and losses, and turns the logits into their gradient where that is asked for.
func (c *linearLoss) forward(p *Pool, grad bool) {
	n := len(c.rows)
	c.x, c.logits = c.hidden(c.all, c.gathered), c.space[:n*c.v]
	if !c.consecutive() {
		p.For(n, func(i int) { copy(c.x[i*c.d:][:c.d], c.all[int(c.rows[i])*c.d:]) })
	}
	Linear(p, n, c.v, c.d, c.x, c.w, nil, nil, c.logits)
	forRows(p, n, c.v, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row, target := c.logits[i*c.v:][:c.v], c.targets[c.rows[i]]
			shift, logit := maximum(row), row[target]
			sum := expShifted(row, row, shift)
			c.loss[i] = float64(shift) - float64(logit) + math.Log(float64(sum))
			if grad {
				scale(c.norm/sum, row, row)
				row[target] -= c.norm
			}
		}
	})
	for _, l := range c.loss[:n] {
		c.sum += l
	}
}
