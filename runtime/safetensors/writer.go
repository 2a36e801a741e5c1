package safetensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// ShardBytes is the size above which Hugging Face splits a checkpoint into several files.
const ShardBytes = 50_000_000_000

// partial is the suffix of a file that is still being written.
const partial = ".partial"

// Arrange lays tensors out as Hugging Face does: in the order of their names into files
// BASE-00001-of-0000N.safetensors of at most limit bytes of data with an index, or into the single file
// BASE.safetensors if they fit; within a file by type and name. A tensor larger than the limit has a file of its
// own.
func Arrange(tensors []Info, base string, limit int64) Layout {
	tensors = slices.SortedFunc(slices.Values(tensors), func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	var shards [][]Info
	var open []Info
	var size int64
	for _, t := range tensors {
		if t.Bytes() > limit {
			shards = append(shards, []Info{t})
			continue
		}
		if size+t.Bytes() > limit {
			shards, open, size = append(shards, open), nil, 0
		}
		open, size = append(open, t), size+t.Bytes()
	}
	if len(open) > 0 || len(shards) == 0 {
		shards = append(shards, open)
	}
	var layout Layout
	if len(shards) > 1 {
		layout.Index = base + ".safetensors.index.json"
	}
	for i, s := range shards {
		slices.SortFunc(s, func(a, b Info) int {
			return cmp.Or(cmp.Compare(b.DType.order(), a.DType.order()), cmp.Compare(a.Name, b.Name))
		})
		name := base + ".safetensors"
		if len(shards) > 1 {
			name = fmt.Sprintf("%s-%05d-of-%05d.safetensors", base, i+1, len(shards))
		}
		layout.Shards = append(layout.Shards, Shard{File: name, Tensors: s})
	}
	return layout
}

// Writer writes the tensors of a layout in pieces, in any order, from several goroutines at a time. The files
// have temporary names until Commit.
type Writer struct {
	dir    string
	layout Layout
	files  []*output
	paths  []string // where files are: under temporary names, then under their own
	slots  map[string]slot
	left   atomic.Int64 // bytes of data not written yet
}

// slot is where the data of a tensor goes.
type slot struct {
	Info
	file   *output
	offset int64
}

// output is a file that is being written, by one goroutine at a time: the kernel has it so anyway, and whoever else tries
// spins meanwhile on a core that has better things to do.
type output struct {
	*os.File
	turn sync.Mutex
}

// Create starts to write the files of the layout into the folder dir, which must exist. None of the files may
// exist. The caller ends with Commit or Abort.
func Create(dir string, layout Layout) (*Writer, error) {
	w := &Writer{dir: dir, layout: layout, slots: map[string]slot{}}
	for _, name := range w.names() {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); err == nil {
			return nil, fmt.Errorf("%s exists already and is not overwritten; choose another place or remove it", path)
		}
	}
	for _, s := range layout.Shards {
		if err := w.start(s); err != nil {
			return nil, errors.Join(err, w.Abort())
		}
	}
	return w, nil
}

// start opens one file and writes its header.
func (w *Writer) start(s Shard) error {
	f, err := w.create(s.File)
	if err != nil {
		return err
	}
	header := formatHeader(s.Tensors)
	if _, err := f.Write(header); err != nil {
		return err
	}
	at := int64(len(header))
	for _, t := range s.Tensors {
		if _, twice := w.slots[t.Name]; twice {
			panic(fmt.Sprintf("BUG: tensor %q is twice in a layout", t.Name))
		}
		w.slots[t.Name] = slot{t, f, at}
		at += t.Bytes()
		w.left.Add(t.Bytes())
	}
	return f.Truncate(at)
}

// create opens a file under its temporary name.
func (w *Writer) create(name string) (*output, error) {
	path := filepath.Join(w.dir, name+partial)
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	out := &output{File: f}
	w.files, w.paths = append(w.files, out), append(w.paths, path)
	return out, nil
}

// names are the files that Commit leaves.
func (w *Writer) names() []string {
	var names []string
	for _, s := range w.layout.Shards {
		names = append(names, s.File)
	}
	if w.layout.Index != "" {
		names = append(names, w.layout.Index)
	}
	return names
}

