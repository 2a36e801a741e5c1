package ir

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

func TestRegistry(t *testing.T) {
	for i, op := range ops {
		if i > 0 && ops[i-1].Name >= op.Name {
			t.Errorf("%s stands after %s", op.Name, ops[i-1].Name)
		}
		if found, ok := LookupOp(op.Name); !ok || found != op {
			t.Errorf("%s is not found", op.Name)
		}
		if (op.Eval == nil) == (op.EvalRanks == nil) {
			t.Errorf("%s must have one of Eval and EvalRanks", op.Name)
		}
		if op.Infer == nil || op.Cost == nil {
			t.Errorf("%s lacks Infer or Cost", op.Name)
		}
		for _, pair := range op.InPlace {
			if pair[0] >= len(op.Results) || pair[1] >= len(op.Operands) {
				t.Errorf("%s has no results and operands for in-place pair %v", op.Name, pair)
			}
		}
		for j, name := range op.Operands {
			if strings.HasSuffix(name, "...") && j != len(op.Operands)-1 {
				t.Errorf("%s: repeated operand %s is not the last", op.Name, name)
			}
		}
	}
	if _, ok := LookupOp("no_such"); ok {
		t.Error("found an operation that is not there")
	}
}

// TestEveryOperationHasCases: an operation that is differentiated has a case of its own among the gradients; every
// other occurs in a graph that a test of gradients, equivalences or values evaluates and compares.
func TestEveryOperationHasCases(t *testing.T) {
	own, occurs := map[string]bool{}, map[string]bool{}
	see := func(g *Graph) {
		for _, n := range g.Nodes {
			occurs[n.Op.Name] = true
		}
	}
	for _, c := range gradientCases() {
		f := newFixture(c.ranks)
		f.appendGradient(c.build(f))
		see(f.Graph)
		own[c.op] = true
	}
	for _, c := range equivalences() {
		f := newFixture(c.ranks)
		c.build(f)
		see(f.Graph)
	}
	graphs := referenceGraphs(t)
	for _, c := range valueCases() {
		graphs = append(graphs, c.graph)
	}
	for _, src := range graphs {
		g, err := Parse(src)
		if err != nil {
			t.Fatal(err)
		}
		see(g)
	}
	for _, op := range ops {
		if op.Grad != nil && !own[op.Name] {
			t.Errorf("%s has a gradient but no gradient case", op.Name)
		}
		if !occurs[op.Name] {
			t.Errorf("%s is in no test", op.Name)
		}
	}
}

func referenceGraphs(t *testing.T) (graphs []string) {
	src, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct{ Graph string }
	if err := json.Unmarshal(src, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		graphs = append(graphs, c.Graph)
	}
	return graphs
}

