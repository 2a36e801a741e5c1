package host

import (
	"fmt"
	"iter"
	"math"
	"slices"
)

// Causal attention in tiles, after "FlashAttention-2" (Dao, 2023): scores exist only as blocks of queries × keys, the
// softmax runs over blocks with a running maximum and sum, and the backward pass recomputes the probabilities
// from the saved logarithm of the sum. What is particular here is the shape of the data: a block of scores is row-major with
// the keys along vectors, so it is at once the result of one matrix product, what the row-wise softmax wants, and
// either operand of the next product. Keys and values are packed once for all query heads that share them.
const (
	// attentionQueries and attentionKeys are the most queries and keys of a block of scores. 64×128 scores, twice in the
	// backward pass, and the packed keys and values beside them stay in a second-level cache of 512 KiB for heads of up to 128.
	attentionQueries = 64
	attentionKeys    = 128

	// attentionLane is the unit that rows and columns of all blocks are padded to: the narrowest kernel's vectors.
	attentionLane = 16

	// attentionMasked stands for a score that is not to be seen. It is finite, and far below attentionFloor, so that a row
	// that has seen nothing yet needs no special case: 2^(masked − floor) is zero, and no infinity meets its like.
	attentionMasked = -math.MaxFloat32
	attentionFloor  = -1e30
)

// Attention writes causal self-attention with grouped queries over b rows of s tokens:
//
//	o[t,h] = Σ_j softmax_j(scale·q[t,h]·k[j,h/(H/G)])·v[j,h/(H/G)]   starts[t] ≤ j ≤ t, j and t counted within the row
//
// qkv is [b·s, (h+2g)·d], in each row the query heads, the key heads, the value heads; o is [b·s, h·d]. lse [b·s, h] receives the natural
// logarithm of the softmax's denominator, which the backward pass needs. starts [b·s] holds the first key that a
// token sees, 0 ≤ starts[t] ≤ t: zero, or where its document begins. h is a multiple of g, scale is positive, d is
// anything up to about 2600 (multiples of 16 are the fast ones).
// ws has AttentionWorkspace elements.
func Attention(p *Pool, b, s, h, g, d int, scale float32, qkv []float32, starts []int32, o, lse, ws []float32) {
	a := newAttention("Attention", b, s, h, g, d, scale, starts)
	mustLen(a.kernel, "qkv", qkv, b*s*a.width())
	mustLen(a.kernel, "o", o, b*s*h*d)
	mustLen(a.kernel, "lse", lse, b*s*h)
	mustLen(a.kernel, "ws", ws, AttentionWorkspace(b, s, h, g, d))
	a.forward(p, qkv, o, lse, ws)
}

// AttentionWorkspace is the number of elements of Attention's workspace: keys and values, packed.
func AttentionWorkspace(b, s, h, g, d int) int {
	l := newAttentionLayout(s, d)
	return b * g * l.blocks * 2 * l.packed()
}

// AttentionGrad writes the gradient of Attention. do is the gradient of o, dqkv that of qkv, with its layout, and is overwritten;
// it may be qkv:
//
//	p = exp(scale·q·k − lse)   dv_j = Σ_t p·do_t   ds = p·(do_t·v_j − do_t·o_t)   dq_t = scale·Σ_j ds·k_j   dk_j = scale·Σ_t ds·q_t
//
// o and lse are what Attention wrote. ws has AttentionGradWorkspace elements. Sums run in an order that the shapes fix.
func AttentionGrad(p *Pool, b, s, h, g, d int, scale float32, qkv, o, lse, do []float32, starts []int32, dqkv, ws []float32) {
	a := newAttention("AttentionGrad", b, s, h, g, d, scale, starts)
	mustLen(a.kernel, "qkv", qkv, b*s*a.width())
	mustLen(a.kernel, "o", o, b*s*h*d)
	mustLen(a.kernel, "lse", lse, b*s*h)
	mustLen(a.kernel, "do", do, b*s*h*d)
	mustLen(a.kernel, "dqkv", dqkv, b*s*a.width())
	mustLen(a.kernel, "ws", ws, AttentionGradWorkspace(b, s, h, g, d))
	a.backward(p, qkv, o, lse, do, dqkv, ws)
}

// AttentionGradWorkspace is the number of elements of AttentionGrad's workspace: keys and values, packed, with their
// gradients; queries and the gradients of their outputs, packed, with the gradients of the queries and two numbers for each.
func AttentionGradWorkspace(b, s, h, g, d int) int {
	l := newAttentionLayout(s, d)
	return b*g*l.blocks*(3*l.packed()+2*l.sums()) + b*h*pad(s)*(3*l.dim+2)
}

// attention is one call: shapes, scale and documents.
type attention struct {
	kernel        string
	b, s, h, g, d int
	scale         float32
	exponent      float32 // scale·log₂e: probabilities are powers of two
	starts        []int32
	attentionLayout
	ops *attentionOps
}

func newAttention(kernel string, b, s, h, g, d int, scale float32, starts []int32) *attention {
	if h%g != 0 || !(scale > 0) {
		panic(fmt.Sprintf("BUG: host.%s: %d query heads on %d key heads, scale %v", kernel, h, g, scale))
	}
	mustLen(kernel, "starts", starts, b*s)
	for i, first := range starts {
		if first < 0 || int(first) > i%s {
			panic(fmt.Sprintf("BUG: host.%s: token %d of a row sees keys from %d on", kernel, i%s, first))
		}
	}
	return &attention{
		kernel: kernel, b: b, s: s, h: h, g: g, d: d, scale: scale, exponent: float32(float64(scale) * math.Log2E),
		starts: starts, attentionLayout: newAttentionLayout(s, d), ops: &attentionKernels[activeISA],
	}
}