// WriteFloat32 writes src as the elements first, first+1, ... of the tensor (F64, F32, F16 or BF16), rounded
// to nearest even. Every element is to be written once.
func (w *Writer) WriteFloat32(name string, first int, src []float32) error {
	s := w.slot(name, first, len(src))
	if s.DType == F32 {
		return w.write(Bytes(src), s.file, s.offset+4*int64(first))
	}
	width := s.DType.Bytes()
	buffer := make([]byte, min(window, len(src)*width))
	for len(src) > 0 {
		n := min(len(src), window/width)
		Encode(s.DType, src[:n], buffer)
		if err := w.write(buffer[:n*width], s.file, s.offset+int64(first)*int64(width)); err != nil {
			return err
		}
		first, src = first+n, src[n:]
	}
	return nil
}

// WriteRaw writes src, elements as they are to be in the file, as the elements first, first+1, ... of the tensor.
func (w *Writer) WriteRaw(name string, first int, src []byte) error {
	width := w.DType(name).Bytes()
	s := w.slot(name, first, len(src)/width)
	return w.write(src, s.file, s.offset+int64(first)*int64(width))
}

// DType returns the element type of a tensor of the layout.
func (w *Writer) DType(name string) DType { return w.slot(name, 0, 0).DType }

// WriteInt64 writes src as the elements first, first+1, ... of the tensor, which must be I64.
func (w *Writer) WriteInt64(name string, first int, src []int64) error {
	s := w.slot(name, first, len(src))
	if s.DType != I64 {
		panic(fmt.Sprintf("BUG: int64 values for tensor %q, which is %s", name, s.DType))
	}
	return w.write(Bytes(src), s.file, s.offset+8*int64(first))
}

func (w *Writer) slot(name string, first, n int) slot {
	s, ok := w.slots[name]
	if !ok || first < 0 || first+n > s.Elements() {
		panic(fmt.Sprintf("BUG: elements %d to %d of tensor %q are not in the layout", first, first+n, name))
	}
	return s
}

func (w *Writer) write(b []byte, f *output, offset int64) error {
	w.left.Add(-int64(len(b)))
	f.turn.Lock()
	defer f.turn.Unlock()
	_, err := f.WriteAt(b, offset)
	return err
}

// Commit makes the data durable and gives the files their names, the index last. After an error nothing of the
// Writer is left.
func (w *Writer) Commit() error {
	if left := w.left.Load(); left != 0 {
		panic(fmt.Sprintf("BUG: %d bytes of tensors were not written", left))
	}
	if err := w.commit(); err != nil {
		return errors.Join(err, w.Abort())
	}
	return nil
}

func (w *Writer) commit() error {
	if w.layout.Index != "" {
		f, err := w.create(w.layout.Index)
		if err != nil {
			return err
		}
		if _, err := f.Write(formatIndex(w.layout)); err != nil {
			return err
		}
	}
	for _, f := range w.files {
		if err := f.Sync(); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	for i, path := range w.paths {
		final := strings.TrimSuffix(path, partial)
		if err := os.Rename(path, final); err != nil {
			return err
		}
		w.paths[i] = final
	}
	return syncDir(w.dir)
}

// Abort removes what was written. It must not follow a Commit that succeeded.
func (w *Writer) Abort() error {
	var errs []error
	for i, f := range w.files {
		f.Close() // closed already if Commit failed later
		errs = append(errs, os.Remove(w.paths[i]))
	}
	return errors.Join(errs...)
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// formatIndex is the index of a layout, as Hugging Face writes it.
func formatIndex(layout Layout) []byte {
	var index struct {
		Metadata struct {
			TotalParameters int64 `json:"total_parameters"`
			TotalSize       int64 `json:"total_size"`
		} `json:"metadata"`
		WeightMap map[string]string `json:"weight_map"` // printed in the order of its keys
	}
	index.WeightMap = map[string]string{}
	for _, s := range layout.Shards {
		for _, t := range s.Tensors {
			index.Metadata.TotalParameters += int64(t.Elements())
			index.Metadata.TotalSize += t.Bytes()
			index.WeightMap[t.Name] = s.File
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(index); err != nil {
		panic("BUG: " + err.Error())
	}
	return b.Bytes()
}
