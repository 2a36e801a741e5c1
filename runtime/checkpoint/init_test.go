package checkpoint

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"moegen/runtime/safetensors"
)

// Against Python's statistics.NormalDist().inv_cdf, recorded.
func TestQuantile(t *testing.T) {
	for _, c := range [][2]float64{
		{0.5, 0}, {0.4, -0.2533471031357998}, {0.93, 1.4757910281791708}, {0.0743, -1.4444942357951431},
		{0.97, 1.8807936081512504}, {0.001, -3.090232306167813}, {1e-10, -6.361340902404056},
		{1e-12, -7.034483825301132}, {3e-17, -8.365225621581438}, {0.9999999, 5.199337582290662},
		{0.5 + 0x1p-40, 2.279765135091112e-12},
	} {
		// Near 1 the rounding of 1-p, a relative 1e-9 of the tail 1e-7 at most, is the same in both; the rest is a
		// few units in the last place of float64.
		if got := quantile(c[0]); math.Abs(got-c[1]) > 1e-14*math.Abs(c[1]) {
			t.Errorf("quantile(%v) = %v, want %v", c[0], got, c[1])
		}
	}
	for x := 1e-300; x < 1e300; x *= 1.37e3 {
		// math.Log is within one unit in the last place; ours adds a few roundings of the series.
		if got, want := logarithm(x), math.Log(x); math.Abs(got-want) > 4e-16*math.Max(1, math.Abs(want)) {
			t.Errorf("logarithm(%v) = %v, want %v", x, got, want)
		}
	}
}

// The very bits, computed in Python from the definition (SHA-256, splitmix64, inv_cdf), recorded: they are what
// a seed means, whatever the version of this program.
func TestInitBits(t *testing.T) {
	params := qwen(false)
	list := tensors(params)
	at := func(name string) *tensor {
		return &list[slices.IndexFunc(list, func(t tensor) bool { return t.Name == name })]
	}
	check := func(name string, first int, want []uint32) {
		x := make([]float32, len(want))
		at(name).random(7, first, x)
		for i := range want {
			if got := math.Float32bits(x[i]); got != want[i] {
				t.Errorf("%s[%d] = %#x, want %#x", name, first+i, got, want[i])
			}
		}
	}
	check("lm_head.weight", 0, []uint32{0xbc32b20e, 0x3c9b67e7, 0xbc97201e, 0x3c6313ca})
	check("model.layers.1.mlp.experts.3.up_proj.weight", 28, []uint32{0x3b8c2c41, 0xbbfe875e, 0x3bb55483, 0xbaf28b28})
}

func TestInitDistribution(t *testing.T) {
	const n, std = 1 << 20, 0.02
	p := Param{Name: "w", Shape: []int{n}, Pieces: []Piece{{Name: "w", Shape: []int{n}}}, Init: Init{Kind: InitNormal, Std: std}}
	x := make([]float32, n)
	list := tensors([]Param{p})
	list[0].random(1, 0, x)
	var moments [4]float64
	beyond := 0
	for _, v := range x {
		z := float64(v) / std
		for k := range moments {
			moments[k] += math.Pow(z, float64(k+1)) / n
		}
		if math.Abs(z) > 3 {
			beyond++
		}
	}
	// Means of z, z², z³, z⁴ are 0, 1, 0, 3 with variances 1, 2, 15, 96 over n: five standard deviations.
	for k, want := range []float64{0, 1, 0, 3} {
		if limit := 5 * math.Sqrt([]float64{1, 2, 15, 96}[k]/n); math.Abs(moments[k]-want) > limit {
			t.Errorf("moment %d is %v, want %v ± %v", k+1, moments[k], want, limit)
		}
	}
	// P(|z| > 3) = 0.0026998: 2831 of n expected, with a standard deviation of 53.
	if beyond < 2831-5*53 || beyond > 2831+5*53 {
		t.Errorf("%d values beyond three standard deviations", beyond)
	}
}

// A row that is zero is zero in every piece of its tensor, and the others are what they would be without it.
func TestInitZeroRows(t *testing.T) {
	const rows, width = 5, 7
	p := Param{Name: "w", Shape: []int{rows, width}, Pieces: []Piece{{Name: "w", Shape: []int{rows, width}}}, Init: Init{Kind: InitNormal, Std: 1}}
	var want [rows * width]float32
	list := tensors([]Param{p})
	list[0].random(1, 0, want[:])
	p.Init.ZeroRows = []int{1, 4}
	clear(want[1*width : 2*width])
	clear(want[4*width:])
	list = tensors([]Param{p})
	for first := range want {
		for _, n := range []int{1, 3, len(want)} {
			n = min(n, len(want)-first)
			got := slices.Repeat([]float32{2}, n)
			list[0].random(1, first, got)
			if !slices.Equal(got, want[first:first+n]) {
				t.Fatalf("elements %d to %d are %v, want %v", first, first+n, got, want[first:first+n])
			}
		}
	}
}

