package safetensors

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeFile makes a file of a header and a number of data bytes.
func writeFile(t *testing.T, dir, name, header string, data int) string {
	t.Helper()
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	b = append(append(b, header...), make([]byte, data)...)
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// The exact sentence of everything that is wrong with a header.
func TestHeaderErrors(t *testing.T) {
	a := `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for _, c := range []struct {
		header string
		data   int
		want   string
	}{
		{``, 0, `the header does not start with {`},
		{` {}`, 0, `the header does not start with {`},
		{"{\"\xff\":1}", 0, `the header is not UTF-8`},
		{`{"a":}`, 0, `the header is not JSON: invalid character '}' looking for beginning of value`},
		{`{}{}`, 0, `the header is not JSON: invalid character '{' after top-level value`},
		{`{"a":7}`, 0, `tensor "a": an object was expected`},
		{`{"__metadata__":{"format":7}}`, 0, `__metadata__: "format": a string was expected`},
		{`{"__metadata__":[]}`, 0, `__metadata__: an object was expected`},
		{`{` + a + `,` + a + `}`, 8, `"a" occurs twice`},
		{`{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8, `tensor "a": "dtype" occurs twice`},
		{`{"a":{"shape":[2],"data_offsets":[0,8]}}`, 8, `tensor "a": dtype is missing`},
		{`{"a":{"dtype":"F32","data_offsets":[0,8]}}`, 8, `tensor "a": shape is missing`},
		{`{"a":{"dtype":"F32","shape":[2]}}`, 8, `tensor "a": data_offsets is missing`},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, 8, `tensor "a": "x" is not a field of the format`},
		{`{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}`, 8, `tensor "a": dtype: "F31" is not an element type of the format`},
		{`{"a":{"dtype":32,"shape":[2],"data_offsets":[0,8]}}`, 8, `tensor "a": dtype: a string was expected`},
		{`{"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}}`, 8, `tensor "a": shape: a list was expected`},
		{`{"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}`, 8, `tensor "a": shape: a list of integers was expected`},
		{`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8, `tensor "a": shape: -2 is not a non-negative integer`},
		{`{"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}`, 0, `tensor "a": shape: -0 is not a non-negative integer`},
		{`{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}`, 8, `tensor "a": shape: 2.0 is not a non-negative integer`},
		{`{"a":{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}}`, 8, `tensor "a": shape: 2e0 is not a non-negative integer`},
		{`{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}`, 8, `tensor "a": shape: 99999999999999999999 is not a non-negative integer`},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8]}}`, 8, `tensor "a": data_offsets: [8] is not a begin and an end`},
		{`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, 8, `tensor "a": data_offsets: [8 0] is not a begin and an end`},
		{`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8, `tensor "a": shape [3] of F32 needs 12 bytes, but data_offsets give it 8`},
		{`{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,8]}}`, 8, `tensor "a": shape [2] of BF16 needs 4 bytes, but data_offsets give it 8`},
		{`{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}`, 1, `tensor "a": shape [3] of F4 does not have a size in whole bytes that a file can hold`},
		{`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0,
			`tensor "a": shape [4294967296 4294967296] of F32 does not have a size in whole bytes that a file can hold`},
		{`{` + a + `,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12, `tensors "a" and "b" overlap in the file`},
		{`{` + a + `,"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8, `tensors "a" and "b" overlap in the file`},
		{`{` + a + `,"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}}`, 20,
			`tensor "b" starts at byte 12 of the data where 8 was expected: there is a hole before it`},
		{`{` + a + `}`, 7, `tensor "a" ends at byte 8 of the data, but the file has 7: it is cut short`},
		{`{` + a + `}`, 9, `1 bytes follow the last tensor`},
	} {
		path := writeFile(t, t.TempDir(), "x.safetensors", c.header, c.data)
		r, err := Open(path)
		if err == nil {
			r.Close()
		}
		if want := path + ": " + c.want; err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", c.header, err, want)
		}
	}
}

