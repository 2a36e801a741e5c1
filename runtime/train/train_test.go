package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"moegen/runtime/checkpoint"
	"moegen/runtime/data"
	"moegen/runtime/metrics"
)

// corpus is a folder of documents that a bigram model can learn something from.
func corpus(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 40 {
		text := strings.Repeat(fmt.Sprintf("line %d of many.\n", i*i%17), 3+i%5)
		write(t, filepath.Join(dir, fmt.Sprintf("%02d.txt", i)), text)
	}
	return dir
}

// runFiles are all files of a folder by their names.
func runFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// sameFiles fails the test unless two folders hold the same bytes.
func sameFiles(t *testing.T, got, want string) {
	t.Helper()
	a, b := runFiles(t, got), runFiles(t, want)
	if len(b) == 0 || len(a) != len(b) {
		t.Errorf("%s has %d files, %s has %d", got, len(a), want, len(b))
	}
	for name, text := range b {
		if a[name] != text {
			t.Errorf("%s differs between %s and %s", name, got, want)
		}
	}
}

// events reads the log of a run, without what depends on the clock and the machine.
func events(t *testing.T, out string) []metrics.Event {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var list []metrics.Event
	for line := range bytes.Lines(text) {
		var e metrics.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if e.Loss != nil && (e.TokensPerSecond <= 0 || e.PeakRSSBytes <= 0) {
			t.Errorf("%s: no speed or no memory", line)
		}
		e.TokensPerSecond, e.PeakRSSBytes = 0, 0
		list = append(list, e)
	}
	return list
}

func format(list []metrics.Event) string {
	var text strings.Builder
	for _, e := range list {
		line, _ := json.Marshal(e)
		fmt.Fprintf(&text, "%s\n", line)
	}
	return text.String()
}

