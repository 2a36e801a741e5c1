package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// planText runs plan --timeline of a small model with more flags.
func planText(t *testing.T, flags ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	line := append([]string{"plan", "tiny-qwen3-moe", "--target", "h100", "--seq", "64", "--micro-batch", "2", "--timeline"}, flags...)
	if code := run(line, &out, &errs); code != 0 {
		t.Fatalf("moegen %v: exit status %d\n%s", line, code, errs.String())
	}
	return out.String()
}

func planJSON(t *testing.T, flags ...string) planReport {
	t.Helper()
	var r planReport
	if err := json.Unmarshal([]byte(planText(t, append(flags, "--json")...)), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// The sums of a timeline are those of its launches.
func TestTimelineSums(t *testing.T) {
	line := planJSON(t).Timeline
	families, step := map[string]float64{}, map[string]float64{}
	launches := 0
	for _, l := range line.Launches {
		families[l.Family] += l.Micros / 1e3
		step[l.Program] += l.Micros / 1e3
	}
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-9*math.Abs(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	for _, f := range line.Families {
		near(f.Family, f.MS, families[f.Family])
		launches += f.Launches
	}
	if len(families) != len(line.Families) || launches != len(line.Launches) {
		t.Errorf("%d families of %d launches, want %d of %d", len(line.Families), launches, len(families), len(line.Launches))
	}
	near("forward and backward", line.GradMS, step["micro_batch"])
	near("update", line.UpdateMS, step["update"])
	near("step", line.StepMS, step["micro_batch"]+step["update"])
	near("tokens/s", line.TokensPerSecond, 2*64*1e3/line.StepMS)
	near("tokens/s of forward and backward", line.GradTokensPerSecond, 2*64*1e3/line.GradMS)
}

// The largest misses are the families whose times are furthest apart, whether one or the other has not met them.
func TestTimelineBesideAMeasurement(t *testing.T) {
	report := planJSON(t)
	line := report.Timeline
	step := line.StepMS
	kernels := map[string]float64{"invented_by_the_binary": 0.3 * step}
	for _, f := range line.Families {
		kernels[f.Family] = f.MS * 1.001
	}
	kernels["adamw_split"] += 0.5 * step
	predicted := 0.0
	for _, f := range line.Families {
		if f.Family == "attention_grad" {
			predicted = f.MS
		}
	}
	kernels["attention_grad"] += 0.1 * step
	measured := map[string]any{
		"model": "tiny-qwen3-moe", "target": "h100", "seq": 64, "micro_batch": 2, "gpus": 1, "planned_bytes": 1,
		"step_ms": 2 * step, "forward_backward_ms": line.GradMS, "update_ms": line.UpdateMS + step, "kernel_ms": kernels,
	}
	file := filepath.Join(t.TempDir(), "bench.json")
	write := func() {
		text, err := json.Marshal(measured)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write()
	r := planJSON(t, "--measured", file).Timeline
	var names []string
	for _, m := range r.Measured.Misses {
		names = append(names, m.Family)
	}
	if got, want := strings.Join(names, " "), "adamw_split invented_by_the_binary attention_grad"; got != want {
		t.Fatalf("the largest misses are %s, want %s", got, want)
	}
	m := r.Measured.Misses[2]
	if m.MS != predicted || m.MeasuredMS != kernels["attention_grad"] || math.Abs(m.PartOfStep-(m.MS-m.MeasuredMS)/(2*step)) > 1e-12 {
		t.Errorf("%+v; %v ms were predicted and %v measured", m, predicted, kernels["attention_grad"])
	}
	const other = "the binary's memory is not this plan's"
	for _, bytes := range []int64{1, report.PeakBytesPerGPU} {
		measured["planned_bytes"] = bytes
		write()
		text := planText(t, "--measured", file)
		for _, want := range []string{"forward and backward  ", " +0.0%\n", "-50.0%\n", "invented_by_the_binary: 0.000 ms predicted"} {
			if !strings.Contains(text, want) {
				t.Errorf("not printed: %q\n%s", want, text)
			}
		}
		if strings.Contains(text, other) != (bytes == 1) {
			t.Errorf("a binary of %d bytes, and the plan has %d:\n%s", bytes, report.PeakBytesPerGPU, text)
		}
	}
}
