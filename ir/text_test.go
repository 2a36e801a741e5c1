package ir

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

// textGraph has every kind of line and of attribute.
const textGraph = `graph step ranks 2
map embed [8 4] init normal 0.02 zero [3]
  piece "model.embed.weight" [8 4] at 0 tied "lm_head.weight"
map layers.0 [64] parts 2 members [layers.0.norm]
map layers.0.experts [4 6 3] expert sharded init zeros 0.0
  piece "experts.%d.gate \"odd\" name" [3 3] at 0 strides [1 3] count 4 step 18
  piece "experts.%d.up" [3 3] at 9 count 4 step 18
input w_D f32[4]
input tokens i32[5]
input x f32[<=10~6 4]
input record f32[16]
const rope f32[5 1]
param embed f32[8 4] of embed
grad grad.embed f32[8 4] of embed
grad grad.layers.0 f32[128] of layers.0
state m.embed f32[8 4] of embed
param layers.0.experts f32[2 6 3] of layers.0.experts
result norm f32[1]
result s f64[1]
y = embedding(tokens, embed) {padding=3} @embed : f32[5 4]
norm1.y, norm1.rstd = rms_norm(y, w_D) {eps=1e-06} @layers.0 : f32[5 4], f32[5]
cos, sin = rope_table() {seq=5, inv_freq=[1.0 0.25 -0.0 1e-300], scale=2.0, dtype="f32"} : f32[5 4], f32[5 4]
tap(y) {name="a \"quoted\", {name}", layer=-1} @layers.0
sum = sum_squares(embed, _) : f64[1]
idx, w = router(y, _) {top_k=2, renorm=true} : i32[5 2], f32[5 2]
write grad.embed <- embed
write s <- sum
`

func TestGraphRoundTrip(t *testing.T) {
	g, err := Parse(textGraph)
	if err != nil {
		t.Fatal(err)
	}
	if got := Print(g); got != textGraph {
		t.Errorf("got\n%s\nwant\n%s", got, textGraph)
	}
	if err := Verify(g); err != nil {
		t.Error(err)
	}
	p := g.Lookup("layers.0.experts").Param
	want := &Param{
		Name: "layers.0.experts", Shape: []int{4, 6, 3}, Sharded: true, Expert: true, Init: Init{Kind: "zeros"},
		Pieces: []Piece{
			{Name: `experts.%d.gate "odd" name`, Shape: []int{3, 3}, Strides: []int{1, 3}, Count: 4, Step: 18},
			{Name: "experts.%d.up", Shape: []int{3, 3}, Offset: 9, Count: 4, Step: 18},
		},
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v, want %+v", p, want)
	}
	if g.Lookup("grad.embed").Param != g.Lookup("embed").Param {
		t.Error("a gradient does not point to its weight's map")
	}
	freq := g.Lookup("cos").Def.Attrs.Floats("inv_freq")
	if !math.Signbit(freq[2]) || freq[3] != 1e-300 {
		t.Errorf("inv_freq reads back as %v", freq)
	}
}

// TestModelRoundTrip: what the builder and differentiation make reads back the same in every part.
func TestModelRoundTrip(t *testing.T) {
	for _, ranks := range []int{1, 3} {
		f := newFixture(ranks)
		if _, err := Differentiate(f.Graph, f.model(ranks == 1)...); err != nil {
			t.Fatal(err)
		}
		g, err := Parse(Print(f.Graph))
		if err != nil {
			t.Fatal(err)
		}
		if err := Verify(g); err != nil {
			t.Error(err)
		}
		if Print(g) != Print(f.Graph) {
			t.Error("the text of what was read differs")
		}
		if len(g.Nodes) != len(f.Graph.Nodes) {
			t.Fatalf("%d nodes, want %d", len(g.Nodes), len(f.Graph.Nodes))
		}
		for i, n := range g.Nodes {
			want := f.Graph.Nodes[i]
			if n.Op != want.Op || n.Section != want.Section || len(n.Attrs) > 0 && !reflect.DeepEqual(n.Attrs, want.Attrs) {
				t.Errorf("node %d differs", i)
			}
		}
	}
}