// SaveRandom, Fill on any number of ranks and Load of what SaveRandom wrote agree to the bit.
func TestRandomIsTheSameEverywhere(t *testing.T) {
	params := qwen(false)
	c, err := New([]byte(`{"dtype": "float32"}`), params, File{"tokenizer.json", []byte("{}\n")})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "init")
	if err := c.SaveRandom(dir, params, 42); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "tokenizer.json")); string(text) != "{}\n" {
		t.Errorf("tokenizer.json: %q", text)
	}
	loaded := openCheckpoint(t, dir)
	if string(loaded.Config()) != `{"dtype": "float32"}` {
		t.Errorf("config %s", loaded.Config())
	}
	memory, want := machine(params, 1, 1)
	if err := loaded.Load(params, memory); err != nil {
		t.Fatal(err)
	}
	whole := map[string][]float32{}
	for i := range params {
		whole[params[i].Name] = elements(want, &params[i], params[i].Value, 1)
	}
	if x := whole["norm"]; x[0] != 1 || x[7] != 1 {
		t.Errorf("norm: %v", x)
	}
	for _, ep := range []int{1, 2, 4} {
		memory, got := machine(params, ep, ep)
		if err := Fill(params, memory, 42); err != nil {
			t.Fatal(err)
		}
		for i := range params {
			if x := elements(got, &params[i], params[i].Value, ep); !slices.Equal(x, whole[params[i].Name]) {
				t.Errorf("ep %d: %s differs", ep, params[i].Name)
			}
		}
	}
}

func TestNewTypes(t *testing.T) {
	params := qwen(true)
	for config, want := range map[string]safetensors.DType{
		`{}`: safetensors.F32, `{"dtype": "bfloat16"}`: safetensors.BF16, `{"torch_dtype": "bfloat16"}`: safetensors.BF16,
		`{"dtype": "float32", "torch_dtype": "bfloat16"}`: safetensors.F32, `{"torch_dtype": "float32"}`: safetensors.F32,
	} {
		c, err := New([]byte(config), params)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.layout.Shards[0].Tensors[0].DType; got != want {
			t.Errorf("%s: %s, want %s", config, got, want)
		}
	}
	if _, err := New([]byte("{"), params); err == nil || err.Error() != "config.json: unexpected end of JSON input" {
		t.Errorf("error %v", err)
	}
}

// big is a model of n parameters, half of them in one tensor.
func big(n int) []Param {
	params := []Param{{Name: "embed", Shape: []int{n / 2 / 1024, 1024}, Init: Init{Kind: InitNormal, Std: 0.02}, Pieces: []Piece{{Name: "embed", Shape: []int{n / 2 / 1024, 1024}}}}}
	for l := range 8 {
		shape := []int{n / 16 / 1024, 1024}
		params = append(params, Param{Name: fmt.Sprint("w", l), Shape: shape, Init: Init{Kind: InitNormal, Std: 0.02},
			Pieces: []Piece{{Name: fmt.Sprint("w", l), Shape: shape}}})
	}
	return params
}

// A model passes through a few buffers on its way to and from the disk: of 16 MB written and read, each of the few
// workers holds a buffer of 1 MiB, and the list of parts and tensors is small beside them.
func TestMemoryOfSaving(t *testing.T) {
	params := big(4 << 20)
	c, err := New([]byte(`{"dtype": "bfloat16"}`), params)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "ckpt")
	memory, _ := machine(params, 1, 1)
	allocated := func(f func() error) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := f(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	// Narrow types take 64 KiB more for each part of 1 MiB, which the collector takes back: 16 parts of 64 KiB.
	limit := uint64(runtime.GOMAXPROCS(0)+1+1) << 20
	if n := allocated(func() error { return c.SaveRandom(dir, params, 1) }); n > limit {
		t.Errorf("SaveRandom of 16 MB allocated %d bytes, want at most %d", n, limit)
	}
	loaded := openCheckpoint(t, dir)
	if n := allocated(func() error { return loaded.Load(params, memory) }); n > limit {
		t.Errorf("Load of 16 MB allocated %d bytes, want at most %d", n, limit)
	}
}

// BenchmarkCheckpoint reports bytes of memory filled, or emptied, a second, for a model of 256 MB.
func BenchmarkCheckpoint(b *testing.B) {
	const n = 64 << 20
	params := big(n)
	memory, _ := machine(params, 1, 1)
	for _, config := range []string{`{"dtype": "float32"}`, `{"dtype": "bfloat16"}`} {
		dir := filepath.Join(b.TempDir(), "ckpt")
		c, err := New([]byte(config), params)
		if err != nil {
			b.Fatal(err)
		}
		run := func(name string, f func() error) {
			b.Run(name+config[11:len(config)-2], func(b *testing.B) {
				b.SetBytes(4 * n)
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		run("Fill/", func() error { return Fill(params, memory, 1) })
		run("Save/", func() error {
			os.RemoveAll(dir)
			return c.Save(dir, params, memory, nil)
		})
		loaded, err := Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		run("Load/", func() error { return loaded.Load(params, memory) })
		loaded.Close()
	}
}