// TestInferErrors: what a node is refused for, in the words of the operation.
func TestInferErrors(t *testing.T) {
	const operands = `
graph g ranks 1
input f f32[4 6]
input v f32[6]
input w f32[3 4 6]
input i i32[4]
input m i32[4 2]
input o i32[4]
input r i32[8]
input b f32[<=4~2 6]
input bm i32[<=4~2 2]
input bi i32[<=4~2]
input p i32[<=8~4]
input one i32[1]
input record f32[16]
input s f64[1]
input x f32[5 5]
input odd f32[1 3 5]
input two i32[2]
input g f32[4 4]
input wide f32[8 12]
`
	for _, c := range []struct{ node, want string }{
		{"y = add(f, v)", "operand b has type f32[6], want f32[4 6]"},
		{"y = add(i, i)", "operand a has type i32[4], want f32[4]"},
		{"y = accumulate(f, f, v)", "operand record has type f32[6], want f32[16]"},
		{"y = linear(f, x, _, _)", "operand w has type f32[5 5], want f32[5 6]"},
		{"y = linear(b, f, _, _)", "operand x has type f32[<=4~2 6], want fixed dims"},
		{"y = linear(f, v, _, _)", "operand w has type f32[6], want a matrix of f32 or bf16"},
		{"y = linear(f, f, i, _)", "operand bias? has type i32[4], want f32[4]"},
		{"y = linear(_, f, _, _)", "operand x is missing"},
		{"y = linear(f, f)", "2 operands, want x, w, bias?, residual?"},
		{"y = linear_wgrad(f, f, x, _)", "an accumulated gradient is given but no record"},
		{"y, z = linear(f, f, _, _)", "linear has 1 results, 2 are named"},
		{"y = embedding(f, f) {padding=-1}", "operand tokens has type f32[4 6], want an int32 vector"},
		{"y = embedding(i, f) {padding=4}", "padding is 4 of 4 tokens"},
		{"y = embedding_grad(i, f, _, _) {vocab=0, padding=-1}", "result dtable would have type f32[0 6]"},
		{"y = embedding_grad(i, f, _, _) {vocab=3, padding=-2}", "padding is -2 of 3 tokens"},
		{"y, z = rms_norm(f, v) {eps=1}", "attribute 0 is eps (int), want eps (float64)"},
		{"y, z = rms_norm(f, v) {epsilon=1.0}", "attribute 0 is epsilon (float64), want eps (float64)"},
		{"y, z = rms_norm(f, v)", "0 attributes, want {eps=0.0}"},
		{"y = qk_norm(f, v, v) {heads=3, kv_heads=2, eps=1.0}", "3 query heads are not a multiple of 2 key heads"},
		{"y = qk_norm(f, v, v) {heads=2, kv_heads=2, eps=1.0}", "operand wq has type f32[6], want f32[1]"},
		{"y = qk_norm(x, v, v) {heads=2, kv_heads=1, eps=1.0}", "operand qkv has 5 columns, which 4 heads do not share"},
		{"y = rope(f, f, f, i) {heads=1, kv_heads=1}", "operand cos rotates 12 dims of a head of 2"},
		{"y, z = attention(f, i) {rows=3, heads=1, kv_heads=1, scale=1.0}", "operand qkv: 4 tokens are not 3 rows"},
		{"y, z = attention(f, m) {rows=2, heads=1, kv_heads=1, scale=1.0}", "operand starts has type i32[4 2], want i32[4]"},
		{"y, z = router(f, _) {top_k=7, renorm=true}", "top_k is 7 of 6 experts"},
		{"y = router_stats(f, i)", "operand idx has type i32[4], want an int32 matrix"},
		{"y = aux_loss(f, record) {rows=1.0}", "operand stats has type f32[4 6], want f32[24]"},
		{"y, z, u = route(m) {experts=0, expected=0}", "experts is 0"},
		{"y, z, u = route(m) {experts=3, expected=2}", "expected is 2 for idx of type i32[4 2]"},
		{"y, z, u = route(bm) {experts=1, expected=5}", "expected is 5 for idx of type i32[<=4~2 2]"},
		{"y = permute(f, one, r) {top_k=2}", "operand offsets has type i32[1], want one entry an expert and one more"},
		{"y = permute(f, o, r) {top_k=0}", "top_k is 0"},
		{"y = grouped_linear(f, f, o, _) {top_k=0}", "operand w has type f32[4 6], want matrices of f32 stacked by expert"},
		{"y = grouped_linear(x, w, o, _) {top_k=0}", "operand x has 5 columns, w 6"},
		{"y = grouped_linear(f, w, r, _) {top_k=0}", "operand offsets has type i32[8], want i32[4]"},
		{"y = grouped_linear_dgrad(f, w, o, _) {top_k=0}", "operand dy has 6 columns, w 4 rows"},
		{"y = grouped_linear_wgrad(f, x, o, _, _, _, _) {top_k=0}", "operands dy and x have different rows"},
		{"y = swiglu(x, _)", "operand gu has type f32[5 5], which has no halves"},
		{"y = unpermute(f, o, i, m, _, _, _) {top_k=3}", "operand slots has type i32[4 2], top_k is 3"},
		{"y = unpermute(f, o, r, m, _, _, _) {top_k=2}", "operand pairs has type i32[8], want i32[4]"},
		{"y = grouped_linear_unpermute(x, w, o, m, _, _, _)", "operand x has 5 columns, w wants 6"},
		{"y = grouped_linear_unpermute(f, w, r, m, _, _, _)", "operand offsets has type i32[8], want i32[4]"},
		{"y = grouped_linear_unpermute(f, w, o, m, f, _, _)", "operand weights? has type f32[4 6], want f32[4 2]"},
		{"y = grouped_linear_dgrad_unpermute(f, w, o, m, _, _)", "operand dy has 6 columns, w wants 4"},
		{"y = grouped_linear_swiglu(x, w, o, _) {top_k=0}", "operand x has 5 columns, w 6"},
		{"y, z = grouped_linear_swiglu_keep(x, odd, two, _) {top_k=0}", "operand w has type f32[1 3 5], whose rows have no halves"},
		{"y, z, u = grouped_linear_dgrad_swiglu(f, w, f, f, o, r, m) {top_k=2}", "operand down has type f32[3 4 6]; dy has 6 columns, half of gu 3"},
		{"y, z, u = grouped_linear_dgrad_swiglu(g, w, wide, f, o, r, m) {top_k=2}", "operand w has type f32[4 6], want f32[4 2]"},
		{"y, z, u = grouped_linear_dgrad_swiglu(g, w, wide, f, o, r, m) {top_k=0}", "top_k is 0"},
		{"y = cross_entropy(f, m, record)", "operand targets has type i32[4 2], want i32[4]"},
		{"y = linear_cross_entropy_eval(f, x, i, record)", "operand w has type f32[5 5], want 6 columns"},
		{"y = slice_rows(f, one) {rows=0}", "result y would have type f32[0 6]"},
		{"y = all_reduce(i) {ranks=2}", "operand x has type i32[4], want floats"},
		{"y = all_reduce(f) {ranks=0}", "0 ranks"},
		{"y = reduce_scatter(i, v, record) {parts=2, stride=1}", "operand x has type i32[4], want floats"},
		{"y = reduce_scatter(f, v, record) {parts=2, stride=1}", "operand x has type f32[4 6], want a vector to make 2 parts of"},
		{"y = reduce_scatter(v, v, record) {parts=2, stride=1}", "operand grad has type f32[6], want f32[128]"},
		{"y = pack() {unit=8}", "no operand to pack"},
		{"y = pack(v, f) {unit=0}", "a unit of 0 elements"},
		{"y = pack(v, b) {unit=8}", "operand x... has type f32[<=4~2 6], want fixed dims"},
		{"y = pack(v, i) {unit=8}", "operand 1 has type i32[4], want floats as operand 0, f32[6]"},
		{"y = all_gather(v) {parts=2, stride=0}", "2 parts with stride 0"},
		{"y = all_gather(b) {parts=1, stride=1}", "operand x has type f32[<=4~2 6], want fixed dims"},
		{"y, z, u = adamw(v, v, v, v, one, record) {parts=2, stride=1}", "operand grad has type f32[6], want f32[128]"},
		{"y, z, u, t = dispatch_plan(m) {experts=5, ranks=2}", "5 experts on 2 ranks for idx of type i32[4 2]"},
		{"y = dispatch(f, i, one, m)", "operand source has type i32[4], position i32[4 2]"},
		{"y = dispatch(x, bi, one, m)", "operand source has type i32[<=4~2], position i32[4 2]"},
		{"y, z = pool_open() {rows=5, cols=6, dtype=\"f31\"}", "there is no element type \"f31\""},
		{"y, z = pool_open() {rows=5, cols=0, dtype=\"f32\"}", "result pool would have type f32[5 0]"},
		{"y, z, u, t = dispatch_keep(g, p, one, m, x, two)", "operand pool has type f32[5 5] for rows of type f32[<=8~4 4]"},
		{"y, z, u, t = dispatch_keep(g, p, one, m, b, two)", "operand pool has type f32[<=4~2 6] for rows of type f32[<=8~4 4]"},
		{"y, z, u, t = dispatch_keep(g, p, one, m, g, one)", "operand use has type i32[1], want i32[2]"},
		{"y = dispatch_restore(g, p, one, m, g, two)", "operand slot has type i32[2], want i32[1]"},
		{"y = sum_squares(b, _)", "operand x has type f32[<=4~2 6], want fixed dims"},
		{"y, z = clip_scale(record, s, v)", "operand v has type f32[6], want f64[1]"},
		{"y, z, u = adamw(f, f, v, f, v, record) {parts=1, stride=1}", "operand m has type f32[6], want f32[4 6]"},
		{"y, z, u, w2 = adamw_master(f, f, f, f, f, v, record) {parts=1, stride=1}", "operand value has type f32[4 6], want bf16[4 6]"},
		{"y, z, u, w2 = adamw_split(f, f, f, f, f, v, record) {stream=-1, parts=1, stride=1}", "stream is -1, which is no 32-bit number"},
	} {
		_, err := Parse(operands + c.node)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.node, err, c.want)
		}
	}
}

