package ir

import (
	"strings"
	"testing"
)

// TestVerify breaks a correct graph in one place at a time.
func TestVerify(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(g *Graph)
		want  string
	}{
		{"name", func(g *Graph) { g.Lookup("x").Name = "a b" }, `"a b" is not a name`},
		{"mark of an operand left out", func(g *Graph) { g.Lookup("y").Name = "_" }, `"_" is not a name`},
		{"section", func(g *Graph) { g.Nodes[0].Section = "a@b" }, `"a@b" is not a section`},
		{"two values of one name", func(g *Graph) { g.Lookup("y").Name = "x" }, "two values are named x"},
		{"role", func(g *Graph) { g.Lookup("x").Role = Activation }, "x comes from outside but has no role"},
		{"map", func(g *Graph) { g.Lookup("w").Param = nil }, "w has no map to checkpoint tensors"},
		{"two maps of one name", func(g *Graph) { p := *g.Lookup("w").Param; p.Expert = true; g.Lookup("grad.w").Param = &p },
			"two different maps to checkpoint tensors are named w"},
		{"order", func(g *Graph) { g.Nodes[0], g.Nodes[1] = g.Nodes[1], g.Nodes[0] }, "node 0 (add) uses y before its definition"},
		{"attributes", func(g *Graph) { g.Nodes[1].Attrs = Attrs{{"eps", 1.0}} }, "node 1 (add): 1 attributes, want {}"},
		{"operand types", func(g *Graph) { g.Lookup("x").Type = Fixed(F32, 2, 4) }, "node 0 (linear): operand w has type f32[3 3], want f32[3 4]"},
		{"result types", func(g *Graph) { g.Lookup("z").Type = Fixed(F32, 3, 2) }, "z has type f32[3 2], inferred f32[2 3]"},
		{"result count", func(g *Graph) { g.Nodes[1].Out = nil }, "node 1 (add) has 0 results, want 1"},
		{"definition", func(g *Graph) { g.Lookup("z").Def = g.Nodes[0] }, "z does not point back at its node"},
		{"write of a stranger", func(g *Graph) { g.Results[0].From = &Value{Name: "s", Type: Fixed(F32, 2, 3)} },
			"write to result from s: not values of this graph"},
		{"write to an input", func(g *Graph) { g.Results[0].To = g.Lookup("x") }, "x is written at the end but is input"},
		{"write of another type", func(g *Graph) { g.Results[0].From = g.Lookup("w") }, "write to result: type f32[2 3], from f32[3 3]"},
		{"two writes", func(g *Graph) { g.Results = append(g.Results, g.Results[0]) }, "result is written twice"},
	} {
		g, err := Parse(`graph g ranks 1
map w [3 3]
input x f32[2 3]
param w f32[3 3] of w
grad grad.w f32[3 3] of w
result result f32[2 3]
y = linear(x, w, _, _) @one
z = add(y, x) @one
write result <- z
`)
		if err != nil {
			t.Fatal(err)
		}
		if err := Verify(g); err != nil {
			t.Fatal(err)
		}
		c.spoil(g)
		if err := Verify(g); err == nil || !strings.Contains(err.Error(), "g: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

// TestBuilderPanics: a wrong use of the builder is a bug of the caller.
func TestBuilderPanics(t *testing.T) {
	for _, c := range []struct {
		name string
		use  func(f *fixture)
		want string
	}{
		{"types", func(f *fixture) { f.Add("y", f.random("a", 2), f.random("b", 3)) }, "BUG: add y: operand b has type f32[3], want f32[2]"},
		{"declaration", func(f *fixture) { f.Outside("a", Input, Fixed(F32, 2)); f.Outside("a", State, Fixed(F32, 2)) },
			"BUG: a is declared as input f32[2] and as state f32[2]"},
		{"route", func(f *fixture) {
			x, offsets, pairs := f.random("x", 2, 3), f.list("o", Fixed(I32, 2), 0, 2), f.list("p", Fixed(I32, 2), 0, 1)
			permute.Grad(f.Builder, f.Permute("y", x, offsets, pairs, 1).Def, []*Value{f.random("dy", 2, 3)})
		}, "BUG: p is permuted by but no route made it"},
		{"gradient of what stands beside", func(f *fixture) {
			y := f.RMSNorm("y", f.random("x", 2, 3), f.random("w", 3), 1)
			rmsNorm.Grad(f.Builder, y.Def, []*Value{y, y.Def.Out[1]})
		}, "BUG: rms_norm wants the gradient of y and no other"},
	} {
		func() {
			defer func() {
				if got := recover(); got != c.want {
					t.Errorf("%s: got %v, want %s", c.name, got, c.want)
				}
			}()
			c.use(newFixture(1))
		}()
	}
}

// TestVerifyPlan moves buffers of a correct plan.
func TestVerifyPlan(t *testing.T) {
	const plan = `plan "m" target "cpu" ranks 1 ep 1 bytes 64 gradients 0
buffer x f32[4] input at 0
buffer a f32[4] activation p 0..1 at 16
buffer b f32[4] activation p 1..2 at 16
buffer c f32[4] activation p 2..3 at 32
buffer d f32[4] activation p 3..3 at 48
program p
  a = add(x, x) kernel add cost 0 0 0
  b = add(a, x) kernel add cost 0 0 0
  c = add(b, x) kernel add cost 0 0 0
  d = add(c, c) kernel add cost 0 0 0
`
	for _, c := range []struct{ old, new, want string }{
		{"", "", ""},
		{"3..3 at 48", "3..3 at 16", ""}, // b is no longer needed
		{"3..3 at 48", "3..3 at 56", "d lies outside the arena"},
		{"2..3 at 32", "2..3 at 24", "p: b and c share memory"}, // partly: not in place
		{"1..2 at 16", "1..2 at 0", "p: x and b share memory"},
		{"d f32[4] activation p 3..3 at 48", "d f32[4] activation p 2..3 at 32", "p: c and d share memory"},
	} {
		p, err := ParsePlan(strings.Replace(plan, c.old, c.new, 1))
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyPlan(p); c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%s: got %v, want %q", c.new, err, c.want)
		}
	}
}

// TestVerifyGroups moves members of groups.
func TestVerifyGroups(t *testing.T) {
	const plan = `plan "m" target "cpu" ranks 1 ep 1 bytes 512 gradients 128
map a [4] init ones 0.0
  piece "a" [4] at 0
map all [32] members [a b]
map b [8] init ones 0.0
  piece "b" [8] at 0
buffer a f32[4] param of a at 0
buffer all f32[32] param of all at 0
buffer b f32[8] param of b at 64
buffer moment.all f32[32] state of all at 256
buffer grad.a f32[4] grad of a at 512
buffer grad.all f32[32] grad of all at 512
buffer grad.b f32[8] grad of b at 576
program p
  all = adamw(all, grad.all, moment.all, moment.all, all, all) {parts=1, stride=1} kernel adamw cost 0 0 0
`
	for _, c := range []struct{ old, new, want string }{
		{"", "", ""},
		{"param of b at 64", "param of b at 8", "all does not hold the param of b in its place\np: a and b share memory"},
		{"param of b at 64", "param of b at 232", "all does not hold the param of b in its place\np: b and moment.all share memory"},
		{"grad of b at 576", "grad of b at 496", "grad.b lies outside the gradients' part of it\ngrad.all does not hold the grad of b in its place"},
		{"members [a b]", "members [b a]", "all does not hold the param of a in its place\ngrad.all does not hold the grad of a in its place"},
		{"members [a b]", "members [a]", "p: all and b share memory"},
		{"state of all at 256", "state of all at 320", "p: moment.all and grad.all share memory"}, // which lies at 384
		{"gradients 128", "gradients 120", "grad.all lies outside the gradients' part of it"},
	} {
		p, err := ParsePlan(strings.Replace(plan, c.old, c.new, 1))
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyPlan(p); c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%s: got %v, want %q", c.new, err, c.want)
		}
		if again := PrintPlan(p); again != strings.Replace(plan, c.old, c.new, 1) {
			t.Errorf("got\n%s", again)
		}
	}
}

