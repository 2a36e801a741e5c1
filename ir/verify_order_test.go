package ir

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestVerifyOrder takes waits away from a plan that is right, one at a time, and breaks what else is checked.
func TestVerifyOrder(t *testing.T) {
	const plan = `plan "m" target "cpu" ranks 2 ep 2 bytes 128 gradients 0
buffer x f32[4] input at 0
buffer a f32[4] activation p 0..1 at 16
buffer b f32[4] activation p 1..3 at 32
buffer c f32[4] activation p 2..5 at 48
buffer d f32[4] activation p 3..4 at 16
buffer e f32[4] activation p 4..5 at 64
buffer f f32[4] activation p 5..5 at 32
program p
  a = add(x, x) kernel add cost 0 0 0
  b = all_reduce(a) {ranks=2} kernel all_reduce cost 0 0 0 on communication after 0
  c = add(x, x) kernel add cost 0 0 0
  d = add(b, x) kernel add cost 0 0 0 after 1
  e = all_reduce(d) {ranks=2} kernel all_reduce cost 0 0 0 on communication after 3
  f = add(c, e) kernel add cost 0 0 0 after 4
`
	for _, c := range []struct{ old, new, want string }{
		{"", "", ""},
		{"communication after 0", "communication", "p: launch 1 (all_reduce) touches a at the same time as launch 0 (add)"},
		{"after 1", "", "p: launch 3 (add) touches b at the same time as launch 1 (all_reduce)\n" +
			"p: launch 3 (add) touches d at the same time as launch 1 (all_reduce)"}, // d lies where 1 reads a
		{"after 3", "after 2", "p: launch 4 (all_reduce) touches d at the same time as launch 3 (add)"},
		{"after 4", "after 1", "p: launch 5 (add) touches e at the same time as launch 4 (all_reduce)"},
		{"5..5 at 32", "5..5 at 80", ""},
		{"2..5 at 48", "2..5 at 96", ""},
		{"3..4 at 16", "3..4 at 104", ""},
		{"2..5 at 48", "2..5 at 16", "p: launch 2 (add) touches c at the same time as launch 1 (all_reduce)"}, // reads a
		{"after 1", "after 5", "p: launch 3 (add) waits for 5, which is not in front of it on another stream"},
		{"after 3", "after 1", "p: launch 4 (all_reduce) waits for 1, which is not in front of it on another stream"},
		{"on communication after 3", "", "p: launch 4 (all_reduce) crosses between ranks on stream compute, others do on communication\n" +
			"p: launch 5 (add) waits for 4, which is not in front of it on another stream"},
	} {
		p, err := ParsePlan(strings.Replace(plan, c.old, c.new, 1))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, err := range verifyOrder(p, p.Programs[0]) {
			got += err.Error() + "\n"
		}
		if got = strings.TrimSpace(got); got != c.want {
			t.Errorf("%s: got %s\nwant %s", c.new, got, c.want)
		}
		if again, err := ParsePlan(PrintPlan(p)); err != nil || PrintPlan(again) != PrintPlan(p) {
			t.Errorf("%s does not read back: %v", c.new, err)
		}
	}
}

// TestVerifyOrderIsExact holds the verifier against all pairs of launches of random programs: some pair touches the same memory, one
// of the two writing, with no way from the first to the second along the streams and the waits.
func TestVerifyOrderIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	op, _ := LookupOp("add")
	clean := 0
	for range 4000 {
		prog := &Program{Name: "p"}
		for range 2 + rng.IntN(7) {
			l := &Launch{Op: op, Stream: Stream(rng.IntN(Streams))}
			buffer := func() *Buffer {
				return &Buffer{Name: "b", Type: Fixed(F32, 1+rng.IntN(3)), Offset: int64(4 * rng.IntN(16))}
			}
			l.In, l.Out = []*Buffer{buffer(), nil}, []*Buffer{buffer()}
			if rng.IntN(4) == 0 {
				l.Workspace = buffer()
			}
			for a, before := range prog.Launches {
				if before.Stream != l.Stream && rng.IntN(3) == 0 {
					l.After = append(l.After, a)
				}
			}
			prog.Launches = append(prog.Launches, l)
		}
		want := clashing(prog)
		if got := verifyOrder(&Plan{Bytes: 1 << 10}, prog); (len(got) > 0) != want {
			t.Fatalf("clash is %t, the verifier says %v of\n%s", want, got, PrintPlan(&Plan{Programs: []*Program{prog}}))
		}
		if !want {
			clean++
		}
	}
	if clean < 400 || clean > 3600 {
		t.Errorf("%d of 4000 programs are right: the others say little", clean)
	}
}