// steps are the names of the checkpoints in an output folder.
func steps(t *testing.T, out string) string {
	t.Helper()
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// Losses, gradient norms, learning rates and the final parameters of a run with everything in it (two ranks, two
// micro-batches a step, warm-up, clipping, decay, auxiliary loss, validation) are those of plain loops in float64.
func TestTrainIsTheReference(t *testing.T) {
	const seq, aux, accumulate, last = 12, 0.01, 2, 6
	program := testProgram(aux)
	dir, text, out := newCheckpoint(t, program), corpus(t), filepath.Join(t.TempDir(), "run")
	stdout := must(t, program, fmt.Sprintf("train --checkpoint %s --data %s --out %s --steps %d --accumulate %d --lr 0.02 --min-lr 0.005"+
		" --schedule cosine --warmup 2 --weight-decay 0.1 --clip 0.5 --seed 9 --val-fraction 0.2 --eval-every 4 --save-every 3", dir, text, out, last, accumulate))

	o := &options{
		data: dataOptions{path: text}, steps: last, accumulate: accumulate, seed: 9, lr: 0.02, minLR: 0.005, schedule: "cosine", warmup: 2,
		beta1: 0.9, beta2: 0.999, eps: 1e-8, decay: 0.1, clip: 0.5, valFraction: 0.2,
	}
	s, err := openSamples(program.Manifest, o, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	model := loadReference(t, dir)
	var want []metrics.Event
	validate := func(step int) {
		loss := model.validation(t, s, seq)
		want = append(want, metrics.Event{Step: step, ValLoss: &loss})
	}
	validate(0)
	for step := 1; step <= last; step++ {
		var batches []data.Batch
		targets := 0
		for i := range accumulate {
			b, err := s.microBatch(step, i)
			if err != nil {
				t.Fatal(err)
			}
			batches = append(batches, data.Batch{Tokens: slices.Clone(b.Tokens), Targets: slices.Clone(b.Targets), Starts: slices.Clone(b.Starts)})
			targets += targetCount(b)
		}
		lr := o.rates().rate(step)
		_, auxLoss, _ := model.gradient(batches, seq, aux)
		loss, norm := model.step(step, batches, seq, aux, lr, o.optimizer())
		want = append(want, metrics.Event{Step: step, Loss: &loss, AuxLoss: &auxLoss, GradNorm: &norm, LR: &lr, Targets: targets})
		if step == 4 || step == last {
			validate(step)
		}
	}
	got := events(t, out)
	if len(got) != len(want) {
		t.Fatalf("events\n%swant\n%s", format(got), format(want))
	}
	// float32 against float64, see TestProbeIsTheReference.
	near := func(a, b *float64) bool {
		return (a == nil) == (b == nil) && (a == nil || math.Abs(*a-*b) <= 2e-5*math.Abs(*b))
	}
	for i, w := range want {
		g := got[i]
		if g.Step != w.Step || g.Targets != w.Targets || !near(g.Loss, w.Loss) || !near(g.AuxLoss, w.AuxLoss) ||
			!near(g.ValLoss, w.ValLoss) || !near(g.GradNorm, w.GradNorm) || !near(g.LR, w.LR) {
			t.Errorf("event\n%swant\n%s", format(got[i:i+1]), format(want[i:i+1]))
		}
	}
	trained := loadReference(t, filepath.Join(out, "step-6"))
	for _, name := range names {
		closeTo(t, name, trained.params[name], model.params[name], 2e-5)
	}
	if got := steps(t, out); got != "events.jsonl step-3 step-6" {
		t.Errorf("output folder holds %s", got)
	}
	for _, want := range []string{"tokens in 40 documents", "step 0/6  validation loss", "step 1/6  loss", "step 6/6  validation loss", "saved " + filepath.Join(out, "step-6")} {
		if !strings.Contains(stdout, want) {
			t.Errorf("output lacks %q:\n%s", want, stdout)
		}
	}
	// The checkpoint is complete: it can be evaluated and generated from.
	must(t, program, "generate --tokens 3 --prompt x --checkpoint "+filepath.Join(out, "step-3"))
	must(t, program, "eval --checkpoint "+filepath.Join(out, "step-6")+" --data "+text)
}

// validation is the mean cross-entropy over the validation rows.
func (r *reference) validation(t *testing.T, s *samples, seq int) float64 {
	t.Helper()
	var batches []data.Batch
	for i := range s.validation.Len() {
		n := len(s.batch.Tokens) / seq // the other rows stay without targets
		b := newBatch(s.manifest)
		for j := range n {
			at := s.validation.Len()
			if j == 0 {
				at = i
			}
			if err := s.validation.Read(at, b, j); err != nil {
				t.Fatal(err)
			}
		}
		batches = append(batches, b)
	}
	loss, _, _ := r.gradient(batches, seq, 0)
	return loss
}

func TestEvalIsTheReference(t *testing.T) {
	program := testProgram(0)
	dir := newCheckpoint(t, program)
	const text = "abracadabra, abracadabra"
	path := write(t, filepath.Join(t.TempDir(), "text"), text)
	var report evalReport
	if err := json.Unmarshal([]byte(must(t, program, "eval --json --bigram --checkpoint "+dir+" --data "+path)), &report); err != nil {
		t.Fatal(err)
	}
	// Rows of 12 tokens: 24 bytes, then the end-of-text token in a row of its own, which has no target.
	model, nats := loadReference(t, dir), 0.0
	tokens := append([]byte(text), 0)
	ids := make([]int32, len(tokens))
	for i, b := range tokens {
		ids[i] = int32(b)
	}
	ids[24] = 256
	for i := range 24 {
		logits := model.logits(ids[i], ids[i/12*12])
		sum := 0.0
		for _, x := range logits {
			sum += math.Exp(x)
		}
		nats += math.Log(sum) - logits[ids[i+1]]
	}
	if report.Targets != 24 || report.Bytes != 23 {
		t.Errorf("%d targets, %d bytes; want 24 and 23", report.Targets, report.Bytes)
	}
	closeTo(t, "loss", []float64{report.Loss}, []float64{nats / 24}, 2e-6)
	closeTo(t, "perplexity", []float64{report.Perplexity}, []float64{math.Exp(nats / 24)}, 2e-5)
	closeTo(t, "bits per byte", []float64{report.BitsPerByte}, []float64{nats / math.Ln2 / 23}, 2e-6)
	// Of the 23 pairs a is followed by b 4 times, by c and d 2 times each and by "," once; all others are certain.
	bits := (4*math.Log2(9./4) + 2*2*math.Log2(9./2) + math.Log2(9)) / 23
	closeTo(t, "bigram", []float64{*report.BigramBits}, []float64{bits}, 1e-12)

	must(t, program, "eval --batches 1 --checkpoint "+dir+" --data "+path)
}

// A run that is stopped between two steps and taken up again is the same run: bits of every file, and the log.
func TestResumeAfterTheFirstHalf(t *testing.T) {
	program := testProgram(0.01)
	dir, text := newCheckpoint(t, program), corpus(t)
	line := "train --checkpoint " + dir + " --data " + text + " --steps 8 --accumulate 2 --lr 0.01 --val-fraction 0.2 --eval-every 2 --save-every 4 --out "
	whole, half := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "half")
	must(t, program, line+whole)

	// As after a power cut: step 4 was saved, steps 5 to 7 were logged, a line is torn.
	if err := os.CopyFS(half, os.DirFS(whole)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(half, "step-8")); err != nil {
		t.Fatal(err)
	}
	log := runFiles(t, whole)["events.jsonl"]
	write(t, filepath.Join(half, "events.jsonl"), log[:strings.Index(log, `{"step":8`)+15])
	must(t, program, "train --resume --out "+half)
	sameFiles(t, filepath.Join(half, "step-8"), filepath.Join(whole, "step-8"))
	if got, want := format(events(t, half)), format(events(t, whole)); got != want {
		t.Errorf("events after resuming\n%swant\n%s", got, want)
	}

	// From a checkpoint elsewhere, into a new folder; with options given again; with the value behind a space.
	branch := filepath.Join(t.TempDir(), "branch")
	must(t, program, line+branch+" --resume "+filepath.Join(whole, "step-4"))
	sameFiles(t, filepath.Join(branch, "step-8"), filepath.Join(whole, "step-8"))

	// Nothing is left to do.
	if got := must(t, program, "train --resume --out "+half); !strings.Contains(got, "all 8 steps are done") {
		t.Errorf("resuming a complete run says %q", got)
	}
	refuse(t, program, 2, line+whole, "exists and is not empty", "--resume")
	refuse(t, program, 2, "train --out "+whole+" --resume="+filepath.Join(whole, "step-4"), "step-8", "another --out")
}

// A run remembers its data by an absolute path.
func TestResumeFromAnotherFolder(t *testing.T) {
	program := testProgram(0)
	dir, text, out := newCheckpoint(t, program), corpus(t), filepath.Join(t.TempDir(), "run")
	t.Chdir(filepath.Dir(text))
	must(t, program, "train --steps 2 --save-every 1 --checkpoint "+dir+" --out "+out+" --data "+filepath.Base(text))
	if err := os.RemoveAll(filepath.Join(out, "step-2")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if got := must(t, program, "train --resume --out "+out); !strings.Contains(got, "going on after step 1 from "+filepath.Join(out, "step-1")) {
		t.Errorf("output %q", got)
	}
}

// At a constant rate a run can be made longer.
func TestResumeWithMoreSteps(t *testing.T) {
	program := testProgram(0)
	dir, text := newCheckpoint(t, program), corpus(t)
	line := "train --checkpoint " + dir + " --data " + text + " --schedule constant --out "
	long, short := filepath.Join(t.TempDir(), "long"), filepath.Join(t.TempDir(), "short")
	must(t, program, line+long+" --steps 6")
	must(t, program, line+short+" --steps 3")
	must(t, program, "train --resume --steps 6 --out "+short)
	sameFiles(t, filepath.Join(short, "step-6"), filepath.Join(long, "step-6"))
}

func TestResumeRefusesWhatChangesTheResult(t *testing.T) {
	program := testProgram(0)
	dir, text, out := newCheckpoint(t, program), corpus(t), filepath.Join(t.TempDir(), "run")
	must(t, program, "train --checkpoint "+dir+" --data "+text+" --steps 2 --save-every 1 --val-fraction 0.1 --out "+out)
	if err := os.RemoveAll(filepath.Join(out, "step-2")); err != nil {
		t.Fatal(err)
	}
	before := runFiles(t, out)
	line := "train --resume --out " + out + " "
	for option, was := range map[string]string{
		"--steps 3": "2", "--accumulate 2": "1", "--seed 1": "0", "--lr 1e-4": "5e-05", "--min-lr 1e-6": "0", "--schedule cosine": "linear",
		"--warmup 1": "0", "--beta1 0.8": "0.9", "--beta2 0.99": "0.999", "--eps 1e-6": "1e-08", "--weight-decay 0.1": "0", "--clip 2": "1",
		"--val-fraction 0.2": "0.1",
	} {
		refuse(t, program, 2, line+option, strings.Fields(option)[0]+" ", "would change the result", "step-1 was saved with "+was)
	}
	refuse(t, program, 2, line+"--data "+corpus(t)+"/01.txt", "--data ", "is not the data")
	refuse(t, program, 2, line+"--checkpoint "+t.TempDir(), "--checkpoint ", "started from "+dir)
	other := newBigram(1, 4, 12, 0).program()
	refuse(t, other, 2, line, "--micro-batch 2, this one has 4")
	other = testProgram(0)
	other.Manifest.PlanHash = "another"
	refuse(t, other, 2, line, "plan bigram, this one has another")
	refuse(t, program, 2, "train --out "+t.TempDir()+" --resume", "holds no checkpoint")
	refuse(t, program, 2, "train --out "+filepath.Join(t.TempDir(), "new")+" --resume="+dir, "no training state")
	for name, text := range runFiles(t, out) {
		if before[name] != text {
			t.Errorf("%s was changed by a refused command", name)
		}
	}
	must(t, program, line+"--lr 0.00005 --eval-every 1 --log-every 7 --checkpoint "+dir) // the same, or of no consequence
}

// A run whose numbers overflow stops, says so, and keeps what was good.
func TestRunStopsWhenNumbersBreak(t *testing.T) {
	program := testProgram(0)
	dir, text, out := newCheckpoint(t, program), corpus(t), filepath.Join(t.TempDir(), "run")
	r := command(program, "train --checkpoint "+dir+" --data "+text+" --steps 9 --schedule constant --lr 3e38 --warmup 3 --clip 0 --save-every 1 --out "+out)
	if r.code != 1 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "of step 3 is ") {
		t.Fatalf("exit status %d, stderr %q", r.code, r.stderr)
	}
	last := filepath.Join(out, "step-2")
	if !strings.Contains(r.stderr, "the last checkpoint is "+last) {
		t.Errorf("stderr %q does not name %s", r.stderr, last)
	}
	if got := steps(t, out); got != "events.jsonl step-1 step-2" {
		t.Errorf("output folder holds %s", got)
	}
}

// A run whose checkpoint would not fit on any disk does not begin.
func TestNoRoomForACheckpoint(t *testing.T) {
	shape := []int{1 << 50}
	params := []checkpoint.Param{{Name: "w", Shape: shape, Pieces: []checkpoint.Piece{{Name: "w", Shape: shape}}}}
	form, err := checkpoint.New([]byte("{}"), params)
	if err != nil {
		t.Fatal(err)
	}
	run := trainer{options: &options{out: t.TempDir()}, form: form}
	if err := run.checkSpace(params); err == nil || !strings.Contains(err.Error(), "left, and a checkpoint takes 4096 TiB") {
		t.Errorf("got %v", err)
	}
}

func TestTrainRefusesBadInput(t *testing.T) {
	program := testProgram(0)
	dir, text, tmp := newCheckpoint(t, program), corpus(t), t.TempDir()
	file := write(t, filepath.Join(tmp, "file"), "text")
	withConfig := func(old, new string) string {
		broken := newCheckpoint(t, program)
		path := filepath.Join(broken, "config.json")
		config, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, strings.Replace(string(config), old, new, 1))
		return broken
	}
	line := func(checkpoint, data, out, more string) string {
		return "train --steps 1 --checkpoint " + checkpoint + " --data " + data + " --out " + out + " " + more
	}
	out := filepath.Join(tmp, "out")
	for _, c := range []struct{ line, want string }{
		{line(filepath.Join(tmp, "none"), text, out, ""), "none holds no config.json"},
		{line(file, text, out, ""), "is a file, and a checkpoint is a folder"},
		{line(dir, os.DevNull, out, ""), "is neither a file nor a folder"},
		{line(withConfig(`10000.0`, `500000.0`), text, out, ""), "rope_theta is 500000, this binary was built for 10000"},
		{line(dir, filepath.Join(tmp, "none"), out, ""), "none does not exist"},
		{line(dir, write(t, filepath.Join(tmp, "empty"), ""), out, ""), "holds no text"},
		{line(dir, text, out, "--extension .go"), "holds no .go"},
		{line(dir, text, filepath.Join(file, "out"), ""), "lies below, a file"},
		{line(dir, text, file, ""), "choose a folder"},
		{line(dir, text, out, "--steps 0"), "--steps 0"},
		{line(dir, text, out, "--lr -1"), "--lr -1"},
		{line(dir, text, out, "--lr NaN"), "--lr NaN"},
		{line(dir, text, out, "--beta2 1"), "--beta2 1"},
		{line(dir, text, out, "--schedule step"), "--schedule step"},
		{line(dir, text, out, "--warmup 2"), "--warmup 2"},
		{line(dir, text, out, "--val-fraction 1"), "--val-fraction 1"},
		{line(dir, file, out, "--val-fraction 0.5"), "too few"},
		{line(dir, text, out, "--accumulate 0"), "--accumulate 0"},
	} {
		refuse(t, program, 2, c.line, c.want)
	}
	// The weights' shapes are looked at when they are loaded; nothing is left then either.
	narrow := newBigram(2, 2, 12, 0).program()
	narrow.Params[2].Shape = []int{testVocab, testHidden / 2}
	narrow.Params[2].Pieces[0].Shape = narrow.Params[2].Shape
	refuse(t, narrow, 2, line(dir, text, out, ""), `tensor "lm_head.weight" has shape [260 8], the program needs [260 4]`)
	tight := newBigram(2, 2, 12, 0).program()
	tight.Manifest.Vocab = 200
	refuse(t, tight, 2, line(dir, text, out, ""), "a tokenizer of 257 tokens, this binary was built for a vocabulary of 200")
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Errorf("%s was left behind", out)
	}
}