// TestVerifyShares moves gradients of groups that ranks share, which are one array to who reads them all.
func TestVerifyShares(t *testing.T) {
	const plan = `plan "m" target "cpu" ranks 2 ep 1 bytes 2048 gradients 1024
map a [64] parts 2 members [x]
map x [4] init ones 0.0
  piece "x" [4] at 0
map all [256] members [a b]
map b [64] parts 2 members [y]
map y [4] init ones 0.0
  piece "y" [4] at 0
buffer a f32[64] param of a at 0
buffer x f32[4] param of x at 0
buffer b f32[64] param of b at 256
buffer y f32[4] param of y at 256
buffer sum f64[1] result at 512
buffer grad.a f32[128] grad of a at 2048
buffer grad.all f32[256] grad of all at 2048
buffer grad.b f32[128] grad of b at 2560
program p
  sum = sum_squares(grad.all, _) kernel sum_squares cost 0 0 0
`
	for _, c := range []struct{ old, new, want string }{
		{"", "", ""},
		{"grad of b at 2560", "grad of b at 2816", "grad.b lies outside the gradients' part of it\ngrad.all does not hold the grad of b in its place"},
		{"members [a b]", "members [b a]", "grad.all does not hold the grad of a in its place"},
		{"map a [64] parts 2 members", "map a [64] members", "grad.a does not hold the grad of x in its place\np: a gap in grad.a and grad.all share memory"},
	} {
		p, err := ParsePlan(strings.Replace(plan, c.old, c.new, 1))
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyPlan(p); c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%s: got %v, want %q", c.new, err, c.want)
		}
	}
}

