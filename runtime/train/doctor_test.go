package train

import (
	"encoding/json"
	"strings"
	"testing"

	"moegen/runtime/health"
)

// The doctor of a binary for processors looks at no GPU, and knows what the binary takes.
func TestDoctor(t *testing.T) {
	program := testProgram(0)
	folder := t.TempDir()
	text := must(t, program, "doctor --dir "+folder)
	for _, want := range []string{" memory ", " disk ", "; one of this binary's, "} {
		if !strings.Contains(text, want) {
			t.Errorf("doctor says nothing of %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "GPU") {
		t.Errorf("doctor looks for GPUs:\n%s", text)
	}
	var r health.Report
	if err := json.Unmarshal([]byte(must(t, program, "doctor --json --dir "+folder)), &r); err != nil {
		t.Fatal(err)
	}
	if r.Status == health.Fail || len(r.Checks) < 6 || r.Machine.GPUs != nil || r.Machine.System.Disk.Folder != folder {
		t.Errorf("%+v", r)
	}
}

// A machine that cannot run the binary is told by the exit status, and everything else in the report.
func TestDoctorFinds(t *testing.T) {
	program := testProgram(0)
	program.Manifest.PeakBytesPerGPU = 1 << 55
	r := command(program, "doctor --dir "+t.TempDir())
	if r.code != health.ExitUnfit || r.stderr != "" || !strings.Contains(r.stdout, "fail     memory") || !strings.Contains(r.stdout, "and the binary takes 65536 TiB") {
		t.Errorf("exit status %d, %q:\n%s", r.code, r.stderr, r.stdout)
	}
	refuse(t, program, exitInput, "doctor now", "unknown command")
	refuse(t, program, exitInput, "doctor --save x", "unknown flag: --save")
}