// TestTypesMayBeLeftOut: hand-written graphs need no types behind their nodes; comments and empty lines are free.
func TestTypesMayBeLeftOut(t *testing.T) {
	g, err := Parse("# a graph\ngraph g ranks 1\n\n  input a f32[2]\n# sum\ny = add(a,a)\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := "graph g ranks 1\ninput a f32[2]\ny = add(a, a) : f32[2]\n"; Print(g) != want {
		t.Errorf("got\n%s", Print(g))
	}
}

// TestKeywordsAsNames: a value may have the name of a keyword.
func TestKeywordsAsNames(t *testing.T) {
	src := "graph map ranks 1\ninput input f32[2]\nwrite = add(input, input) : f32[2]\n" +
		"param, w = router(m, _) {top_k=1, renorm=false} : i32[1 1], f32[1 1]\n"
	src = strings.Replace(src, "write =", "input m f32[1 1]\nwrite =", 1)
	g, err := Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	if Print(g) != src {
		t.Errorf("got\n%s", Print(g))
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"", "line 1: no line says graph NAME ranks N"},
		{"input a f32[2]", "line 1: no line says graph NAME ranks N"},
		{"graph g", `line 1: the line ends before "ranks"`},
		{"graph g ranks x", `line 1: "x" is not an integer`},
		{"graph g ranks 1 1", `line 1: unexpected "1"`},
		{"graph g ranks 1\nfoo bar", `line 2: "foo" begins no line of a graph`},
		{"graph g ranks 1\ninput", `line 2: "" is not a name`},
		{"graph g ranks 1\ninput _ f32[1]", `line 2: "_" is not a name`},
		{"graph g ranks 1\ninput a f16[1]", `line 2: "f16" is not an element type`},
		{"graph g ranks 1\ninput a f32[1", `line 2: "" is not an integer`},
		{"graph g ranks 1\ninput a f32(1)", `line 2: "(" instead of "["`},
		{"graph g ranks 1\ninput a f32[<=3]", `line 2: "" is not an integer`},
		{"graph g ranks 1\ninput a f32[1]\n\ninput a f32[1]", "line 4: a is defined twice"},
		{"graph g ranks 1\nparam a f32[1] of b", "line 2: no map b"},
		{"graph g ranks 1\npiece \"x\" [1] at 0", "line 2: a piece before the first map"},
		{"graph g ranks 1\nmap m [1]\nmap m [1]", "line 3: map m is defined twice"},
		{"graph g ranks 1\nmap m [1] init normal x", `line 2: "x" is not a number`},
		{"graph g ranks 1\nmap m [1]\n piece x [1] at 0", "line 3: x is not a quoted string"},
		{"graph g ranks 1\ny = add(a, a)", "line 2: a is not defined"},
		{"graph g ranks 1\ny = plus(a, a)", `line 2: "plus" is not an operation`},
		{"graph g ranks 1\ninput a f32[1]\na = add(a, a)", "line 3: a is defined twice"},
		{"graph g ranks 1\ninput a f32[1]\ny = add(a a)", `line 3: "a" instead of ","`},
		{"graph g ranks 1\ninput a f32[1]\ny = add(a, a) : f32[2]", "line 3: y has type f32[1], stated is f32[2]"},
		{"graph g ranks 1\ninput a f32[1]\ny = add(a, _)", "line 3: add: operand b is missing"},
		{"graph g ranks 1\ninput a f32[1]\ny = add(a, a) {eps}", `line 3: "}" instead of "="`},
		{"graph g ranks 1\ninput a f32[1]\ny = add(a, a) {eps=x}", `line 3: "x" is not a number`},
		{"graph g ranks 1\ninput a f32[1]\nwrite a <- b", "line 3: b is not defined"},
		{"graph g ranks 1\ninput a f32[1]\nwrite a = a", `line 3: "=" instead of "<-"`},
	} {
		if _, err := Parse(c.src); err == nil || err.Error() != c.want {
			t.Errorf("%q: got %v, want %s", c.src, err, c.want)
		}
	}
}