// TestVerifyParts moves operands that are parts of a result.
func TestVerifyParts(t *testing.T) {
	const plan = `plan "m" target "cpu" ranks 1 ep 1 bytes 128 gradients 0
buffer x f32[4] input at 0
buffer a f32[4] activation p 0..2 at 32
buffer y f32[16] activation p 2..3 at 32
buffer b f32[6] activation p 1..2 at 64
buffer z f32[4] activation p 3..3 at 96
program p
  a = add(x, x) kernel add cost 0 0 0
  b = add(x, x) kernel add cost 0 0 0
  y = pack(a, b) {unit=8} kernel pack cost 0 0 0
  z = add(y, x) kernel add cost 0 0 0
`
	for _, c := range []struct{ old, new, want string }{
		{"", "", ""},
		{"1..2 at 64", "1..2 at 60", "p: launch 2 (pack) does not find b in its place in y"},
		{"0..2 at 32", "0..3 at 32", "p: a and y share memory"}, // read when it is no longer itself
		{"3..3 at 96", "2..3 at 80", "p: y and z share memory\np: b and z share memory"},
	} {
		p, err := ParsePlan(strings.Replace(plan, c.old, c.new, 1))
		if err != nil {
			t.Fatal(err)
		}
		if err := VerifyPlan(p); c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%s: got %v, want %q", c.new, err, c.want)
		}
	}
}

// TestWithoutDead: what feeds neither a write nor a tap goes.
func TestWithoutDead(t *testing.T) {
	g, err := Parse(`graph g ranks 1
input x f32[2]
result r f32[2]
a = add(x, x) : f32[2]
dead = add(a, a) : f32[2]
deader = add(dead, dead) : f32[2]
seen = add(a, x) : f32[2]
tap(seen) {name="s", layer=0}
b = add(a, a) : f32[2]
write r <- b
`)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, n := range WithoutDead(g).Nodes {
		for _, v := range n.Out {
			left = append(left, v.Name)
		}
	}
	if got := strings.Join(left, " "); got != "a seen b" {
		t.Errorf("left are %s", got)
	}
}