// width is the length of a row of qkv.
func (a *attention) width() int { return (a.h + 2*a.g) * a.d }

// attentionLayout is how a row of s tokens with heads of d is cut and packed. Keys and values stand in panels, which are read from
// end to end. Other row strides are kept off powers of two, at which the lines of a column would share one set of the cache.
type attentionLayout struct {
	tokens  int
	queries int // of a block: attentionQueries, or fewer where a worker's scratch asks for it; divides attentionKeys
	keys    int // of a block: attentionKeys, or all if there are fewer, padded
	blocks  int // of keys
	dim     int // d, padded
}

func newAttentionLayout(s, d int) attentionLayout {
	keys := min(attentionKeys, pad(s))
	l := attentionLayout{tokens: s, queries: attentionQueries, keys: keys, blocks: blockCount(s, keys), dim: pad(d)}
	for l.scratch() > scratchFloats {
		if l.queries /= 2; l.queries < attentionLane {
			panic(fmt.Sprintf("BUG: host.Attention: head dim %d; a worker's scratch ends before", d))
		}
	}
	return l
}

// pad rounds up to whole lanes.
func pad(n int) int { return blockCount(n, attentionLane) * attentionLane }

// keyStride is the row stride of what has keys along its rows: scores, and the gradients of keys and values.
func (l attentionLayout) keyStride() int { return l.keys + attentionLane }

// packed is the size of a block of keys or values in panels, either way round.
func (l attentionLayout) packed() int { return l.keys * l.dim }

// across are panels of a block of keys or values lying across, [dim, keys], from a lane of keys on.
func (l attentionLayout) across(x []float32, block, key int) panels {
	return panels{x[block*l.packed()+key*l.dim:], attentionLane, l.dim * attentionLane}
}

// along are panels of a block of keys or values as they are, [keys, dim].
func (l attentionLayout) along(x []float32, block int) panels {
	return panels{x[block*l.packed():], attentionLane, l.keys * attentionLane}
}

// sums is the size of the gradients of a block of keys or values, [dim, keys].
func (l attentionLayout) sums() int { return l.dim * l.keyStride() }

// scratch is what a worker needs for a block of queries: queries and outputs, or nothing of the kind in the backward pass; scores or
// probabilities and their gradients; and up to five numbers a query.
func (l attentionLayout) scratch() int { return l.queries * (2*l.dim + 2*l.keyStride() + 5) }

// blockKeys is how many keys block has, padded: short of keys in the last block only.
func (l attentionLayout) blockKeys(block int) int { return min(l.keys, pad(l.tokens-block*l.keys)) }

// band is a stretch of a block's queries that all see the same number of its keys (up to the mask inside a lane).
type band struct{ first, rows, keys int }

// bands cuts the block of queries q0 ≤ t < q0+rows (padded) by keys k0 ≤ j < k0+keys, k0 ≤ q0: one band where all
// keys come before all queries, bands of a lane of queries on the diagonal. Scores above the diagonal are not computed.
func (l attentionLayout) bands(q0, rows, k0, keys int) iter.Seq[band] {
	return func(yield func(band) bool) {
		height := rows
		if k0+keys > q0+attentionLane {
			height = attentionLane
		}
		for r := 0; r < rows; r += height {
			if !yield(band{r, height, min(keys, q0+r+attentionLane-k0)}) {
				return
			}
		}
	}
}

// stripe is a stretch of a block's keys that are seen by the same queries: all from the first on.
type stripe struct{ column, keys, first int }

// stripes cuts the same block the other way. Keys that none of its queries sees are in no stripe.
func (l attentionLayout) stripes(q0, rows, k0, keys int) iter.Seq[stripe] {
	return func(yield func(stripe) bool) {
		for at := 0; at < min(keys, q0+rows-k0); {
			n := stripe{at, attentionLane, max(0, k0+at-q0)}
			if n.first == 0 {
				n.keys = min(keys, q0+attentionLane-k0) - at
			}
			if !yield(n) {
				return
			}
			at += n.keys
		}
	}
}

// mask hides the keys of a band of scores that a query does not see: those after it, and those before its start. starts
// are the block's queries', with the last of them; padded queries see all that comes before them.
func (l attentionLayout) mask(scores []float32, q0, k0 int, n band, starts []int32, last int) {
	if n.keys <= q0+n.first+1-k0 && last <= k0 {
		return
	}
	stride := l.keyStride()
	for r := n.first; r < n.first+n.rows; r++ {
		row := scores[r*stride:][:n.keys]
		if end := q0 + r + 1 - k0; end < n.keys {
			fill(row[end:], attentionMasked)
		}
		if r < len(starts) {
			if hidden := int(starts[r]) - k0; hidden > 0 {
				fill(row[:min(hidden, n.keys)], attentionMasked)
			}
		}
	}
}

// seen is the first key that any of the queries with these starts sees, and the first that all of them see.
func seen(starts []int32) (first, last int) {
	return int(slices.Min(starts)), int(slices.Max(starts))
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}

// keyBlock is the i-th block of keys over rows and key heads, in a tensor with qkv's layout: how many tokens it has, and
// where its keys and its values begin.
func (a *attention) keyBlock(qkv []float32, i int) (tokens int, k, v []float32) {
	k0, head := i%a.blocks*a.keys, i/a.blocks
	first := (head/a.g*a.s+k0)*a.width() + (a.h+head%a.g)*a.d
	return min(a.keys, a.s-k0), qkv[first:], qkv[first+a.g*a.d:]
}
