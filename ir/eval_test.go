package ir

import (
	"math"
	"strings"
	"testing"
)

// TestEvalPrecision: in Stored every float32 value is a float32 and stays near the float64 one, float64 values keep
// their precision. The longest chain of the model rounds fewer than a hundred times (2⁻²⁴ each) and amplifies by
// norms and attention less than a hundredfold: 6e-4 at most of values near 1.
func TestEvalPrecision(t *testing.T) {
	run := func(p Precision) Env {
		f := newFixture(1)
		losses := f.model(true)
		if _, err := Differentiate(f.Graph, losses...); err != nil {
			t.Fatal(err)
		}
		f.zeroGradients()
		f.Op(sumSquares, "sum", nil, losses[0], nil)
		if err := Eval(f.Graph, f.envs, p); err != nil {
			t.Fatal(err)
		}
		for _, v := range f.Graph.Outside {
			if v.Role == Weight {
				delete(f.envs[0], v.Name) // operands are not rounded
			}
		}
		return f.envs[0]
	}
	exact, rounded := run(Float64), run(Stored)
	differ := false
	for name, x := range rounded {
		for i, v := range x.Data {
			w := exact[name].Data[i]
			if x.Type.DType == F32 && name != "record" && v != float64(float32(v)) {
				t.Fatalf("%s[%d] = %v is no float32", name, i, v)
			}
			if math.Abs(v-w) > 6e-4*(1+math.Abs(w)) {
				t.Errorf("%s[%d] is %v in float32, %v in float64", name, i, v, w)
			}
			differ = differ || v != w
		}
	}
	if !differ {
		t.Error("float32 and float64 agree in every bit")
	}
	if sum := rounded["sum"].Data[0]; sum == float64(float32(sum)) {
		t.Error("a float64 value was rounded to float32")
	}
}

// TestEvalWrites: writes happen together at the end, so that values can change places.
func TestEvalWrites(t *testing.T) {
	g, err := Parse("graph g ranks 1\nstate a f32[1]\nstate b f32[1]\nx = add(a, b)\nwrite a <- b\nwrite b <- a\n")
	if err != nil {
		t.Fatal(err)
	}
	one, two := &Tensor{Fixed(F32, 1), []float64{1}}, &Tensor{Fixed(F32, 1), []float64{2}}
	env := Env{"a": one, "b": two}
	if err := Eval(g, []Env{env}, Float64); err != nil {
		t.Fatal(err)
	}
	if env["a"].Data[0] != 2 || env["b"].Data[0] != 1 || env["x"].Data[0] != 3 {
		t.Errorf("a %v b %v x %v", env["a"].Data, env["b"].Data, env["x"].Data)
	}
}

func TestEvalErrors(t *testing.T) {
	g, err := Parse("graph g ranks 2\ninput a f32[1]\nx = add(a, a)\n")
	if err != nil {
		t.Fatal(err)
	}
	one := &Tensor{Fixed(F32, 1), []float64{1}}
	for _, c := range []struct {
		envs []Env
		want string
	}{
		{[]Env{{"a": one}}, "g runs on 2 ranks, 1 environments given"},
		{[]Env{{"a": one}, {}}, "g: add needs a, which rank 1 lacks"},
		{[]Env{{"a": one}, {"a": NewTensor(Fixed(F32, 2))}}, "g: a on rank 1 has type f32[2], want f32[1]"},
	} {
		if err := Eval(g, c.envs, Float64); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

// TestRoundBF16 holds the rounding against the bits: every bf16 is kept, what lies between two goes to the nearer
// one, halfway to the even one.
func TestRoundBF16(t *testing.T) {
	value := func(bits int) float64 { return float64(math.Float32frombits(uint32(bits) << 16)) }
	for bits := range 0x7F80 {
		low, high := value(bits), value(bits+1)
		if bits == 0x7F7F {
			high = 0x1p128
		}
		half, even := (low+high)/2, low
		if bits&1 == 1 {
			even = high
		}
		for _, c := range []struct{ x, want float64 }{
			{low, low}, {half, even}, {math.Nextafter(half, 0), low}, {math.Nextafter(half, math.Inf(1)), high},
		} {
			if c.want == 0x1p128 {
				c.want = math.Inf(1)
			}
			if got := RoundBF16(c.x); got != c.want {
				t.Fatalf("%x rounds to %x, want %x", c.x, got, c.want)
			}
			if got := RoundBF16(-c.x); got != -c.want {
				t.Fatalf("%x rounds to %x, want %x", -c.x, got, -c.want)
			}
		}
	}
}