// The exact sentence for files that are too short, too long or not there.
func TestFileErrors(t *testing.T) {
	dir := t.TempDir()
	whole, err := os.ReadFile("testdata/all.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(whole)
	huge := append(binary.LittleEndian.AppendUint64(nil, 1<<63), "{}"...)
	for _, c := range []struct {
		bytes []byte
		want  string
	}{
		{nil, `0 bytes are too few for a safetensors file: it is cut short`},
		{whole[:7], `7 bytes are too few for a safetensors file: it is cut short`},
		{whole[:100], fmt.Sprintf(`the header should have %d bytes, but 92 are left in the file: it is cut short`, n)},
		{huge, `a header of 9223372036854775808 bytes is more than the format allows (100000000): not a safetensors file`},
	} {
		path := filepath.Join(dir, "x.safetensors")
		if err := os.WriteFile(path, c.bytes, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || err.Error() != path+": "+c.want {
			t.Errorf("got %v\nwant %s", err, c.want)
		}
	}
	// Cut anywhere, the file is refused.
	for n := range whole {
		path := filepath.Join(dir, "x.safetensors")
		if err := os.WriteFile(path, whole[:n], 0o666); err != nil {
			t.Fatal(err)
		}
		if r, err := Open(path); err == nil {
			r.Close()
			t.Fatalf("the first %d of %d bytes were accepted", n, len(whole))
		}
	}
	if _, err := Open(dir); err == nil || err.Error() != dir+": not a regular file" {
		t.Errorf("got %v", err)
	}
	// A file that becomes shorter while it is open.
	path := filepath.Join(dir, "y.safetensors")
	if err := os.WriteFile(path, whole, 0o666); err != nil {
		t.Fatal(err)
	}
	r := open(t, path)
	if err := os.Truncate(path, int64(len(whole))-64); err != nil {
		t.Fatal(err)
	}
	last := r.layout.Shards[0].Tensors
	name := last[len(last)-1].Name
	var failed error
	if tensor := r.Tensor(name); tensor.DType.Float() {
		failed = tensor.ReadFloat32(0, make([]float32, tensor.Elements()))
	} else {
		failed = r.Tensor("bf16").ReadFloat32(0, make([]float32, 12))
		name = "bf16"
	}
	if want := fmt.Sprintf("%s: tensor %q: the file became shorter while it was read", path, name); failed == nil || failed.Error() != want {
		t.Errorf("got %v\nwant %s", failed, want)
	}
}

// The exact sentence of everything that is wrong with an index.
func TestIndexErrors(t *testing.T) {
	for _, c := range []struct{ index, want string }{
		{`{`, `INDEX: the index is not JSON: unexpected end of JSON input`},
		{`[]`, `INDEX: an object was expected`},
		{`{"metadata":{}}`, `INDEX: weight_map is missing or empty`},
		{`{"weight_map":{"a":1}}`, `INDEX: weight_map: "a": a string was expected`},
		{`{"weight_map":{"a":"1.safetensors","a":"2.safetensors"}}`, `INDEX: weight_map: "a" occurs twice`},
		{`{"weight_map":{"a":"../1.safetensors"}}`, `INDEX: "../1.safetensors" is not the name of a file in the same folder`},
		{`{"weight_map":{"a":".."}}`, `INDEX: ".." is not the name of a file in the same folder`},
		{`{"weight_map":{"a":"1.safetensors","b":"2.safetensors","x":"2.safetensors"}}`, `INDEX: tensor "x" is not in 2.safetensors`},
		{`{"weight_map":{"a":"1.safetensors"}}`, ``},
		{`{"weight_map":{"a":"2.safetensors"}}`, `INDEX: tensor "b" of 2.safetensors is not listed`},
		{`{"weight_map":{"a":"1.safetensors","b":"3.safetensors"}}`, `DIR/3.safetensors: tensor "a" is in DIR/1.safetensors as well`},
		{`{"weight_map":{"a":"4.safetensors"}}`, `DIR/model.safetensors.index.json lists 4.safetensors, which is not in the folder`},
	} {
		dir := t.TempDir()
		writeFile(t, dir, "1.safetensors", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)
		writeFile(t, dir, "2.safetensors", `{"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)
		writeFile(t, dir, "3.safetensors", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8)
		index := filepath.Join(dir, "model.safetensors.index.json")
		if err := os.WriteFile(index, []byte(c.index), 0o666); err != nil {
			t.Fatal(err)
		}
		r, err := OpenDir(dir, "model")
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			r.Close()
		}
		if want := strings.NewReplacer("INDEX", index, "DIR", dir).Replace(c.want); got != want {
			t.Errorf("%s:\n got %s\nwant %s", c.index, got, want)
		}
	}
	dir := t.TempDir()
	_, err := OpenDir(dir, "model")
	if want := dir + " holds neither model.safetensors nor model.safetensors.index.json"; err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// FuzzHeader holds what is accepted against the rules of the format, and against a header written anew.
func FuzzHeader(f *testing.F) {
	whole, err := os.ReadFile("testdata/all.safetensors")
	if err != nil {
		f.Fatal(err)
	}
	n := 8 + binary.LittleEndian.Uint64(whole)
	f.Add(whole[8:n], int64(len(whole))-int64(n))
	f.Add([]byte(`{"a":{"dtype":"F4","shape":[2,3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[],"data_offsets":[3,4]}}  `), int64(4))
	f.Add([]byte(`{"a":{"dtype":"F32","shape":[0,99],"data_offsets":[0,0]},"b":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}`), int64(8))
	f.Add([]byte(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`), int64(0))
	f.Fuzz(func(t *testing.T, header []byte, data int64) {
		entries, err := parseHeader(header, data)
		if err != nil {
			return
		}
		var at int64
		names := map[string]bool{}
		var infos []Info
		for _, e := range entries {
			if e.begin != at || e.end-e.begin != e.Bytes() || names[e.Name] {
				t.Fatalf("%+v accepted at %d", e, at)
			}
			at, names[e.Name] = e.end, true
			infos = append(infos, e.Info)
		}
		if at != data {
			t.Fatalf("%d bytes of tensors in %d of data", at, data)
		}
		again, err := parseHeader(formatHeader(infos)[8:], data)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(entries) {
			t.Fatalf("written again: %v, %v; was %v", again, err, entries)
		}
	})
}
