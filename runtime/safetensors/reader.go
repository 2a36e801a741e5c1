// Package safetensors reads and writes tensors in the safetensors format, as one file or as the numbered
// shards with an index that Hugging Face makes of large checkpoints.
//
// Tensors are read and written in pieces of any size, from several goroutines at a time, and converted to and
// from float32 on the way, so a checkpoint of any size passes through a few small buffers.
package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Reader gives access to the tensors of one file or of a set of shards. Its methods and those of its tensors
// may be called from several goroutines.
type Reader struct {
	path   string
	layout Layout
	files  []*os.File
	byName map[string]*Tensor
}

// Tensor is a tensor of a Reader.
type Tensor struct {
	Info
	file   *os.File
	offset int64 // of the data in the file
}

// Layout says how tensors are laid out on disk: which files there are and what each holds, in order.
type Layout struct {
	Shards []Shard
	Index  string // file name of the index that lists the shards; "" for a single file without one
}

// Shard is one file of a layout.
type Shard struct {
	File    string // file name without folder
	Tensors []Info // in the order of their data
}

// Open opens a single file.
func Open(path string) (*Reader, error) {
	r := &Reader{path: path, byName: map[string]*Tensor{}}
	if err := r.add(filepath.Dir(path), filepath.Base(path)); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// OpenDir opens BASE.safetensors of the folder dir or, if there is none, the shards that
// BASE.safetensors.index.json lists. The base name of a model's weights is "model".
func OpenDir(dir, base string) (*Reader, error) {
	single := filepath.Join(dir, base+".safetensors")
	if _, err := os.Stat(single); err == nil {
		return Open(single)
	}
	index := base + ".safetensors.index.json"
	r := &Reader{path: filepath.Join(dir, index), layout: Layout{Index: index}, byName: map[string]*Tensor{}}
	if err := r.addIndexed(dir); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close closes the files.
func (r *Reader) Close() error {
	var err error
	for _, f := range r.files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// Path is the file or the index.
func (r *Reader) Path() string { return r.path }

// Layout is how the tensors lie on disk. The caller must not change it.
func (r *Reader) Layout() Layout { return r.layout }

// Tensor is the tensor with the given name, nil if there is none.
func (r *Reader) Tensor(name string) *Tensor { return r.byName[name] }

// Path is the file that holds the tensor.
func (t *Tensor) Path() string { return t.file.Name() }

// addIndexed opens all files of the index and checks that it lists exactly their tensors.
func (r *Reader) addIndexed(dir string) error {
	path := r.path
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s holds neither %s nor %s", dir, strings.TrimSuffix(r.layout.Index, ".index.json"), r.layout.Index)
	}
	if err != nil {
		return err
	}
	weights, err := parseIndex(text)
	if err != nil {
		return where(path, err)
	}
	var files []string
	for _, file := range weights {
		if file != filepath.Base(file) || file == ".." || file == "." {
			return fmt.Errorf("%s: %q is not the name of a file in the same folder", path, file)
		}
		files = append(files, file)
	}
	slices.Sort(files)
	for _, file := range slices.Compact(files) {
		if err := r.add(dir, file); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s lists %s, which is not in the folder", path, file)
		} else if err != nil {
			return err
		}
	}
	for _, s := range r.layout.Shards {
		for _, t := range s.Tensors {
			if weights[t.Name] != s.File {
				return fmt.Errorf("%s: tensor %q of %s is not listed", path, t.Name, s.File)
			}
			delete(weights, t.Name)
		}
	}
	var absent []string
	for name := range weights {
		absent = append(absent, name)
	}
	if len(absent) > 0 {
		name := slices.Min(absent)
		return fmt.Errorf("%s: tensor %q is not in %s", path, name, weights[name])
	}
	return nil
}

// parseIndex returns the weight_map of an index: tensor name to file name.
func parseIndex(text []byte) (map[string]string, error) {
	if !json.Valid(text) {
		return nil, fmt.Errorf("the index is not JSON: %w", json.Unmarshal(text, new(any)))
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	var weights map[string]string
	err := eachField(dec, func(key string) (err error) {
		if key == "weight_map" {
			weights, err = stringMap(dec)
			return where(key, err)
		}
		return dec.Decode(new(json.RawMessage))
	})
	if err == nil && len(weights) == 0 {
		err = errors.New("weight_map is missing or empty")
	}
	return weights, err
}

// add opens a file and reads its header.
func (r *Reader) add(dir, name string) error {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	r.files = append(r.files, f)
	header, data, err := readHeader(f)
	if err != nil {
		return where(f.Name(), err)
	}
	entries, err := parseHeader(header, data)
	if err != nil {
		return where(f.Name(), err)
	}
	shard := Shard{File: name}
	for _, e := range entries {
		if other := r.byName[e.Name]; other != nil {
			return fmt.Errorf("%s: tensor %q is in %s as well", f.Name(), e.Name, other.Path())
		}
		r.byName[e.Name] = &Tensor{Info: e.Info, file: f, offset: 8 + int64(len(header)) + e.begin}
		shard.Tensors = append(shard.Tensors, e.Info)
	}
	r.layout.Shards = append(r.layout.Shards, shard)
	return nil
}

// readHeader returns the JSON part and the size of the data part.
func readHeader(f *os.File) (header []byte, data int64, err error) {
	stat, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !stat.Mode().IsRegular() {
		return nil, 0, errors.New("not a regular file")
	}
	size := stat.Size()
	if size < 8 {
		return nil, 0, fmt.Errorf("%d bytes are too few for a safetensors file: it is cut short", size)
	}
	var prefix [8]byte
	if _, err := f.ReadAt(prefix[:], 0); err != nil {
		return nil, 0, err
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > maxHeader {
		return nil, 0, fmt.Errorf("a header of %d bytes is more than the format allows (%d): not a safetensors file", n, maxHeader)
	}
	if int64(n) > size-8 {
		return nil, 0, fmt.Errorf("the header should have %d bytes, but %d are left in the file: it is cut short", n, size-8)
	}
	header = make([]byte, n)
	_, err = f.ReadAt(header, 8)
	return header, size - 8 - int64(n), err
}

// ReadFloat32 fills dst with the elements first, first+1, ... of the tensor (F64, F32, F16 or BF16) in
// row-major order, rounded to float32.
func (t *Tensor) ReadFloat32(first int, dst []float32) error {
	t.check(first, len(dst))
	if t.DType == F32 {
		return t.read(Bytes(dst), t.offset+4*int64(first))
	}
	if !t.DType.Float() {
		return fmt.Errorf("%s: tensor %q is %s, where a floating type (F64, F32, F16, BF16) was expected", t.Path(), t.Name, t.DType)
	}
	width := t.DType.Bytes()
	buffer := make([]byte, min(window, len(dst)*width))
	for len(dst) > 0 {
		n := min(len(dst), window/width)
		if err := t.read(buffer[:n*width], t.offset+int64(first)*int64(width)); err != nil {
			return err
		}
		Decode(t.DType, buffer, dst[:n])
		first, dst = first+n, dst[n:]
	}
	return nil
}

// ReadRaw fills dst with the elements first, first+1, ... of the tensor as they are in the file. The type's elements have
// whole bytes.
func (t *Tensor) ReadRaw(first int, dst []byte) error {
	width := t.DType.Bytes()
	t.check(first, len(dst)/width)
	return t.read(dst, t.offset+int64(first)*int64(width))
}

// ReadInt64 fills dst with the elements first, first+1, ... of the tensor (I64 or I32) in row-major order.
func (t *Tensor) ReadInt64(first int, dst []int64) error {
	t.check(first, len(dst))
	switch t.DType {
	case I64:
		return t.read(Bytes(dst), t.offset+8*int64(first))
	case I32:
		narrow := make([]int32, len(dst))
		if err := t.read(Bytes(narrow), t.offset+4*int64(first)); err != nil {
			return err
		}
		for i, x := range narrow {
			dst[i] = int64(x)
		}
		return nil
	}
	return fmt.Errorf("%s: tensor %q is %s, where integers (I64, I32) were expected", t.Path(), t.Name, t.DType)
}

func (t *Tensor) check(first, n int) {
	if first < 0 || first+n > t.Elements() {
		panic(fmt.Sprintf("BUG: elements %d to %d of tensor %q, which has %d", first, first+n, t.Name, t.Elements()))
	}
}

func (t *Tensor) read(b []byte, offset int64) error {
	if _, err := t.file.ReadAt(b, offset); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file became shorter while it was read")
		}
		return fmt.Errorf("%s: tensor %q: %w", t.Path(), t.Name, err)
	}
	return nil
}
