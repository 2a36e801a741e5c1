package gen

import (
	"fmt"
	"math"
	"strings"

	"moegen/ir"
)

// poolFactor is how many times the expected rows a pool has room for, unless a request says otherwise.
const poolFactor = 1.1

// pooled keeps what ranks receive for the experts of all layers in one pool for backward: results of dispatch that tokens are
// gathered from are received by dispatch_keep instead, which leaves them where they are and in the pool. What a rank may receive
// at most is several times what is expected; a pool for little more than that, factor times the sum over layers, keeps a
// rank's memory as small under any routing. How much of it was taken is left in result pool_use. A pool for all that may come would be
// no smaller than what it comes in, which is kept then as any other result.
func pooled(g *ir.Graph, factor float64) *ir.Graph {
	uses := g.Uses()
	var rows []*ir.Value // that are kept
	for _, n := range g.Nodes {
		if keepable(uses, n) {
			rows = append(rows, n.Out[0])
		}
	}
	room, most := roomFor(rows, factor)
	if room >= most {
		return g
	}
	first := rows[0].Type
	attrs := ir.Attrs{{Key: "rows", Value: room}, {Key: "cols", Value: first.Dim(1)}, {Key: "dtype", Value: first.DType.String()}}
	var pool, use *ir.Value
	h := ir.Rewrite(g, g.Name, nil, func(r *ir.Rewriter, n *ir.Node) {
		if pool == nil {
			open := r.Op(op("pool_open"), "pool", attrs)
			pool, use = open[0], open[1]
		}
		if !keepable(uses, n) {
			r.Copy(n)
			return
		}
		out := r.Op(op("dispatch_keep"), n.Out[0].Name, nil, append(r.GetAll(n.In), pool, use)...)
		r.Set(n.Out[0], out[0])
		pool, use = out[1], out[2]
	})
	b := ir.Extend(h)
	b.Write(b.Outside("pool_use", ir.Result, use.Type), use)
	return h
}

// keepable reports whether a node of forward receives tokens for experts.
func keepable(uses map[*ir.Value][]*ir.Node, n *ir.Node) bool {
	return is(n, "dispatch") && !inBackward(n) && feeds(uses, n, "permute")
}

// roomFor is how many rows a pool has for values that arrive at different times, and how many they have at most.
func roomFor(values []*ir.Value, factor float64) (room, most int) {
	expected := 0
	for _, v := range values {
		if t := values[0].Type; v.Type.DType != t.DType || v.Type.Dim(1) != t.Dim(1) {
			panic(fmt.Sprintf("BUG: a pool for rows of types %s and %s", t, v.Type))
		}
		expected, most = expected+v.Type.Shape[0].Expected, most+v.Type.Dim(0)
	}
	return int(min(float64(most), math.Ceil(factor*float64(expected)))), most
}

// restored emits what stands in backward for the rows of a dispatch_keep: in are its operands x, source, received and position
// there, pool what all layers have left.
func restored(r *ir.Rewriter, n *ir.Node, pool *ir.Value, in []*ir.Value) *ir.Value {
	name := strings.TrimSuffix(n.Out[0].Name, "."+n.Op.Results[0]) + ".again"
	return r.Op(op("dispatch_restore"), name, nil, append(in, r.Get(pool), r.Get(n.Out[3]))...)[0]
}

// filled returns what the pool of a graph is after its last dispatch_keep, nil without one.
func filled(g *ir.Graph) (pool *ir.Value) {
	for _, n := range g.Nodes {
		if is(n, "dispatch_keep") {
			pool = n.Out[1]
		}
	}
	return pool
}
