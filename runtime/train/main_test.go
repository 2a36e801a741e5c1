package train

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"moegen/runtime/checkpoint"
	"moegen/runtime/host"
	"moegen/runtime/tokenizer"
)

// TestMain makes the test binary a training binary, for the tests that need a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("MOEGEN_TEST_BINARY") != "" {
		program := testProgram(0.01)
		parts := newBigram(2, 2, 12, 0.01).parts()
		switch os.Getenv("MOEGEN_TEST_UPDATE") {
		case "panic":
			parts.Update = func(r *host.Rank) {
				if r.ID == 1 {
					panic("BUG: a test's")
				}
				r.Barrier()
			}
		case "hang":
			parts.Update = func(*host.Rank) { time.Sleep(time.Hour) }
		}
		program.Target = CPU(parts)
		Main(program)
	}
	os.Exit(m.Run())
}

// testProgram is the bigram on two ranks, two sequences of 12 tokens each.
func testProgram(aux float64) Program { return newBigram(2, 2, 12, aux).program() }

// result is what a command line did.
type result struct {
	code           int
	stdout, stderr string
}

// command runs a command line of a program, separated by spaces, the way main does.
func command(program Program, line string, more ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(program, append(append([]string{"bin/bigram"}, strings.Fields(line)...), more...), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// must fails the test unless a command line succeeds, and returns its output.
func must(t *testing.T, program Program, line string, more ...string) string {
	t.Helper()
	r := command(program, line, more...)
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("%s: exit status %d, stderr %q", line, r.code, r.stderr)
	}
	return r.stdout
}

// refuse fails the test unless a command line ends with a status and one sentence.
func refuse(t *testing.T, program Program, code int, line string, wants ...string) {
	t.Helper()
	r := command(program, line)
	if r.code != code || r.stdout != "" {
		t.Errorf("%s: exit status %d, want %d; stdout %q", line, r.code, code, r.stdout)
	}
	if strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "bigram: ") {
		t.Errorf("%s: stderr is not one line: %q", line, r.stderr)
	}
	for _, want := range wants {
		if !strings.Contains(r.stderr, want) {
			t.Errorf("%s: stderr %q lacks %q", line, r.stderr, want)
		}
	}
}

// newCheckpoint writes a random checkpoint of a program with a byte tokenizer.
func newCheckpoint(t *testing.T, program Program) string {
	t.Helper()
	text, config := tokenizer.BytesFiles(program.Manifest.Vocab)
	form, err := checkpoint.New([]byte(program.Manifest.Config), program.Params,
		checkpoint.File{Name: "tokenizer.json", Data: text}, checkpoint.File{Name: "tokenizer_config.json", Data: config})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "checkpoint")
	if err := form.SaveRandom(dir, program.Params, 1); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHelpNamesEveryCommandAndFlag(t *testing.T) {
	program := testProgram(0)
	help := must(t, program, "--help")
	for _, name := range []string{"train", "eval", "generate", "bench", "info", "probe", "doctor"} {
		if !strings.Contains(help, "\n  "+name+" ") {
			t.Errorf("--help does not name %s:\n%s", name, help)
		}
	}
	if strings.Contains(help, "completion") {
		t.Errorf("--help names a command that nobody asked for:\n%s", help)
	}
	if by, asked := must(t, program, "help train"), must(t, program, "train --help"); by != asked {
		t.Errorf("help train is not train --help:\n%s", by)
	}
	if bare := must(t, program, ""); bare != help {
		t.Errorf("no arguments: got %q, want the help", bare)
	}
	for name, titles := range map[string][]string{
		"train":    {"Files:", "Length and batch:", "Learning rate:", "Optimizer (AdamW, as torch.optim.AdamW):", "Validation:", "Saving and reporting:"},
		"eval":     {"Input:", "Output:"},
		"generate": {"Input:", "Length:", "Choice of the next token:"},
		"bench":    {"What to measure:", "Output:"},
		"info":     {"Output:"},
		"probe":    {"Input:", "Output:"},
	} {
		help := must(t, program, name+" --help")
		at := 0
		for _, title := range titles {
			next := strings.Index(help[at:], "\n"+title+"\n")
			if next < 0 {
				t.Errorf("%s --help lacks %q after position %d:\n%s", name, title, at, help)
				break
			}
			at += next
		}
	}
}

