package models

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// TestRopeFrequencies compares with testdata/rope.json: the frequencies and scale that Transformers 5.23 makes
// of the same parameters with every tensor in float64, for 16 dims and 256 positions.
func TestRopeFrequencies(t *testing.T) {
	text, err := os.ReadFile("testdata/rope.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name    string
		Params  json.RawMessage `json:"rope_parameters"`
		InvFreq []float64       `json:"inv_freq"`
		Scale   float64
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			config, err := readConfig("config.json", []byte(`{"max_position_embeddings": 256, "rope_parameters": `+string(c.Params)+`}`))
			if err != nil {
				t.Fatal(err)
			}
			r := readRope(config, 16)
			if _, err := config.finish(); err != nil {
				t.Fatal(err)
			}
			// Two libraries' powers and logarithms may each be off by a unit in the last place, which
			// no step enlarges by more than the cancellation in yarn's ramp, far below a thousandfold.
			const tolerance = 1e-13
			if math.Abs(r.Scale-c.Scale) > tolerance {
				t.Errorf("scale %v, want %v", r.Scale, c.Scale)
			}
			for i, want := range c.InvFreq {
				if math.Abs(r.InvFreq[i]-want) > tolerance*want {
					t.Errorf("frequency %d is %v, want %v", i, r.InvFreq[i], want)
				}
			}
		})
	}
}

// TestRopeForms: the same encoding written in the old form and in the new one.
func TestRopeForms(t *testing.T) {
	read := func(text string) rope {
		t.Helper()
		c, err := readConfig("config.json", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		r := readRope(c, 16)
		if _, err := c.finish(); err != nil {
			t.Fatal(err)
		}
		return r
	}
	forms := []string{
		`{"max_position_embeddings": 256, "rope_theta": 5e5, "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}}`,
		`{"max_position_embeddings": 256, "rope_theta": 500000, "rope_scaling": {"rope_type": "yarn", "factor": 4}, "original_max_position_embeddings": 64}`,
		`{"max_position_embeddings": 256, "rope_parameters": {"rope_type": "yarn", "rope_theta": 5e5, "factor": 4, "original_max_position_embeddings": 64}}`,
		`{"max_position_embeddings": 256, "rope_theta": 5e5, "rope_scaling": null,
		  "rope_parameters": {"rope_type": "yarn", "type": "yarn", "rope_theta": 5e5, "factor": 4, "original_max_position_embeddings": 64}}`,
	}
	want := read(forms[0])
	for _, form := range forms[1:] {
		got := read(form)
		if got.Scale != want.Scale || got.InvFreq[5] != want.InvFreq[5] {
			t.Errorf("%s\ngives %v, want %v", form, got, want)
		}
	}
}
