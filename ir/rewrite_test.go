package ir

import "testing"

func TestRewrite(t *testing.T) {
	g, err := Parse(`graph old ranks 2
input x f32[4]
result r f32[4]
a = add(x, x) @one
b = add(a, x) @two
c = add(b, b) @three
d = add(x, x) @four
write r <- c
`)
	if err != nil {
		t.Fatal(err)
	}
	half := func(v *Value) Type { return Fixed(F32, v.Type.Dim(0)/2) }
	// a is put off until d is seen; b and c, which need it, wait. d goes, b doubles its operand first.
	h := Rewrite(g, "new", half, func(r *Rewriter, n *Node) {
		switch n.Out[0].Name {
		case "a":
			r.Later(n.Out[0])
		case "b":
			twice := r.Op(add, "b", nil, r.Get(n.In[0]), r.Get(n.In[0]))[0]
			r.Emit(n, add, nil, twice, r.Get(n.In[1]))
		case "d":
			if r.Has(g.Lookup("a")) || r.Has(g.Lookup("c")) {
				t.Error("a node did not wait")
			}
			a := r.Op(add, "late", nil, r.Get(n.In[0]), r.Get(n.In[1]))[0]
			r.Set(g.Lookup("a"), a)
		default:
			r.Copy(n)
		}
	})
	want := `graph new ranks 2
input x f32[2]
result r f32[2]
late = add(x, x) @four : f32[2]
b = add(late, late) @two : f32[2]
b.2 = add(b, x) @two : f32[2]
c = add(b.2, b.2) @three : f32[2]
write r <- c
`
	if got := Print(h); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if err := Verify(h); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		name  string
		visit func(*Rewriter, *Node)
		want  string
	}{
		{"left out", func(r *Rewriter, n *Node) {
			if n.Out[0].Name != "a" {
				r.Copy(n)
			}
		}, "BUG: a was left out of new but is still used"},
		{"never set", func(r *Rewriter, n *Node) { r.Later(n.Out[0]) }, "BUG: add of old waits for ever"},
	} {
		func() {
			defer func() {
				if got := recover(); got != c.want {
					t.Errorf("%s: got %v, want %s", c.name, got, c.want)
				}
			}()
			Rewrite(g, "new", nil, c.visit)
		}()
	}
}

func TestAttrsWith(t *testing.T) {
	a := Attrs{{"heads", 4}, {"eps", 1e-6}}
	b := a.With("heads", 2).With("name", "x")
	if a.String() != "{heads=4, eps=1e-06}" || b.String() != `{heads=2, eps=1e-06, name="x"}` {
		t.Errorf("%s, %s", a, b)
	}
	if b.Int("heads") != 2 || b.Float("eps") != 1e-6 || b.Str("name") != "x" {
		t.Errorf("%s", b)
	}
}