func TestUsageErrorsAreOneSentence(t *testing.T) {
	program := testProgram(0)
	refuse(t, program, 2, "dance", `unknown command "dance"`)
	refuse(t, program, 2, "help dance", `no command "dance"`)
	refuse(t, program, 2, "info --yaml", "unknown flag: --yaml")
	refuse(t, program, 2, "train", "train needs --checkpoint")
	refuse(t, program, 2, "train --checkpoint x --data y --out z", "train needs --steps")
	refuse(t, program, 2, "train --steps many", `"many"`)
	refuse(t, program, 2, "train here", `no argument "here"`)
	refuse(t, program, 2, "probe --checkpoint x", "probe needs --batch")
	refuse(t, program, 2, "bench --steps 0", "--steps of at least 1")
	refuse(t, newBigram(1, 2, 1, 0).program(), 2, "bench", "built with --seq 1: build one with at least 2")
}

func TestInfo(t *testing.T) {
	program := testProgram(0.01)
	var info struct {
		Manifest
		CPUPath string `json:"cpu_path"`
		Cores   int    `json:"cores"`
	}
	if err := json.Unmarshal([]byte(must(t, program, "info --json")), &info); err != nil {
		t.Fatal(err)
	}
	if info.Manifest != program.Manifest || info.CPUPath != host.Path() || info.Cores < 1 {
		t.Errorf("got %+v", info)
	}
	text := must(t, program, "info")
	for _, want := range []string{"bigram (bigram)", "2 ranks of cpu, f32, expert parallel over 2", "12 tokens a sequence, 2 sequences", host.Path() + " kernels"} {
		if !strings.Contains(text, want) {
			t.Errorf("info lacks %q:\n%s", want, text)
		}
	}
}

func TestBench(t *testing.T) {
	program := testProgram(0.01)
	var report benchReport
	if err := json.Unmarshal([]byte(must(t, program, "bench --steps 3 --warmup 1 --json")), &report); err != nil {
		t.Fatal(err)
	}
	const tokens = 2 * 2 * 12
	if want := tokens / report.StepMS * 1e3; report.TokensPerSecond != want {
		t.Errorf("%g tokens/s, want %d/%g ms = %g", report.TokensPerSecond, tokens, report.StepMS, want)
	}
	if len(report.StepsMS) != 3 || len(report.Losses) != 4 || report.StepMS <= 0 || report.GradMS <= 0 || report.UpdateMS <= 0 {
		t.Errorf("got %+v", report)
	}
	s := report.Shares
	if sum := s["gemm"] + s["attention"] + s["rest"]; len(s) != 3 || sum < 1-1e-9 || sum > 1+1e-9 || s["rest"] <= 0 {
		t.Errorf("shares %+v do not add up", report.Shares)
	}
	if len(report.KernelMS) != 2 || report.GradTokensPerSecond <= report.TokensPerSecond || report.DeviceBytes != 0 {
		t.Errorf("kernels %v, %g tokens/s forward and backward, %g in all", report.KernelMS, report.GradTokensPerSecond, report.TokensPerSecond)
	}
	if report.PlannedBytes != 2*program.Manifest.ArenaBytes || report.PeakRSSBytes < report.PlannedBytes {
		t.Errorf("planned %d, peak %d bytes", report.PlannedBytes, report.PeakRSSBytes)
	}
	text := must(t, program, "bench --steps 1 --warmup 0 --checkpoint "+newCheckpoint(t, program))
	for _, want := range []string{"tokens/s", "GFLOP/s", "% the rest", "planned"} {
		if !strings.Contains(text, want) {
			t.Errorf("bench lacks %q:\n%s", want, text)
		}
	}
}

