package train

import (
	"math"
	"slices"
	"strings"
	"testing"

	"moegen/runtime/data"
)

// Every epoch deals out every row once, to steps, micro-batches and ranks in turn, in the order of the seed.
func TestSamplesDealOutEveryRow(t *testing.T) {
	program := testProgram(0)
	dir, text := newCheckpoint(t, program), corpus(t)
	const accumulate, places = 3, 4
	dealt := map[uint64][]int{}
	for _, seed := range []uint64{1, 2} {
		o := &options{data: dataOptions{path: text, extensions: "txt"}, accumulate: accumulate, seed: seed}
		s, err := openSamples(program.Manifest, o, dir)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		rows := s.train.Len()
		for step := 1; step <= 2*rows; step++ {
			targets := 0
			for i := range accumulate {
				b, err := s.microBatch(step, i)
				if err != nil {
					t.Fatal(err)
				}
				targets += targetCount(b)
				for j := range places {
					dealt[seed] = append(dealt[seed], s.row(step, i, j))
				}
			}
			if got := s.targets(step); got != targets {
				t.Fatalf("step %d has %d targets, its batches %d", step, got, targets)
			}
		}
		order := data.Order{Rows: rows, Seed: seed}
		for n, row := range dealt[seed] {
			if row != order.At(n) {
				t.Fatalf("draw %d is row %d, want %d", n, row, order.At(n))
			}
		}
		epoch := slices.Sorted(slices.Values(dealt[seed][:rows]))
		for i, row := range epoch {
			if row != i {
				t.Fatalf("the first epoch of %d rows is %v", rows, epoch)
			}
		}
		// Place j of the batch holds its row.
		b, err := s.microBatch(1, 1)
		if err != nil {
			t.Fatal(err)
		}
		alone := newBatch(program.Manifest)
		for j := range places {
			if err := s.train.Read(order.At(places+j), alone, 0); err != nil {
				t.Fatal(err)
			}
			if seq := program.Manifest.Seq; !slices.Equal(b.Tokens[j*seq:(j+1)*seq], alone.Tokens[:seq]) {
				t.Errorf("place %d does not hold row %d", j, order.At(places+j))
			}
		}
	}
	if slices.Equal(dealt[1], dealt[2]) {
		t.Error("two seeds deal out the same order")
	}
}

func TestBigramEntropy(t *testing.T) {
	// Pairs of "abacabad": ab twice, ba twice, ac, ca, ad once. b and c are always followed by a.
	const want = (2*1 + 2*2) / 7.0 // ab at probability 1/2, ac and ad at 1/4
	for _, cut := range []int{1, 2, 3, 8} {
		var pairs bytePairs
		var before []byte
		for rest := "abacabad"; rest != ""; {
			text := rest[:min(cut, len(rest))]
			pairs.after(before, []byte(text))
			before, rest = []byte(text), rest[len(text):]
		}
		if got := pairs.bits(); math.Abs(got-want) > 1e-15 {
			t.Errorf("in tokens of %d bytes: %g bits, want %g", cut, got, want)
		}
	}
	var none bytePairs
	none.after(nil, []byte("x"))
	if got := none.bits(); got != 0 {
		t.Errorf("one byte: %g bits", got)
	}
}

func TestExtensionsOfData(t *testing.T) {
	program := testProgram(0)
	dir, text := newCheckpoint(t, program), corpus(t)
	write(t, text+"/other.md", strings.Repeat("other ", 10))
	for extensions, want := range map[string]int{"": 41, "md": 1, ".txt": 40, ".md,txt": 41} {
		s, err := openSamples(program.Manifest, &options{data: dataOptions{text, extensions}, accumulate: 1}, dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.text.Documents(); got != want {
			t.Errorf("--extension %q: %d documents, want %d", extensions, got, want)
		}
		s.close()
	}
}
