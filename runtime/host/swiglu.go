package host

// swigluRows is how many rows of width f a SwiGLU operand has: what offsets says, or all of it.
func swigluRows(kernel string, f int, offsets []int32, a []float32) int {
	if offsets == nil {
		mustLen(kernel, "a", a, len(a)/f*f)
		return len(a) / f
	}
	rows := routedRows(offsets)
	mustHold(kernel, "a", a, rows*f)
	return rows
}

// SwiGLU is the gated activation (Shazeer, 2020): a_RF = silu(gate)·up with gu_R(2F) = [gate | up]. R is the last of
// offsets, or len(a)/f when offsets is nil.
func SwiGLU(p *Pool, f int, offsets []int32, gu, a []float32) {
	rows := swigluRows("SwiGLU", f, offsets, a)
	mustHold("SwiGLU", "gu", gu, rows*2*f)
	forRows(p, rows, 2*f, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row := gu[2*i*f : 2*(i+1)*f]
			swiglu(row[:f], row[f:], a[i*f:(i+1)*f])
		}
	})
}

// SwiGLUGrad is the backward pass of SwiGLU: dgu_R(2F) from da_RF. dgu may be gu.
func SwiGLUGrad(p *Pool, f int, offsets []int32, gu, da, dgu []float32) {
	rows := swigluRows("SwiGLUGrad", f, offsets, da)
	mustHold("SwiGLUGrad", "gu", gu, rows*2*f)
	mustHold("SwiGLUGrad", "dgu", dgu, rows*2*f)
	forRows(p, rows, 2*f, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row, grad := gu[2*i*f:2*(i+1)*f], dgu[2*i*f:2*(i+1)*f]
			swigluGradRow(1, row[:f], row[f:], da[i*f:(i+1)*f], grad[:f], grad[f:], nil)
		}
	})
}

// SwiGLUUnpermuteGrad is the backward pass of Unpermute ∘ down projection ∘ SwiGLU up to the products: da_RF is dy[token]·W_down,
// not yet weighted; the activation a is computed again from gu. For row i of pair c = pairs[i]:
//
//	dw_TK[c] = Σ_F a·da    aw_RF[i] = w_TK[c]·a (the weight gradient's operand)    dgu[i] = swiglu'(gu[i])·(w[c]·da[i])
//
// dw of pairs without a row is zero. dgu may be gu, aw may be da.
func SwiGLUUnpermuteGrad(p *Pool, t, k, f int, offsets, pairs []int32, w, gu, da, dgu, aw, dw []float32) {
	rows := swigluRows("SwiGLUUnpermuteGrad", f, offsets, da)
	mustHold("SwiGLUUnpermuteGrad", "pairs", pairs, rows)
	mustHold("SwiGLUUnpermuteGrad", "gu", gu, rows*2*f)
	mustHold("SwiGLUUnpermuteGrad", "dgu", dgu, rows*2*f)
	mustHold("SwiGLUUnpermuteGrad", "aw", aw, rows*f)
	mustLen("SwiGLUUnpermuteGrad", "w", w, t*k)
	mustLen("SwiGLUUnpermuteGrad", "dw", dw, t*k)
	clear(dw)
	forRows(p, rows, 2*f, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row, grad := gu[2*i*f:2*(i+1)*f], dgu[2*i*f:2*(i+1)*f]
			c := pairs[i]
			dw[c] = swigluGradRow(w[c], row[:f], row[f:], da[i*f:(i+1)*f], grad[:f], grad[f:], aw[i*f:(i+1)*f])
		}
	})
}