func TestWorkRate(t *testing.T) {
	for gflops, want := range map[float64]string{88.25: "88.2 GFLOP/s", 999.4: "999.4 GFLOP/s", 434240: "434.2 TFLOP/s"} {
		if got := workRate(gflops); got != want {
			t.Errorf("%v: %s, want %s", gflops, got, want)
		}
	}
}

// The tokens are the peer's: numpy's uint64 arithmetic gave these for seed 3, step 2, 48 tokens a step,
// vocabulary 260.
func TestSyntheticTokensAreThePeers(t *testing.T) {
	m := testProgram(0).Manifest
	b := newBatch(m)
	synthesize(b, m, 3, 2)
	for i, want := range []int32{181, 227, 229, 91, 89, 81, 64, 172} {
		if b.Tokens[i] != want {
			t.Errorf("token %d is %d, want %d", i, b.Tokens[i], want)
		}
	}
	if targetCount(b) != 4*11 || b.Targets[0] != b.Tokens[1] || b.Targets[11] != -100 || b.Targets[12] != b.Tokens[13] {
		t.Errorf("targets %v of tokens %v", b.Targets, b.Tokens)
	}
}

func TestGenerate(t *testing.T) {
	program := testProgram(0)
	dir := newCheckpoint(t, program)
	line := "generate --checkpoint " + dir + " --tokens 20 --prompt "
	greedy := must(t, program, line+"ab --greedy")
	if again := must(t, program, line+"ab --temperature 0 --seed 5"); again != greedy {
		t.Errorf("greedy gives %q, then %q", greedy, again)
	}
	sampled := must(t, program, line+"ab --seed 1")
	if again := must(t, program, line+"ab --seed 1"); again != sampled {
		t.Errorf("seed 1 gives %q, then %q", sampled, again)
	}
	if other := must(t, program, line+"ab --seed 2"); other == sampled {
		t.Errorf("seeds 1 and 2 both give %q", sampled)
	}
	if !strings.HasSuffix(greedy, "\n") || len(greedy) < 2 {
		t.Errorf("continuation %q", greedy)
	}
	must(t, program, line, "") // from the end-of-text token
	for _, c := range []struct{ line, want string }{
		{"generate --checkpoint " + dir, "needs --prompt"},
		{line + "x --tokens 0", "--tokens 0"},
		{line + "x --top-p 0", "--top-p 0"},
		{line + "x --temperature -1", "--temperature -1"},
		{line + "x --greedy --temperature 2", "exclude each other"},
		{"generate --prompt x --checkpoint " + t.TempDir(), "tokenizer.json"},
	} {
		refuse(t, program, 2, c.line, c.want)
	}
}

// greedyByHand continues a text by the formulas of the model, in float64.
func TestGenerateContinuesFromItsLastTokens(t *testing.T) {
	program := testProgram(0)
	dir := newCheckpoint(t, program)
	model := loadReference(t, dir)
	prompt := "a text longer than one sequence" // 31 tokens, the context is 12
	var want []byte
	tokens := []int32{}
	for _, c := range []byte(prompt) {
		tokens = append(tokens, int32(c))
	}
	for range 8 {
		window := tokens[max(0, len(tokens)-12):]
		logits := model.logits(window[len(window)-1], window[0])
		best := 0
		for v, x := range logits {
			if x > logits[best] {
				best = v
			}
		}
		if best == 256 {
			break
		}
		if best < 256 {
			want = append(want, byte(best))
		}
		tokens = append(tokens, int32(best))
	}
	got := must(t, program, "generate --greedy --tokens 8 --checkpoint "+dir+" --prompt", prompt)
	if got != string(want)+"\n" {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTextComesInWholeCharacters(t *testing.T) {
	var pieces []string
	w := &runeWriter{out: writerFunc(func(p []byte) { pieces = append(pieces, string(p)) })}
	for _, b := range []byte("aé€😀\xff") {
		if err := w.write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	w.write([]byte("\xf0\x9f")) // a character that never ends
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(pieces, "|")
	if want := "a||é|||€||||😀|\xff||\xf0\x9f\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }
