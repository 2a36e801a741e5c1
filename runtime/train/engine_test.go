package train

import (
	"errors"
	"math"
	"strings"
	"testing"

	"moegen/runtime/data"
	"moegen/runtime/host"
)

func TestRecordOfAStep(t *testing.T) {
	o := optimizer{beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 0.1, clip: 1}
	r := o.record(3, 2e-4, 1000, 4, 0.01)
	want := record{
		host.RecordLR: 2e-4, host.RecordBeta1: 0.9, host.RecordBeta2: 0.999, host.RecordEps: 1e-8, host.RecordDecay: 0.1,
		host.RecordGain1: 0.1, host.RecordGain2: 0.001, // not float32(1) - float32(0.999), which is 1.3e-5 off
		host.RecordBias1: 1 - 0.9*0.9*0.9, host.RecordBias2: 1 - 0.999*0.999*0.999,
		host.RecordMaxNorm: 1, host.RecordLossNorm: 1e-3, host.RecordAuxNorm: 0.01 / 4, host.RecordStep: 3, host.RecordSeed: r[host.RecordSeed],
	}
	for i := range r {
		// Constants are rounded once, what math.Pow and the differences give at most once more.
		if math.Abs(float64(r[i]-want[i])) > 1.2e-7*math.Abs(float64(want[i])) {
			t.Errorf("record[%d] is %g, want %g", i, r[i], want[i])
		}
	}
	other := optimizer{seed: 1}.record(3, 2e-4, 1000, 4, 0.01)
	for _, seed := range []float32{r[host.RecordSeed], other[host.RecordSeed]} {
		if seed < 0 || seed >= 1<<24 || seed != float32(int(seed)) || other[host.RecordSeed] == r[host.RecordSeed] {
			t.Errorf("seeds 0 and 1 are %g and %g in the record", r[host.RecordSeed], other[host.RecordSeed])
		}
	}
	if own := r.of(3); own[host.RecordRank] != 3 || r[host.RecordRank] != 0 {
		t.Errorf("rank 3 is %g in its record", own[host.RecordRank])
	}
	if r.accumulate(false) != r {
		t.Error("the first micro-batch's record differs from the step's")
	}
	added := r.accumulate(true)
	if added[host.RecordAccumulate] != 1 || r[host.RecordAccumulate] != 0 {
		t.Errorf("accumulate: %v, of %v", added, r)
	}
}

// Gradients are there from a micro-batch to whatever runs next: an update without them, and adding to them where that does not keep
// them, is a mistake of ours.
func TestGradientsMustBeThere(t *testing.T) {
	for _, c := range []struct {
		name        string
		accumulates bool
		run         func(e *engine, b data.Batch, r record) error
		fails       bool
	}{
		{"a step", false, func(e *engine, b data.Batch, r record) error { _, err := e.update(r); return err }, false},
		{"validation in front of the update", false, func(e *engine, b data.Batch, r record) error {
			_, err := e.eval(b)
			_, also := e.update(r)
			return errors.Join(err, also)
		}, true},
		{"two micro-batches", true, func(e *engine, b data.Batch, r record) error {
			_, _, err := e.microBatch(b, r.accumulate(true))
			return err
		}, false},
		{"two where there is to be one", false, func(e *engine, b data.Batch, r record) error {
			_, _, err := e.microBatch(b, r.accumulate(true))
			return err
		}, true},
		{"a second after an update", true, func(e *engine, b data.Batch, r record) error {
			_, err := e.update(r)
			_, _, also := e.microBatch(b, r.accumulate(true))
			return errors.Join(err, also)
		}, true},
	} {
		p := testProgram(0)
		p.Accumulates = c.accumulates
		e, err := startFrom(p, "", 1)
		if err != nil {
			t.Fatal(err)
		}
		defer e.close()
		b := newBatch(p.Manifest)
		synthesize(b, p.Manifest, 1, 0)
		r := optimizer{beta1: 0.9, beta2: 0.999, eps: 1e-8}.record(1, 1e-3, targetCount(b), 1, 0)
		if _, _, err := e.microBatch(b, r); err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if fault := recover(); (fault != nil) != c.fails {
					t.Errorf("%s: %v", c.name, fault)
				}
			}()
			if err := c.run(e, b, r); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}()
	}
}

func TestConfigOfAnotherModelIsNamed(t *testing.T) {
	const built = `{"rope_theta": 10000.0, "num_experts": 8, "layers": ["a", "b"], "torch_dtype": "bfloat16", "rope_scaling": null, "norm": true}`
	for _, c := range []struct{ found, want string }{
		{built, ""},
		{`{"rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}, "dtype": "float32", "torch_dtype": "float32", "rope_scaling": null}`, ""},
		{`{"rope_parameters": {"rope_theta": 1e6}}`, "D/config.json: rope_theta is 1000000, this binary was built for 10000"},
		{`{"num_experts": 16, "layers": ["a", "b"]}`, "num_experts is 16, this binary was built for 8"},
		{`{"layers": ["b", "a"]}`, `layers is ["b","a"], this binary was built for ["a","b"]`},
		{`{"norm": false}`, "norm is false"},
		{`{"rope_scaling": {"factor": 4}}`, "rope_scaling is set, this binary was built for null"},
		{`[]`, "D/config.json: not a JSON object"},
	} {
		err := matchConfig("D", built, []byte(c.found))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.found, err, c.want)
		}
	}
}
