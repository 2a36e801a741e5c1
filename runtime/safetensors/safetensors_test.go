package safetensors

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// The files of testdata were written by the reference implementation in Python (safetensors 0.8.0, torch 2.11),
// all.json holds their values as torch converts them to float32 (hexadecimal) or prints them (integers).

func open(t *testing.T, path string) *Reader {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func floats(t *testing.T, r *Reader, name string) []float32 {
	t.Helper()
	tensor := r.Tensor(name)
	x := make([]float32, tensor.Elements())
	if err := tensor.ReadFloat32(0, x); err != nil {
		t.Fatal(err)
	}
	return x
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

func TestReadsEveryType(t *testing.T) {
	var want map[string][]any
	text, err := os.ReadFile("testdata/all.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	r := open(t, "testdata/all.safetensors")
	shapes := map[string][]int{
		"f64": {3, 4}, "f32": {3, 4}, "f16": {2, 6}, "bf16": {12}, "i64": {2, 2}, "i32": {3}, "u8": {2}, "bool": {3},
		"scalar": {}, "empty": {0, 4}, `quo"te <é>`: {1},
	}
	if n := len(r.Layout().Shards[0].Tensors); n != len(shapes) {
		t.Fatalf("%d tensors, want %d", n, len(shapes))
	}
	for name, shape := range shapes {
		tensor := r.Tensor(name)
		if tensor == nil || !slices.Equal(tensor.Shape, shape) {
			t.Fatalf("%s: %+v, want shape %v", name, tensor, shape)
		}
		var got, expected []float64
		for _, v := range want[name] {
			switch v := v.(type) {
			case string:
				x, err := strconv.ParseFloat(v, 64)
				if err != nil {
					t.Fatal(err)
				}
				expected = append(expected, x)
			case float64:
				expected = append(expected, v)
			}
		}
		switch name {
		case "u8", "bool":
			err := tensor.ReadFloat32(0, make([]float32, tensor.Elements()))
			if err == nil || tensor.ReadInt64(0, make([]int64, tensor.Elements())) == nil {
				t.Errorf("%s was converted", name)
			}
			continue
		case "i64", "i32":
			x := make([]int64, tensor.Elements())
			if err := tensor.ReadInt64(0, x); err != nil {
				t.Fatal(err)
			}
			for _, v := range x {
				got = append(got, float64(v))
			}
		default:
			for _, v := range floats(t, r, name) {
				got = append(got, float64(v))
			}
		}
		same := func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
		if !slices.EqualFunc(got, expected, same) {
			t.Errorf("%s: %v, want %v", name, got, expected)
		}
	}
}

// Every part of a tensor reads as the same part of the whole.
func TestReadsParts(t *testing.T) {
	r := open(t, "testdata/rounding.safetensors")
	for _, name := range []string{"f64", "f32", "f16", "bf16"} {
		all := floats(t, r, name)
		for _, part := range [][2]int{{0, 1}, {1, 7}, {len(all) - 3, 3}, {len(all), 0}, {100, len(all) - 100}} {
			x := make([]float32, part[1])
			if err := r.Tensor(name).ReadFloat32(part[0], x); err != nil {
				t.Fatal(err)
			}
			if !sameBits(x, all[part[0]:part[0]+part[1]]) {
				t.Errorf("%s %v differs from the same part of the whole", name, part)
			}
		}
	}
}

// Writing the float32 values of a file that torch made, in uneven parts and from several goroutines, gives the
// bytes of that file: torch's rounding, header and order.
func TestWritesTheReferenceBytes(t *testing.T) {
	r := open(t, "testdata/rounding.safetensors")
	layout := Arrange(r.Layout().Shards[0].Tensors, "rounding", ShardBytes)
	dir := t.TempDir()
	w, err := Create(dir, layout)
	if err != nil {
		t.Fatal(err)
	}
	x := floats(t, r, "f32")
	var group sync.WaitGroup
	for _, info := range layout.Shards[0].Tensors {
		group.Go(func() {
			for first := 0; first < len(x); first += 777 {
				if err := w.WriteFloat32(info.Name, first, x[first:min(first+777, len(x))]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	sameFiles(t, "testdata/rounding.safetensors", filepath.Join(dir, "rounding.safetensors"))
}

func sameFiles(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Errorf("%s and %s differ", a, b)
	}
}

// Conversions are exact on every half and bfloat16 value, against the definition of the formats in float64.
func TestNarrowTypesRoundTrip(t *testing.T) {
	for bits := range 1 << 16 {
		h := uint16(bits)
		sign, e, m := 1-2*float64(h>>15), int(h>>10&31), float64(h&1023)
		want := sign * math.Ldexp(1024+m, e-25)
		switch e {
		case 0:
			want = math.Copysign(math.Ldexp(m, -24), sign)
		case 31:
			want = math.Inf(int(sign))
			if m != 0 {
				want = math.NaN()
			}
		}
		x := float32FromHalf(h)
		if math.IsNaN(want) {
			if x == x || half(x)&0x7c00 != 0x7c00 || half(x)&0x3ff == 0 {
				t.Fatalf("half %#x: a NaN became %v and %#x", h, x, half(x))
			}
		} else if float64(x) != want || math.Signbit(float64(x)) != math.Signbit(want) || half(x) != h {
			t.Fatalf("half %#x: %v and back %#x, want %v", h, x, half(x), want)
		}
		x = math.Float32frombits(uint32(bits) << 16)
		if x == x && bfloat16(x) != h || x != x && (bfloat16(x)&0x7f80 != 0x7f80 || bfloat16(x)&0x7f == 0) {
			t.Fatalf("bfloat16 %#x became %#x", h, bfloat16(x))
		}
	}
}

func TestShardsAndIndex(t *testing.T) {
	var infos []Info
	for _, name := range []string{"b", "a", "d", "c", "big"} {
		infos = append(infos, Info{name, F32, []int{5}})
	}
	infos[4].Shape = []int{4, 7}
	layout := Arrange(infos, "model", 50)
	var got []string
	for _, s := range layout.Shards {
		got = append(got, s.File)
		for _, info := range s.Tensors {
			got = append(got, info.Name)
		}
	}
	// 20 bytes each, so two fit into 50; "big" has 112. As Hugging Face's split does it, the files being filled
	// go on behind a large tensor.
	want := []string{
		"model-00001-of-00003.safetensors", "big", "model-00002-of-00003.safetensors", "a", "b",
		"model-00003-of-00003.safetensors", "c", "d",
	}
	if !slices.Equal(got, want) {
		t.Fatalf("layout %v, want %v", got, want)
	}
	dir := t.TempDir()
	w, err := Create(dir, layout)
	if err != nil {
		t.Fatal(err)
	}
	for i, info := range infos {
		x := make([]float32, info.Elements())
		x[0] = float32(i)
		if err := w.WriteFloat32(info.Name, 0, x); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	r, err := OpenDir(dir, "model")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i, info := range infos {
		if x := floats(t, r, info.Name); x[0] != float32(i) {
			t.Errorf("%s: %v", info.Name, x)
		}
	}
	if got := r.Layout(); got.Index != layout.Index || len(got.Shards) != 3 || got.Shards[1].Tensors[1].Name != "b" {
		t.Errorf("layout read back: %+v", got)
	}
}

func TestWriterLeavesNothing(t *testing.T) {
	layout := Arrange([]Info{{"a", I64, []int{2}}, {"b", F32, []int{2}}}, "model", 10)
	dir := t.TempDir()
	w, err := Create(dir, layout)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteInt64("a", 0, []int64{1, 2}); err != nil {
		t.Fatal(err)
	}
	if names := list(t, dir); !slices.Equal(names, []string{"model-00001-of-00002.safetensors.partial", "model-00002-of-00002.safetensors.partial"}) {
		t.Errorf("files before Commit: %v", names)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if names := list(t, dir); len(names) != 0 {
		t.Errorf("files after Abort: %v", names)
	}
	// A commit that fails half-way, because a folder stands where the second file belongs.
	if w, err = Create(dir, layout); err != nil {
		t.Fatal(err)
	}
	w.WriteInt64("a", 0, []int64{1, 2})
	w.WriteFloat32("b", 0, []float32{1, 2})
	if err := os.Mkdir(filepath.Join(dir, "model-00002-of-00002.safetensors"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err == nil {
		t.Fatal("Commit replaced a folder")
	}
	if names := list(t, dir); !slices.Equal(names, []string{"model-00002-of-00002.safetensors"}) {
		t.Errorf("files after a failed Commit: %v", names)
	}
	_, err = Create(dir, layout)
	want := dir + "/model-00002-of-00002.safetensors exists already and is not overwritten; choose another place or remove it"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