// TestVerifyGradients moves what shares memory with gradients in steps of one micro-batch: grad.a is born at launch 1, grad.b at 2.
func TestVerifyGradients(t *testing.T) {
	const plan = `plan "m" target "cpu" ranks 2 ep 2 bytes 192 gradients 80
map a [4] init ones 0.0
  piece "a" [4] at 0
map all [20] members [a b]
map b [8] init ones 0.0
  piece "b" [8] at 0
buffer record f32[16] input at 0
buffer x f32[4] activation p 0..1 at 64
buffer y f32[4] activation p 0..1 at 144
buffer z f32[4] activation p 1..2 at 96
buffer s f32[1] activation q 0..0 at 108
buffer grad.a f32[4] grad of a at 192
buffer grad.all f32[20] grad of all at 192
buffer grad.b f32[8] grad of b at 224
program p
  x = add(y, y) kernel add cost 0 0 0
  z, grad.a = rms_norm_grad(x, x, x, x, y, grad.a, record) kernel rms_norm_grad cost 0 0 0
  grad.b = accumulate(z, grad.b, record) kernel accumulate cost 0 0 0
program q
  s = sum_squares(grad.all, _, _) {parts=1, stride=1} kernel sum_squares cost 0 0 0
program r
  tap(record) {name="r", layer=0} kernel tap cost 0 0 0
`
	for _, c := range []struct{ old, new, want string }{
		{"", "", ""},
		{"0..1 at 64", "0..1 at 160", ""}, // below grad.b, which is born later
		{"0..1 at 64", "0..1 at 112", "p: x and grad.a share memory"},                          // grad.a is written while x is read
		{"1..2 at 96", "1..2 at 144", ""},                                                      // in place
		{"1..2 at 96", "1..2 at 148", "p: y and z share memory\np: z and grad.b share memory"}, // likewise
		{"1..2 at 96", "1..2 at 112", "p: z and grad.a share memory"},                          // both are written
		{"1..2 at 96", "1..2 at 132", "p: y and z share memory\np: z and a gap in grad.all share memory\np: z and grad.b share memory"},
		{"0..1 at 64", "0..1 at 176", "p: x and a gap in grad.all share memory"},            // behind grad.b
		{"0..0 at 108", "0..0 at 140", "q: s and grad.all share memory"},                    // read from the beginning on
		{"accumulate(z, grad.b, record)", "add(z, grad.b)", "p: y and grad.b share memory"}, // reads what is there
	} {
		p, err := ParsePlan(strings.Replace(plan, c.old, c.new, 1))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := VerifyPlan(p); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: got %v, want %q", c.new, got, c.want)
		}
	}
}

// TestVerifyOrderOfGradients: a gradient is written on one stream where another may still read what lay there before.
func TestVerifyOrderOfGradients(t *testing.T) {
	const plan = `plan "m" target "cpu" ranks 2 ep 2 bytes 128 gradients 16
map a [4] init ones 0.0
  piece "a" [4] at 0
buffer record f32[16] input at 0
buffer x f32[4] activation p 0..1 at 112
buffer y f32[4] activation p 1..1 at 96
buffer grad.a f32[4] grad of a at 128
program p
  x = add(record, record) kernel add cost 0 0 0
  y = all_reduce(x) {ranks=2} kernel all_reduce cost 0 0 0 on communication after 0
  grad.a = accumulate(record, grad.a, record) kernel accumulate cost 0 0 0 after 1
`
	for text, want := range map[string]string{
		plan:                                     "",
		strings.Replace(plan, " after 1", "", 1): "p: launch 2 (accumulate) touches grad.a at the same time as launch 1 (all_reduce)",
	} {
		p, err := ParsePlan(text)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := VerifyPlan(p); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