// TestCosts compares with work counted by hand.
func TestCosts(t *testing.T) {
	g, err := Parse(`
graph g ranks 4
input x f32[8 16]
input w f32[32 16]
input qkv f32[8 24]
input starts i32[8]
input xr f32[<=64~20 16]
input we f32[4 6 16]
input offsets i32[5]
input idx i32[8 2]
input tokens i32[8]
input source i32[<=32~12]
input received i32[1]
input position i32[8 4]
input slots i32[<=32~12 2]
input flat f32[1000]
input share f32[256]
input scale f32[1]
input record f32[16]
linear = linear(x, w, _, _)
o, lse = attention(qkv, starts) {rows=2, heads=4, kv_heads=1, scale=1.0}
dqkv = attention_grad(o, qkv, o, lse, starts) {rows=2, heads=4, kv_heads=1, scale=1.0}
grouped = grouped_linear(xr, we, offsets, _) {top_k=0}
dwe = grouped_linear_wgrad(grouped, xr, offsets, _, _, _, _) {top_k=0}
summed = grouped_linear_unpermute(xr, we, offsets, slots, _, _, received)
dx = grouped_linear_dgrad_unpermute(grouped, we, offsets, slots, _, received)
emb = embedding(tokens, w) {padding=-1}
sent = dispatch(x, source, received, position)
pool, use = pool_open() {rows=15, cols=16, dtype="f32"}
kept, pool1, use1, slot = dispatch_keep(x, source, received, position, pool, use)
restored = dispatch_restore(x, source, received, position, pool1, slot)
sum = all_reduce(x) {ranks=4}
packed = pack(x, w) {unit=64}
scattered = reduce_scatter(flat, share, record) {parts=4, stride=1}
gathered = all_gather(flat) {parts=4, stride=1}
squares = sum_squares(share, _)
updated, m, v = adamw(flat, share, share, share, scale, record) {parts=4, stride=1}
`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		value string
		want  Cost
	}{
		// Two operations for each of 8·32 results and 16 columns; floats of x, w, y.
		{"linear", Cost{FLOPs: 2 * 8 * 32 * 16, Bytes: 4 * (8*16 + 32*16 + 8*32)}},
		// Rows of 4 tokens: queries see 1+2+3+4 = 10 keys. 2 rows, 4 heads of 4 dims, two products.
		{"o", Cost{FLOPs: 2 * 2 * (2 * 4 * 4) * 10, Bytes: 4 * (8*24 + 8 + 8*16 + 8*4)}},
		{"dqkv", Cost{FLOPs: 4 * 2 * (2 * 4 * 4) * 10, Bytes: 4 * (8*16 + 8*24 + 8*16 + 8*4 + 8 + 8*24)}},
		// 20 expected rows.
		{"grouped", Cost{FLOPs: 2 * 20 * 6 * 16, Bytes: 4 * (20*16 + 4*6*16 + 5 + 20*6)}},
		{"dwe", Cost{FLOPs: 2 * 20 * 6 * 16, Bytes: 4 * (20*6 + 20*16 + 5 + 4*6*16)}},
		// 20 expected rows for 12 expected tokens; every element of a row is weighted and added.
		{"summed", Cost{FLOPs: 2*20*6*16 + 2*20*6, Bytes: 4 * (20*16 + 4*6*16 + 5 + 12*2 + 1 + 12*6)}},
		{"dx", Cost{FLOPs: 2*20*6*16 + 2*20*16, Bytes: 4 * (20*6 + 4*6*16 + 5 + 12*2 + 1 + 12*16)}},
		// The table is read where it is used.
		{"emb", Cost{Bytes: 4 * (8 + 2*8*16)}},
		// Of 12 expected rows three quarters come from other ranks.
		{"sent", Cost{Bytes: 4 * (8*16 + 12 + 1 + 8*4 + 12*16), Sent: 4 * 9 * 16}},
		// The rows arrive, are left and kept. They come back from the pool.
		{"pool", Cost{Bytes: 4 * 2}},
		{"kept", Cost{Bytes: 4 * 3 * 12 * 16, Sent: 4 * 9 * 16}},
		{"restored", Cost{Bytes: 4 * 2 * 12 * 16}},
		// Operands are where they belong.
		{"packed", Cost{}},
		// A quarter of 1000 elements from each of three others, added to the own and to a share of 256, 250 rounded up to whole cache
		// lines; others read as much of the rank's.
		{"scattered", Cost{FLOPs: 750 + 256, Bytes: 4 * (1000 + 2*256), Sent: 4 * 750}},
		// The other three quarters are written, and the own is read by three others.
		{"gathered", Cost{Bytes: 4 * 2 * 750, Sent: 4 * 750}},
		{"squares", Cost{FLOPs: 2 * 256, Bytes: 4 * 256}},
		{"updated", Cost{FLOPs: 14 * 256, Bytes: 4 * 256 * 7}},
		{"sum", Cost{FLOPs: 8 * 16, Bytes: 4 * 2 * 8 * 16, Sent: 4 * 2 * 8 * 16}},
	} {
		n := g.Lookup(c.value).Def
		if got := n.Op.Cost(n); got != c.want {
			t.Errorf("%s costs %+v, want %+v", n.Op.Name, got, c.want)
		}
	}
}

// TestExpectedTokens: 8 of 128 experts a token on 8 ranks reach 5.34 ranks on average (of 16 experts each: 8 ·
// (1 − C(112,8)/C(128,8)) = 5.33935...), every choice of the only rank stays, and one of one always goes.
func TestExpectedTokens(t *testing.T) {
	for _, c := range []struct{ tokens, k, experts, ranks, want int }{
		{10000, 8, 128, 8, 53394},
		{7, 2, 4, 1, 7},
		{5, 4, 4, 2, 10},
		{6, 1, 3, 3, 6},
	} {
		if got := expectedTokens(c.tokens, c.k, c.experts, c.ranks); got != c.want {
			t.Errorf("%+v: got %d", c, got)
		}
	}
}
