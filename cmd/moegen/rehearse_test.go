package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"moegen/internal/golden"
	"moegen/runtime/safetensors"
)

// expertName matches the name of an expert's tensor.
var expertName = regexp.MustCompile(`^(.*\.experts\.)(\d+)(\..*)$`)

// tiedTo copies a case with the weights of expert e those of expert e mod local, and with batches in which every rank has the rows of
// rank 0, of so many: what a rank that is rehearsed takes the others to have.
func tiedTo(t *testing.T, c *golden.Case, local, rows int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	copyFile(t, filepath.Join(c.Dir, "config.json"), filepath.Join(dir, "config.json"))
	var infos []safetensors.Info
	for name, w := range c.Weights {
		infos = append(infos, safetensors.Info{Name: name, DType: safetensors.F32, Shape: w.Shape})
	}
	w, err := safetensors.Create(dir, safetensors.Arrange(infos, "model", safetensors.ShardBytes))
	if err != nil {
		t.Fatal(err)
	}
	for name := range c.Weights {
		from := name
		if m := expertName.FindStringSubmatch(name); m != nil {
			e, _ := strconv.Atoi(m[2])
			from = fmt.Sprint(m[1], e%local, m[3])
		}
		var values []float32
		for _, x := range c.Weights[from].Data {
			values = append(values, float32(x))
		}
		if err := w.WriteFloat32(name, 0, values); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	for _, all := range []bool{true, false} {
		writeBatches(t, c, filepath.Join(dir, map[bool]string{true: "batch.safetensors", false: "rank.safetensors"}[all]), rows, all)
	}
	return dir
}

// writeBatches writes the first batch of a case: the first rows, again and again where all ranks are to have them.
func writeBatches(t *testing.T, c *golden.Case, path string, rows int, all bool) {
	t.Helper()
	batch := golden.Tensors(t, filepath.Join(c.Dir, "batch.safetensors"))
	b := c.Batch(0)
	count := rows
	if all {
		count = b.Rows
	}
	shape := []int{1, count, b.Seq}
	layout := safetensors.Layout{Shards: []safetensors.Shard{{File: filepath.Base(path), Tensors: []safetensors.Info{
		{Name: "input_ids", DType: safetensors.I64, Shape: shape}, {Name: "labels", DType: safetensors.I64, Shape: shape}}}}}
	w, err := safetensors.Create(filepath.Dir(path), layout)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"input_ids", "labels"} {
		var values []int64
		for i := range count * b.Seq {
			values = append(values, int64(batch[name].Data[i%(rows*b.Seq)]))
		}
		if err := w.WriteInt64(name, 0, values); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A rank of four that is rehearsed computes what one rank computes of the model whose expert e has the weights of its local expert
// e mod L, and is as far from that in float32 as one rank is in bfloat16: losses, logits, hidden states and gradients, of experts the
// sum over those that are tied, of all else its own part.
func TestRehearsedRankIsOfATiedModel(t *testing.T) {
	const ranks = 4
	c := golden.Load(t, "qwen3-moe-ranks")
	setting := fewerSteps(t, c, 1)
	b := c.Batch(0)
	rows, local := b.Rows/ranks, 8/ranks
	tied := *c
	tied.Dir = tiedTo(t, c, local, rows)
	one := []string{"--case", setting, "--batch", filepath.Join(tied.Dir, "rank.safetensors")}
	size := []string{"--seq", fmt.Sprint(b.Seq), "--micro-batch", fmt.Sprint(rows)}
	exact := probe(t, build(t, "cpu", tied.Dir, size...), &tied, one...)
	plain := probe(t, build(t, "h100", tied.Dir, append(size, "--no-cubin")...), &tied, append(one, "--device", "sim")...)
	rehearsed := probe(t, onRanks(t, &tied, ranks, ranks), &tied, "--case", setting, "--device", "sim", "--rehearse")
	sumTied(exact, local)
	sumTied(plain, local)
	known, all := 0, 0 // gradients of what all ranks hold
	for name, want := range exact {
		if strings.HasPrefix(name, "param") || strings.HasPrefix(name, "topk") || name == "grad_norms" {
			continue // of the update's results a rank has but its part
		}
		got, one := rehearsed[name].Data, plain[name].Data
		if m := expertName.FindStringSubmatch(name); m != nil && strings.HasPrefix(name, "grad.") {
			if e, _ := strconv.Atoi(m[2]); e >= local {
				continue
			}
			got = slices.Clone(got)
			for i := range got {
				got[i] *= ranks
			}
		} else if len(got) > len(want.Data) {
			got = got[:len(want.Data)] // those of rank 0; the others repeat it
		} else if strings.HasPrefix(name, "grad.") { // of which a rank has its part
			all += len(got)
			var lists [3][]float64
			for i, x := range got {
				if x == x {
					lists[0], lists[1], lists[2] = append(lists[0], x), append(lists[1], want.Data[i]), append(lists[2], one[i])
				}
			}
			if known += len(lists[0]); lists[0] == nil {
				continue
			}
			got, want.Data, one = lists[0], lists[1], lists[2]
		}
		// Partial sums of a token's experts are rounded once more.
		if e, yardstick := apart(got, want.Data), apart(one, want.Data); !(e <= 2*yardstick+0x1p-8) {
			t.Errorf("%s of a rehearsed rank differs by %.2g from float32, that of one rank by %.2g", name, e, yardstick)
		}
	}
	if known < all/ranks || known > all*2/ranks {
		t.Errorf("a rehearsed rank of %d has %d of %d gradients of what all ranks hold", ranks, known, all)
	}
}

// sumTied adds the gradients of tied experts to the first one's.
func sumTied(out map[string]golden.Tensor, local int) {
	for name, x := range out {
		m := expertName.FindStringSubmatch(name)
		if m == nil || !strings.HasPrefix(name, "grad.") {
			continue
		}
		e, _ := strconv.Atoi(m[2])
		if e < local {
			continue
		}
		first := out[fmt.Sprint(m[1], e%local, m[3])]
		for i, v := range x.Data {
			first.Data[i] += v
		}
	}
}
