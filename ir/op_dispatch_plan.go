package ir

import (
	"fmt"
	"math/big"
)

// dispatchPlan says which tokens travel to which ranks. The experts are spread over groups of consecutive ranks, each with all
// of them; ranks below are those of the own group, counted from 0. Expert e of E lives on rank e/L, L = E/ranks. A token
// goes once to every rank that owns one of its experts; a rank receives its S tokens ordered by source rank,
// then token:
//
//	received_1           S
//	source_S[i]          rank·T + token of received token i
//	position_TN[t,d]     where on rank d my token t stands, −1 if it does not go there
//	idx_local_SK[i,j]    local expert of choice j of received token i, −1 where another rank owns it and past S
//
// S is bounded by ranks·T; costs assume choices drawn at random.
var dispatchPlan = &Op{
	Name:     "dispatch_plan",
	Operands: []string{"idx"},
	Results:  []string{"received", "source", "position", "idx_local"},
	Attrs:    Attrs{{"experts", 0}, {"ranks", 0}},
	Infer: func(n *Node) ([]Type, error) {
		t, k, err := indexMatrix(n, 0)
		if err != nil {
			return nil, err
		}
		experts, ranks := n.Attrs.Int("experts"), n.Attrs.Int("ranks")
		if ranks < 1 || experts < 1 || experts%ranks != 0 || t.Bounded || k > experts {
			return nil, fmt.Errorf("%d experts on %d ranks for idx of type %s", experts, ranks, n.In[0].Type)
		}
		s := Dim{N: ranks * t.N, Bounded: true, Expected: expectedTokens(t.N, k, experts, ranks)}
		return []Type{Fixed(I32, 1), Bounded(I32, s), Fixed(I32, t.N, ranks), Bounded(I32, s, k)}, nil
	},
	EvalRanks: func(n *Node, in, out [][]*Tensor) {
		tokens, ranks := in[0][0].Type.Dim(0), n.Attrs.Int("ranks")
		for group := 0; group < len(in); group += ranks {
			planGroup(n.Attrs.Int("experts")/ranks, tokens, in[group:group+ranks], out[group:group+ranks])
		}
	},
	Cost: func(n *Node) Cost {
		c := streamed(n)
		c.Sent = n.In[0].Type.Bytes() * int64(n.Attrs.Int("ranks")-1)
		return c
	},
}

// planGroup evaluates a dispatch_plan for the ranks of one group, with so many local experts each.
func planGroup(local, tokens int, in, out [][]*Tensor) {
	for d := range out {
		received, source, idxLocal := 0, out[d][1], out[d][3]
		for i := range idxLocal.Data {
			idxLocal.Data[i] = -1
		}
		for r := range in {
			for t := range tokens {
				at := -1
				for j, e := range in[r][0].Row(t) {
					if int(e)/local != d {
						continue
					}
					if at < 0 {
						at = received
						source.Data[at] = float64(r*tokens + t)
						received++
					}
					idxLocal.Row(at)[j] = float64(int(e) % local)
				}
				out[r][2].Row(t)[d] = float64(at)
			}
		}
		out[d][0].Data[0] = float64(received)
		poison(source, received)
	}
}

// expectedTokens is how many tokens a rank receives on average, rounded up, when every token of every rank
// chooses k of the experts at random: a token misses the rank's L experts with probability
// Π_{i<k} (E−L−i)/(E−i). Exact, so that no rounding can move a plan.
func expectedTokens(tokens, k, experts, ranks int) int {
	miss, all := big.NewInt(1), big.NewInt(1)
	for i := range k {
		miss.Mul(miss, big.NewInt(int64(max(experts-experts/ranks-i, 0))))
		all.Mul(all, big.NewInt(int64(experts-i)))
	}
	hit := new(big.Int).Sub(all, miss)
	hit.Mul(hit, big.NewInt(int64(tokens*ranks)))
	hit.Add(hit, all).Sub(hit, big.NewInt(1)).Div(hit, all)
	return int(hit.Int64())
}
