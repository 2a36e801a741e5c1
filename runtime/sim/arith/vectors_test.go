package arith

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// vectors is one file of testdata: named inputs and, for each instruction, which inputs it took and what an H100 wrote.
// Data are little-endian bytes, deflated, in base64.
type vectors struct {
	Inputs map[string]string
	Cases  []vector
}

type vector struct {
	Name  string
	In    []string
	Want  string
	Steps int // tensor core: chained steps
}

func load(t testing.TB, name string) *vectors {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	v := new(vectors)
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(name, err)
	}
	return v
}

func unpack(t testing.TB, s string) []byte {
	t.Helper()
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

// element reads the i-th of n equal parts of b.
func element(b []byte, i, n int) uint64 {
	w := len(b) / n
	switch p := b[i*w:]; w {
	case 1:
		return uint64(p[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(p))
	case 4:
		return uint64(binary.LittleEndian.Uint32(p))
	}
	return binary.LittleEndian.Uint64(b[i*w:])
}

// elements is the number of threads of an elementwise case.
const elements = 384

// elementwise holds functions against a file of elementwise cases; every case must have a function and every function a case.
func elementwise(t *testing.T, file string, functions map[string]func(a, b, c uint64) uint64) {
	v := load(t, file)
	seen := 0
	for _, c := range v.Cases {
		f := functions[c.Name]
		if f == nil {
			t.Errorf("%s: no function", c.Name)
			continue
		}
		seen++
		var in [3][]byte
		for i, name := range c.In {
			in[i] = unpack(t, v.Inputs[name])
		}
		want := unpack(t, c.Want)
		bad := 0
		for i := range elements {
			var x [3]uint64
			for j := range c.In {
				x[j] = element(in[j], i, elements)
			}
			if got, w := f(x[0], x[1], x[2]), element(want, i, elements); got != w {
				if bad++; bad <= 3 {
					t.Errorf("%s(%x, %x, %x) = %x, hardware %x", c.Name, x[0], x[1], x[2], got, w)
				}
			}
		}
		if bad > 3 {
			t.Errorf("%s: %d of %d differ", c.Name, bad, elements)
		}
	}
	if seen != len(functions) {
		t.Errorf("%d functions for %d cases", len(functions), seen)
	}
}