// textPlan has every kind of line.
const textPlan = `plan "my \"model\"" target "cpu" ranks 2 ep 2 bytes 4096 gradients 128
map w [8 4] init ones 0.0
  piece "w" [8 4] at 0
buffer w f32[8 4] param of w at 0
buffer grad.w f32[8 4] grad of w at 4096
buffer x f32[5 4] input at 256
buffer y f32[5 8] activation micro_batch 0..1 at 512
buffer ws f32[64] activation micro_batch 0..0 at 1024
buffer y f32[5 8] activation eval 0..0 at 512
buffer dx f32[5 4] activation micro_batch 1..1 at 2048
program micro_batch
  y = linear(x, w, _, _) @layers.0 kernel linear workspace ws cost 320 368 0
  dx = linear_dgrad(y, w, _) @layers.0.grad kernel linear_dgrad cost 320 368 0
program eval
  y = linear(x, w, _, _) @layers.0 kernel linear cost 320 368 0
  tap(y) {name="hidden", layer=0} @layers.0 kernel tap cost 0 0 0
program setup
`

func TestPlanRoundTrip(t *testing.T) {
	p, err := ParsePlan(textPlan)
	if err != nil {
		t.Fatal(err)
	}
	if got := PrintPlan(p); got != textPlan {
		t.Errorf("got\n%s\nwant\n%s", got, textPlan)
	}
	if err := VerifyPlan(p); err != nil {
		t.Error(err)
	}
	linear := p.Programs[0].Launches[0]
	if linear.Out[0] != p.Buffers[3] || linear.In[0] != p.Buffers[2] || linear.In[2] != nil || linear.Workspace != p.Buffers[4] {
		t.Error("a launch has the wrong buffers")
	}
	if p.Programs[1].Launches[0].Out[0] != p.Buffers[5] {
		t.Error("a launch of eval has a buffer of micro_batch")
	}
	if p.Buffers[0].Param != p.Buffers[1].Param || p.Model != `my "model"` {
		t.Error("a part differs")
	}
}

func TestParsePlanErrors(t *testing.T) {
	const head = "plan \"m\" target \"cpu\" ranks 1 ep 1 bytes 8 gradients 0\n"
	for _, c := range []struct{ src, want string }{
		{"", "line 1: no line says plan MODEL target TARGET ranks N ep N bytes N gradients N"},
		{"plan m", "line 1: m is not a quoted string"},
		{head + "input a f32[1]", `line 2: "input" begins no line of a plan`},
		{head + "y = add(a, a) kernel add cost 0 0 0", "line 2: a launch before the first program"},
		{head + "buffer a f32[1] thing at 0", `line 2: "thing" is not a role`},
		{head + "buffer a f32[1] input", `line 2: the line ends before "at"`},
		{head + "buffer a f32[1] activation p 1 at 0", `line 2: "" is not an integer`},
		{head + "buffer a f32[1] input at 0\nbuffer a f32[1] input at 4", "line 3: buffer a is defined twice"},
		{head + "buffer a f32[1] activation q 0..1 at 0\nprogram p\ntap(a) kernel tap", "line 4: a is not a buffer of program p"},
		{head + "buffer a f32[1] input at 0\nprogram p\ntap(a)", `line 4: the line ends before "kernel"`},
		{head + "buffer a f32[1] input at 0\nprogram p\ntap(a) kernel tap", `line 4: the line ends before "cost"`},
	} {
		if _, err := ParsePlan(c.src); err == nil || err.Error() != c.want {
			t.Errorf("%q: got %v, want %s", c.src, err, c.want)
		}
	}
}

// FuzzParse: no text brings the parser down, and what it reads prints to a text that reads back the same.
func FuzzParse(f *testing.F) {
	f.Add(textGraph)
	for _, c := range valueCases() {
		f.Add(c.graph)
	}
	fixture := newFixture(3)
	if _, err := Differentiate(fixture.Graph, fixture.model(false)...); err != nil {
		f.Fatal(err)
	}
	f.Add(Print(fixture.Graph))
	f.Fuzz(func(t *testing.T, src string) {
		g, err := Parse(src)
		if err != nil {
			return
		}
		text := Print(g)
		again, err := Parse(text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if Print(again) != text {
			t.Fatalf("got\n%s\nwant\n%s", Print(again), text)
		}
	})
}

// FuzzParsePlan is FuzzParse for plans.
func FuzzParsePlan(f *testing.F) {
	f.Add(textPlan)
	f.Fuzz(func(t *testing.T, src string) {
		p, err := ParsePlan(src)
		if err != nil {
			return
		}
		text := PrintPlan(p)
		again, err := ParsePlan(text)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if PrintPlan(again) != text {
			t.Fatalf("got\n%s\nwant\n%s", PrintPlan(again), text)
		}
	})
}
