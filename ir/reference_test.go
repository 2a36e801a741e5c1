package ir

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// TestReference compares forward operations with PyTorch and Transformers (testdata/reference.py). Both sides
// compute in float64 and sum in different orders; a few hundred additions of numbers near 1 stay within 1e-12. The
// auxiliary loss, which Transformers takes through float32 where it counts, stays within 1e-6.
func TestReference(t *testing.T) {
	src, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, Graph string
		In, Want    map[string][]float64
		Record      [][2]float64
	}
	if err := json.Unmarshal(src, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			g, err := Parse(c.Graph)
			if err != nil {
				t.Fatal(err)
			}
			env := Env{}
			for _, v := range g.Outside {
				env[v.Name] = NewTensor(v.Type)
				copy(env[v.Name].Data, c.In[v.Name])
			}
			for _, pair := range c.Record {
				env["record"].Data[int(pair[0])] = pair[1]
			}
			if err := Eval(g, []Env{env}, Float64); err != nil {
				t.Fatal(err)
			}
			for name, want := range c.Want {
				tolerance := 1e-12
				if name == "aux" {
					tolerance = 1e-6
				}
				got := env[name].Data
				if len(got) != len(want) {
					t.Fatalf("%s has %d elements, want %d", name, len(got), len(want))
				}
				for i := range want {
					if !(math.Abs(got[i]-want[i]) <= tolerance*(1+math.Abs(want[i]))) {
						t.Errorf("%s[%d] is %v, want %v", name, i, got[i], want[i])
					}
				}
			}
		})
	}
}
