package host

import "math"

// rstd returns 1/sqrt(mean(x²) + eps).
func rstdOf(x []float32, eps float32) float32 {
	return float32(1 / math.Sqrt(sumSquares(x)/float64(len(x))+float64(eps)))
}

// RMSNorm normalises rows (Zhang and Sennrich, 2019): rstd_T = 1/sqrt(mean(x²) + eps), y_TD = w_D·(x_TD·rstd).
func RMSNorm(p *Pool, t, d int, eps float32, x, w, y, rstd []float32) {
	mustLen("RMSNorm", "x", x, t*d)
	mustLen("RMSNorm", "w", w, d)
	mustLen("RMSNorm", "y", y, t*d)
	mustLen("RMSNorm", "rstd", rstd, t)
	forRows(p, t, d, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row := x[i*d : (i+1)*d]
			rstd[i] = rstdOf(row, eps)
			mulScaled(rstd[i], row, w, y[i*d:(i+1)*d])
		}
	})
}

// rmsNormBlock is how many rows add up into one partial weight gradient in float32: few enough that the sum
// loses nothing that shows; the partials are added in float64.
const rmsNormBlock = 32

// RMSNormGradWorkspace is the length of RMSNormGrad's ws.
func RMSNormGradWorkspace(t, d int) int { return blockCount(t, rmsNormBlock) * d }

// RMSNormGrad is the backward pass of RMSNorm. With n = x·rstd:
//
//	dx_TD = rstd·(w·dy − n·mean_D(w·dy·n)) (+ residual_TD)
//	dw_D (+)= Σ_t dy·n
//
// residual may be nil, or dx itself; dx may be dy.
func RMSNormGrad(p *Pool, t, d int, dy, x, w, rstd, residual []float32, accumulate bool, dx, dw, ws []float32) {
	mustLen("RMSNormGrad", "dy", dy, t*d)
	mustLen("RMSNormGrad", "x", x, t*d)
	mustLen("RMSNormGrad", "w", w, d)
	mustLen("RMSNormGrad", "rstd", rstd, t)
	mustLen("RMSNormGrad", "dx", dx, t*d)
	mustLen("RMSNormGrad", "dw", dw, d)
	mustLen("RMSNormGrad", "ws", ws, RMSNormGradWorkspace(t, d))
	if residual != nil {
		mustLen("RMSNormGrad", "residual", residual, t*d)
	}
	forBlocks(p, t, rmsNormBlock, func(block, lo, hi int) {
		partial := ws[block*d : (block+1)*d]
		clear(partial)
		for i := lo; i < hi; i++ {
			var r []float32
			if residual != nil {
				r = residual[i*d : (i+1)*d]
			}
			rmsNormGradOf(rstd[i], dy[i*d:(i+1)*d], x[i*d:(i+1)*d], w, r, dx[i*d:(i+1)*d], partial)
		}
	})
	sumPartials(p, d, ws, accumulate, dw)
}

// rmsNormGradOf is RMSNormGrad of one row, dw added to.
func rmsNormGradOf(rstd float32, dy, x, w, residual, dx, dw []float32) {
	c := rstd * rstd * rstd * dot3(dy, x, w) / float32(len(x))
	rmsNormGradRow(rstd, c, dy, x, w, residual, dx, dw)
}

// sumPartials adds rows of partial sums, partials_ND, in order, in float64: y_D (+)= Σ_n partials[n].
func sumPartials(p *Pool, d int, partials []float32, accumulate bool, y []float32) {
	forBlocks(p, d, partialCols, func(_, lo, hi int) {
		var sums [partialCols]float64
		sum := sums[:hi-lo]
		if accumulate {
			addDouble(y[lo:hi], sum)
		}
		for at := 0; at < len(partials); at += d {
			addDouble(partials[at+lo:at+hi], sum)
		}
		for i, v := range sum {
			y[lo+i] = float32(v)
		}
	})
}

// partialCols is the width of sumPartials' column tasks.
const partialCols = 128
