package ir

import "fmt"

// rope rotates every query and key head of a packed projection by its token's position (Su et al. 2021, in
// the half-wise form of Hugging Face's apply_rotary_pos_emb); values pass unchanged. With C columns of the
// tables, x1 the first C dims of a head and x2 the next C:
//
//	y1 = x1·cos − x2·sin     y2 = x2·cos + x1·sin     cos, sin: row positions_T[t]
//
// Dims past 2C are not rotated.
var rope = &Op{
	Name:     "rope",
	Operands: []string{"qkv", "cos", "sin", "positions"},
	Results:  []string{"y"},
	Attrs:    Attrs{{"heads", 0}, {"kv_heads", 0}},
	Infer:    inferRope,
	Eval: func(n *Node, in, out []*Tensor) {
		q, _ := packedQKV(n, 0)
		q.rotate(in[0], out[0], in[1], in[2], in[3], 1)
	},
	Grad: func(b *Builder, n *Node, dy []*Value) []*Value {
		dx := b.Op(ropeGrad, "d."+n.In[0].Name, n.Attrs, dy[0], n.In[1], n.In[2], n.In[3])[0]
		return []*Value{dx, nil, nil, nil}
	},
	Cost:  streamedFLOPs(3),
	Cheap: true,
}

// ropeGrad is the gradient of rope: the rotation back (the transpose, scale included).
var ropeGrad = &Op{
	Name:     "rope_grad",
	Operands: []string{"dy", "cos", "sin", "positions"},
	Results:  []string{"dqkv"},
	Attrs:    Attrs{{"heads", 0}, {"kv_heads", 0}},
	Infer:    inferRope,
	Eval: func(n *Node, in, out []*Tensor) {
		q, _ := packedQKV(n, 0)
		q.rotate(in[0], out[0], in[1], in[2], in[3], -1)
	},
	Cost:    streamedFLOPs(3),
	InPlace: [][2]int{{0, 0}},
}

// Rope appends the rotation of query and key heads.
func (b *Builder) Rope(name string, qkv, cos, sin, positions *Value, heads, kvHeads int) *Value {
	return b.Op(rope, name, Attrs{{"heads", heads}, {"kv_heads", kvHeads}}, qkv, cos, sin, positions)[0]
}

func inferRope(n *Node) ([]Type, error) {
	q, err := packedQKV(n, 0)
	if err == nil {
		err = wantRotation(n, q, 1)
	}
	return []Type{n.In[0].Type}, err
}

// wantRotation checks the operands cos, sin and positions, the first of which is operand i.
func wantRotation(n *Node, q packed, i int) error {
	_, c, err := matrix(n, i)
	if err != nil {
		return err
	}
	if 2*c > q.dim {
		return fmt.Errorf("operand %s rotates %d dims of a head of %d", n.Op.Operands[i], 2*c, q.dim)
	}
	if err := n.want(i+1, n.In[i].Type); err != nil {
		return err
	}
	return n.want(i+2, Fixed(I32, q.tokens))
}

// rotate writes x with its query and key heads rotated to y; direction −1 rotates back.
func (q packed) rotate(x, y, cos, sin, positions *Tensor, direction float64) {
	copy(y.Data, x.Data)
	for t := range q.tokens {
		cs, sn := cos.Row(positions.Int(t)), sin.Row(positions.Int(t))
		for h := range q.heads + q.kvHeads {
			from, to := q.head(x, t, h), q.head(y, t, h)
			for i := range cs {
				x1, x2 := from[i], from[i+len(cs)]
				to[i] = x1*cs[i] - direction*x2*sn[i]
				to[i+len(cs)] = x2*cs[i] + direction*x1*sn[i]
			}
		}
	}
}
