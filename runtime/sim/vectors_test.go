package sim

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A vectorFile holds small kernels with what an H100 wrote for them: inputs, outputs, or the error it died of.
type vectorFile struct {
	Group  string
	Inputs map[string]string
	PTX    map[string]string
	Cases  []vectorCase
}

type vectorCase struct {
	Name    string
	PTX     string
	Grid    int
	Block   int
	Cluster int
	Smem    int
	Params  []vectorParam
	Error   string
}

type vectorParam struct {
	U32  *uint32
	U64  *uint64
	In   string
	Out  int
	Want string
	Map  *struct {
		Type    int
		Dims    []uint64
		Strides []uint64
		Box     []uint32
		EStride []uint32
		Swizzle int
		OOB     int
	}
}

func (f *vectorFile) data(t testing.TB, s string) []byte {
	t.Helper()
	if name, ok := strings.CutPrefix(s, "@"); ok {
		s = f.Inputs[name]
	}
	z, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(flate.NewReader(bytes.NewReader(z)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/vectors/*.json")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	defer func() {
		if total != 557 {
			t.Errorf("%d cases; the recorded ones are 557", total)
		}
	}()
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var f vectorFile
		if err := json.Unmarshal(raw, &f); err != nil {
			t.Fatal(name, err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(name), ".json"), func(t *testing.T) {
			total += len(f.Cases)
			for _, c := range f.Cases {
				t.Run(c.Name, func(t *testing.T) { f.run(t, c) })
			}
		})
	}
}

// vectorErrors is what the simulator calls the driver's error.
var vectorErrors = map[string]Kind{"715": Illegal, "716": Misaligned}

func (f *vectorFile) run(t *testing.T, c vectorCase) {
	text := c.PTX
	if name, ok := strings.CutPrefix(text, "@"); ok {
		text = f.PTX[name]
	}
	mod, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	// Vectors look at bytes that the kernel leaves open (the fill of a buffer) and at undefined registers on purpose.
	off := CheckUndefined | CheckExit
	if c.Name == "clipped, only the inside bytes expected" {
		off |= CheckRace // its barrier never completes, and it reads all the same
	}
	m := New(Config{Off: off})
	p, err := m.Load(0, mod)
	if err != nil {
		t.Fatal(err)
	}
	var params []byte
	type check struct {
		address uint64
		want    []byte
	}
	var checks []check
	pad := func(n int) {
		for len(params)%n != 0 {
			params = append(params, 0)
		}
	}
	for _, v := range c.Params {
		switch {
		case v.U32 != nil:
			pad(4)
			params = binary.LittleEndian.AppendUint32(params, *v.U32)
			continue
		case v.U64 != nil:
			pad(8)
			params = binary.LittleEndian.AppendUint64(params, *v.U64)
			continue
		}
		data := bytes.Repeat([]byte{0xA5}, v.Out)
		if v.In != "" {
			data = f.data(t, v.In)
		}
		a, err := m.Alloc(0, int64(len(data)+4096)) // some kernels read on: the GPU allocates 2 MB
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Write(a, data); err != nil {
			t.Fatal(err)
		}
		if v.Want != "" {
			checks = append(checks, check{a, f.data(t, v.Want)})
		}
		if v.Map == nil {
			pad(8)
			params = binary.LittleEndian.AppendUint64(params, a)
			continue
		}
		tm := TensorMap{Type: v.Map.Type, Address: a, Dims: v.Map.Dims, Strides: v.Map.Strides, Box: v.Map.Box, Steps: v.Map.EStride, Swizzle: v.Map.Swizzle, NaNFill: v.Map.OOB != 0}
		e, err := tm.Encode()
		if err != nil {
			t.Fatal(err)
		}
		pad(64)
		params = append(params, e[:]...)
	}
	cluster := [3]int{max(c.Cluster, 1), 1, 1}
	_, err = m.Launch(Launch{Program: p, Entry: mod.Entries()[0].Name, Grid: [3]int{c.Grid, 1, 1}, Block: [3]int{c.Block, 1, 1},
		Cluster: cluster, SharedBytes: c.Smem, Params: params})
	if c.Error != "" {
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("the hardware died of %q, the simulator says %v", c.Error, err)
		}
		for code, kind := range vectorErrors {
			if strings.Contains(c.Error, code) && e.Kind != kind {
				t.Fatalf("the hardware died of %q, the simulator says %v", c.Error, err)
			}
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range checks {
		got := make([]byte, len(k.want))
		if err := m.Read(k.address, got); err != nil {
			t.Fatal(err)
		}
		for j := range got {
			if got[j] != k.want[j] {
				at := j &^ 3
				t.Fatalf("output %d differs from byte %d on: %x, hardware %x", i, j, got[at:min(at+16, len(got))], k.want[at:min(at+16, len(got))])
			}
		}
	}
}
