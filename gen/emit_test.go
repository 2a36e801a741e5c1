package gen

import (
	"encoding/json"
	"errors"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"moegen/internal/golden"
	"moegen/models"
	runtime "moegen/runtime/train"
)

func toyFiles(t *testing.T, ranks int) Files {
	t.Helper()
	planned, err := Plan(toyRequest(t, ranks, RecomputeNone), nil)
	if err != nil {
		t.Fatal(err)
	}
	files, err := planned.Emit(Build{Version: "0.0.0", GoVersion: "go0"})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// unfusedFiles is the same module without the fuse pass: every operation of the model is a call of its own.
func unfusedFiles(t *testing.T, ranks int) Files {
	t.Helper()
	s := newStep(t, toyRequest(t, ranks, RecomputeNone))
	for _, p := range passes {
		if p.name == "fuse" {
			continue
		}
		if err := p.run(s); err != nil {
			t.Fatal(err)
		}
	}
	files, err := (&Planned{Request: s.req, Plan: s.plan}).Emit(Build{Version: "0.0.0", GoVersion: "go0"})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// generated reports whether a file was made from the plan, not copied.
func generated(f File) bool { return !strings.Contains(f.Path, "/") }

// The generated part of a toy module on two ranks is pinned; of the plan, whose text is long, its hash, which
// stands in the manifest.
func TestEmitGolden(t *testing.T) {
	var archive txtar.Archive
	for _, f := range toyFiles(t, 2) {
		if generated(f) && f.Path != "plan.txt" {
			archive.Files = append(archive.Files, txtar.File{Name: f.Path, Data: f.Data})
		}
	}
	golden.File(t, "testdata/toy_x2.txtar", txtar.Format(&archive))
}

// The same request gives the same bytes, sorted by path.
func TestEmitIsDeterministic(t *testing.T) {
	first := toyFiles(t, 2)
	if !slices.IsSortedFunc(first, func(a, b File) int { return strings.Compare(a.Path, b.Path) }) {
		t.Error("files are not sorted by path")
	}
	for range 5 {
		if !reflect.DeepEqual(toyFiles(t, 2), first) {
			t.Fatal("a second run gave other files")
		}
	}
}

// A module passes vet, which compiles all of it, with nothing but the toolchain, and is formatted.
func TestEmittedModuleVets(t *testing.T) {
	t.Run("as planned", func(t *testing.T) { vet(t, toyFiles(t, 2), ".", "./runtime/...") })
	t.Run("unfused", func(t *testing.T) { vet(t, unfusedFiles(t, 2), ".") })
	t.Run("for GPUs", func(t *testing.T) {
		files, err := gpuPlan(t).Emit(Build{Version: "0.0.0", GoVersion: "go0"})
		if err != nil {
			t.Fatal(err)
		}
		vet(t, files, ".", "./runtime/...")
	})
}

func gpuPlan(t *testing.T) *Planned {
	t.Helper()
	m, _ := models.Lookup("tiny-qwen3-moe")
	planned, err := Plan(Request{Model: m, Target: "h100", DType: "bf16", Seq: 64, MicroBatch: 1, GPUs: 1, Recompute: RecomputeNone}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return planned
}

// Beside the machine code and what is said of it, a module for GPUs is the same with an assembler and without, the hash of
// the plan included.
func TestEmittedKernels(t *testing.T) {
	planned := gpuPlan(t)
	var given string
	with, err := planned.Emit(Build{Version: "0.0.0", GoVersion: "go0", Assemble: func(text string) ([]byte, string, error) {
		given = text
		return []byte("machine code"), "13.0", nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	without, err := planned.Emit(Build{Version: "0.0.0", GoVersion: "go0"})
	if err != nil {
		t.Fatal(err)
	}
	byPath := map[string]string{}
	for _, f := range without {
		byPath[f.Path] = string(f.Data)
	}
	if given == "" || given != byPath["kernels.ptx"] {
		t.Errorf("assembled was a text of %d bytes, kernels.ptx has %d", len(given), len(byPath["kernels.ptx"]))
	}
	var differ []string
	for _, f := range with {
		if string(f.Data) != byPath[f.Path] {
			differ = append(differ, f.Path)
		}
		if f.Path == "kernels.cubin" && (string(f.Data) != "machine code" || byPath[f.Path] != "") {
			t.Errorf("kernels.cubin holds %q with an assembler, %q without", f.Data, byPath[f.Path])
		}
		if f.Path == "program.go" && !strings.Contains(string(f.Data), `"ptxas": "13.0",`) {
			t.Error("the manifest does not name the assembler")
		}
	}
	if want := []string{"README.md", "kernels.cubin", "program.go"}; len(with) != len(without) || !slices.Equal(differ, want) {
		t.Errorf("%v differ, not %v", differ, want)
	}
	refused := errors.New("refused")
	if files, err := planned.Emit(Build{Assemble: func(string) ([]byte, string, error) { return nil, "", refused }}); err != refused || files != nil {
		t.Errorf("%d files, %v, of an assembler that fails", len(files), err)
	}
}

func vet(t *testing.T, files Files, packages ...string) {
	t.Helper()
	folder := t.TempDir()
	for _, f := range files {
		if strings.HasSuffix(f.Path, ".go") && !strings.HasPrefix(f.Path, "vendor/") {
			if formatted, err := format.Source(f.Data); err != nil || string(formatted) != string(f.Data) {
				t.Errorf("%s is not formatted (%v)", f.Path, err)
			}
		}
		name := filepath.Join(folder, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", append([]string{"vet"}, packages...)...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=vendor", "GOPROXY=off", "GOWORK=off", "GOTOOLCHAIN=local", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Nothing of the module imports moegen, and no test, test data or generator travels with it.
func TestEmittedModuleStandsAlone(t *testing.T) {
	for _, f := range toyFiles(t, 1) {
		if strings.HasSuffix(f.Path, "_test.go") || strings.Contains(f.Path, "testdata") || strings.Contains(f.Path, "/asm/") {
			t.Errorf("%s travels along", f.Path)
		}
		if !strings.HasSuffix(f.Path, ".go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), f.Path, f.Data, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range file.Imports {
			if strings.HasPrefix(i.Path.Value, `"moegen`) {
				t.Errorf("%s imports %s", f.Path, i.Path.Value)
			}
		}
	}
}

// However many layers a model has, it is a few functions and a row a layer.
func TestEmitStaysSmall(t *testing.T) {
	m, _ := models.Lookup("qwen3-30b-a3b") // 48 layers
	planned, err := Plan(Request{Model: m, Target: "cpu", DType: "f32", Seq: 4096, MicroBatch: 1, GPUs: 8, Recompute: RecomputeNone}, nil)
	if err != nil {
		t.Fatal(err)
	}
	files, err := planned.Emit(Build{Version: "0.0.0", GoVersion: "go0"})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		lines, limit := strings.Count(string(f.Data), "\n"), 750
		if generated(f) && strings.HasSuffix(f.Path, ".go") && lines > limit {
			t.Errorf("%s has %d lines, more than %d", f.Path, lines, limit)
		}
	}
}

// gen and the runtime mean the same manifest.
func TestManifestIsTheRuntimes(t *testing.T) {
	ours, theirs := reflect.TypeFor[Manifest](), reflect.TypeFor[runtime.Manifest]()
	if ours.NumField() != theirs.NumField() {
		t.Fatalf("%d fields here, %d in the runtime", ours.NumField(), theirs.NumField())
	}
	for i := range ours.NumField() {
		a, b := ours.Field(i), theirs.Field(i)
		if a.Name != b.Name || a.Type != b.Type || a.Tag != b.Tag {
			t.Errorf("field %d is %s %s %s here, %s %s %s in the runtime", i, a.Name, a.Type, a.Tag, b.Name, b.Type, b.Tag)
		}
	}
	m := Manifest{Model: "a `name`", Config: "{\n\t\"x\": \"é\x01\"\n}", Layers: 3, AuxCoef: 0.001}
	got := runtime.MustManifest(runtime.ManifestMark + "0\n" + runtime.ManifestMark + markedText(m))
	want, _ := json.Marshal(m)
	if have, _ := json.Marshal(got); string(have) != string(want) {
		t.Errorf("read back %s, want %s", have, want)
	}
}

func markedText(m Manifest) string {
	text := m.text()
	return strconv.Itoa(len(text)) + "\n" + text
}

func TestGoName(t *testing.T) {
	for name, want := range map[string]string{
		"tokens_T":                  "tokens_T",
		"layers.3.qkv_TQ":           "qkv_TQ",
		"d.layers.3.qkv_TQ":         "dQkv_TQ",
		"layers.11.moe.gate_up":     "moeGateUp",
		"layers.3.attention_in.y":   "attentionInY",
		"grad.layers.0.moe.down":    "gradMoeDown",
		"layers.0.h_TD.2":           "h2_TD",
		"layers.0.h_TD.2.received":  "h2Received_TD",
		"moment1.embed.tokens":      "moment1EmbedTokens",
		"head_row":                  "headRow",
		"sum_squares.layers.1.norm": "sumSquaresNorm",
	} {
		if got := goName(name); got != want {
			t.Errorf("goName(%s) = %s, want %s", name, got, want)
		}
	}
	s := newScope()
	for _, want := range []string{"x_TD", "x2_TD", "x3_TD"} {
		if got := s.fresh("x_TD"); got != want {
			t.Errorf("fresh name %s, want %s", got, want)
		}
	}
	for _, taken := range []string{"range", "len", "host"} {
		if got := s.fresh(taken); got != taken+"2" {
			t.Errorf("fresh name for %s is %s", taken, got)
		}
	}
}

// A program's segments fold into loops.
func TestRepeats(t *testing.T) {
	kinds := map[rune]*kind{}
	for program, want := range map[string]string{
		"":           "",
		"e":          "e",
		"eaaah":      "e 3(a) h",
		"eamamamh":   "e 3(am) h",
		"eamamadadh": "e 2(am) 2(ad) h",
		"eamadamh":   "e a m a d a m h",
		"abab":       "2(ab)",
	} {
		var segments []*segment
		for _, c := range program {
			if kinds[c] == nil {
				kinds[c] = &kind{name: string(c)}
			}
			segments = append(segments, &segment{kind: kinds[c]})
		}
		var got []string
		for _, r := range repeats(segments) {
			text := ""
			for _, k := range r.kinds {
				text += k.name
			}
			if r.times > 1 {
				text = strconv.Itoa(r.times) + "(" + text + ")"
			}
			got = append(got, text)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s folds into %s, want %s", program, strings.Join(got, " "), want)
		}
	}
}
