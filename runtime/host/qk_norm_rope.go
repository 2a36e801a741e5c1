package host

import "math"

// RopeTable fills the rotation tables cos and sin, [s, rot/2] each: position·invFreq[i] in float64, its cosine
// and sine times scale, rounded once.
func RopeTable(s, rot int, invFreq []float64, scale float64, cos, sin []float32) {
	mustLen("RopeTable", "invFreq", invFreq, rot/2)
	mustLen("RopeTable", "cos", cos, s*rot/2)
	mustLen("RopeTable", "sin", sin, s*rot/2)
	for position := range s {
		for i, f := range invFreq {
			sine, cosine := math.Sincos(float64(position) * f)
			cos[position*(rot/2)+i] = float32(cosine * scale)
			sin[position*(rot/2)+i] = float32(sine * scale)
		}
	}
}

// qkNormRope holds the dims and weights that QKNormRope and its gradient share.
type qkNormRope struct {
	h, g, d, rot int
	eps          float32
	wq, wk       []float32
	cos, sin     []float32
	positions    []int32
}

// QKNormRope prepares the packed heads qkv_TQ for attention, Q = (h+2g)·d: every q head is RMS-normalised with
// weight wq_D, every k head with wk_D (nil: not normalised), and both are rotated (Su et al., 2021; half-wise): with
// x1 the first rot/2 dims, x2 the next rot/2 and the table rows cos, sin [S, rot/2] of positions[t],
//
//	y1 = x1·cos − x2·sin    y2 = x2·cos + x1·sin
//
// cos nil: not rotated. Dims from rot on pass unrotated, v heads pass unchanged. y may be qkv.
func QKNormRope(p *Pool, t, h, g, d, rot int, eps float32, qkv, wq, wk, cos, sin []float32, positions []int32, y []float32) {
	op := qkNormRope{h, g, d, rot, eps, wq, wk, cos, sin, positions}
	op.check("QKNormRope", t, qkv, y)
	width := (h + 2*g) * d
	forRows(p, t, width, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			op.forward(i, qkv[i*width:(i+1)*width], y[i*width:(i+1)*width])
		}
	})
}

func (op *qkNormRope) check(kernel string, t int, x, y []float32) {
	mustLen(kernel, "qkv", x, t*(op.h+2*op.g)*op.d)
	mustLen(kernel, "y", y, len(x))
	if op.wq != nil {
		mustLen(kernel, "wq", op.wq, op.d)
	}
	if op.wk != nil {
		mustLen(kernel, "wk", op.wk, op.d)
	}
	if op.cos != nil {
		mustLen(kernel, "sin", op.sin, len(op.cos))
		mustLen(kernel, "positions", op.positions, t)
	}
}

// angles are the table rows of token t.
func (op *qkNormRope) angles(t int) (cos, sin []float32) {
	n := op.rot / 2
	at := int(op.positions[t]) * n
	return op.cos[at : at+n], op.sin[at : at+n]
}

func (op *qkNormRope) weight(head int) []float32 {
	if head < op.h {
		return op.wq
	}
	return op.wk
}

func (op *qkNormRope) forward(t int, x, y []float32) {
	n := op.rot / 2
	for head := range op.h + op.g {
		src, dst := x[head*op.d:(head+1)*op.d], y[head*op.d:(head+1)*op.d]
		if w := op.weight(head); w != nil {
			mulScaled(rstdOf(src, op.eps), src, w, dst)
		} else {
			copy(dst, src)
		}
		if op.cos != nil {
			cos, sin := op.angles(t)
			rotate(dst[:n], dst[n:2*n], cos, sin, dst[:n], dst[n:2*n])
		}
	}
	v := (op.h + op.g) * op.d
	copy(y[v:], x[v:])
}

// qkBlock is how many tokens add up into one partial weight gradient in float32, after the heads of each token
// have been added up: sums of few terms lose nothing that shows.
const qkBlock = 16

// QKNormRopeGradWorkspace is the length of QKNormRopeGrad's ws: of each block, a partial gradient of wq and of wk,
// and as much again for the token at hand.
func QKNormRopeGradWorkspace(t, d int) int { return 4 * blockCount(t, qkBlock) * d }

// QKNormRopeGrad is the backward pass of QKNormRope: dqkv_TQ from dy_TQ and the forward pass's input qkv, and
// dwq_D, dwk_D (+)= the weights' gradients (nil where there is no weight). dqkv may be dy.
func QKNormRopeGrad(p *Pool, t, h, g, d, rot int, eps float32, dy, qkv, wq, wk, cos, sin []float32, positions []int32,
	accumulate bool, dqkv, dwq, dwk, ws []float32) {
	op := qkNormRope{h, g, d, rot, eps, wq, wk, cos, sin, positions}
	op.check("QKNormRopeGrad", t, qkv, dqkv)
	mustLen("QKNormRopeGrad", "dy", dy, len(qkv))
	mustLen("QKNormRopeGrad", "ws", ws, QKNormRopeGradWorkspace(t, d))
	blocks, width := blockCount(t, qkBlock), (h+2*g)*d
	partialQ, partialK, token := ws[:blocks*d], ws[blocks*d:2*blocks*d], ws[2*blocks*d:]
	forBlocks(p, t, qkBlock, func(block, lo, hi int) {
		dq, dk := partialQ[block*d:(block+1)*d], partialK[block*d:(block+1)*d]
		tokenQ, tokenK := token[2*block*d:(2*block+1)*d], token[(2*block+1)*d:(2*block+2)*d]
		clear(dq)
		clear(dk)
		for i := lo; i < hi; i++ {
			clear(tokenQ)
			clear(tokenK)
			op.backward(i, dy[i*width:(i+1)*width], qkv[i*width:(i+1)*width], dqkv[i*width:(i+1)*width], tokenQ, tokenK)
			add(dq, tokenQ, dq)
			add(dk, tokenK, dk)
		}
	})
	if wq != nil {
		mustLen("QKNormRopeGrad", "dwq", dwq, d)
		sumPartials(p, d, partialQ, accumulate, dwq)
	}
	if wk != nil {
		mustLen("QKNormRopeGrad", "dwk", dwk, d)
		sumPartials(p, d, partialK, accumulate, dwk)
	}
}

// backward is QKNormRopeGrad of one token; the weights' gradients are added to dwq and dwk.
func (op *qkNormRope) backward(t int, dy, x, dx, dwq, dwk []float32) {
	n := op.rot / 2
	for head := range op.h + op.g {
		lo, hi := head*op.d, (head+1)*op.d
		src, dst := dy[lo:hi], dx[lo:hi]
		if op.cos != nil {
			cos, sin := op.angles(t)
			rotateBack(src[:n], src[n:2*n], cos, sin, dst[:n], dst[n:2*n])
			copy(dst[2*n:], src[2*n:])
		} else {
			copy(dst, src)
		}
		if w := op.weight(head); w != nil {
			dw := dwq
			if head >= op.h {
				dw = dwk
			}
			rmsNormGradOf(rstdOf(x[lo:hi], op.eps), dst, x[lo:hi], w, nil, dst, dw)
		}
	}
	v := (op.h + op.g) * op.d
	copy(dx[v:], dy[v:])
}