// clashing is what verifyOrder finds, pair by pair.
func clashing(prog *Program) bool {
	n := len(prog.Launches)
	way := make([][]bool, n)
	for j, l := range prog.Launches {
		way[j] = make([]bool, n) // from i to j
		from := l.After
		for i := range j {
			if prog.Launches[i].Stream == l.Stream {
				from = append(from, i)
			}
		}
		for _, i := range from {
			way[j][i] = true
			for k := range i {
				way[j][k] = way[j][k] || way[i][k]
			}
		}
	}
	type touch struct {
		b     *Buffer
		write bool
	}
	touches := func(l *Launch) (list []touch) {
		list = []touch{{l.In[0], false}, {l.Out[0], true}}
		if l.Workspace != nil {
			list = append(list, touch{l.Workspace, true})
		}
		return list
	}
	for j := range n {
		for i := range j {
			for _, x := range touches(prog.Launches[i]) {
				for _, y := range touches(prog.Launches[j]) {
					overlap := x.b.Offset < y.b.Offset+y.b.Bytes() && y.b.Offset < x.b.Offset+x.b.Bytes()
					if overlap && (x.write || y.write) && !way[j][i] {
						return true
					}
				}
			}
		}
	}
	return false
}

// TestWaits: a wait that follows from others is left out.
func TestWaits(t *testing.T) {
	o := NewOrder()
	for i, c := range []struct {
		stream Stream
		deps   []int
		want   string
	}{
		{Compute, nil, "[]"},
		{Compute, []int{0}, "[]"},
		{Communication, []int{0, 1}, "[1]"},
		{Communication, []int{0}, "[]"},
		{Compute, []int{1}, "[]"},
		{Compute, []int{2}, "[2]"},
		{Compute, []int{2, 3}, "[3]"},
		{Communication, []int{4}, "[4]"},
		{Compute, []int{3}, "[]"},
	} {
		l := &Launch{Stream: c.stream, After: o.Waits(c.stream, c.deps)}
		if got := fmt.Sprint(l.After); got != c.want {
			t.Errorf("launch %d waits for %s, want %s", i, got, c.want)
		}
		o.Add(l)
	}
	for _, c := range []struct {
		i, j int
		want bool
	}{{0, 1, true}, {2, 4, false}, {1, 2, true}, {4, 7, true}, {6, 7, false}, {3, 6, true}} {
		if o.Before(c.i, c.j) != c.want {
			t.Errorf("launch %d before %d: %t", c.i, c.j, !c.want)
		}
	}
}

// TestStreamTextErrors: what ends a launch is read with care.
func TestStreamTextErrors(t *testing.T) {
	const head = "plan \"m\" target \"cpu\" ranks 1 ep 1 bytes 8 gradients 0\nbuffer a f32[1] input at 0\nprogram p\n"
	for end, want := range map[string]string{
		"on nowhere": `line 4: "nowhere" is not a stream`,
		"after":      `line 4: "" is not an integer`,
		"after 1 x":  `line 4: "x" is not an integer`,
	} {
		if _, err := ParsePlan(head + "tap(a) {name=\"t\", layer=0} kernel tap cost 0 0 0 " + end); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", end, err, want)
		}
	}
}
