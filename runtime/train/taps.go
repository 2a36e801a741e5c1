package train

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"

	"moegen/runtime/safetensors"
)

// taps keeps what a program names as it runs: the first value a name, layer and rank. A value that is named
// again, because the program recomputes it, is the same value. It is a host.Tap.
type taps struct {
	tokens int // of a rank

	mutex  sync.Mutex
	floats map[tapped][]float32
	ints   map[tapped][]int64
}

// tapped is what was named, and where.
type tapped struct {
	name  string
	layer int
	rank  int
}

func (t tapped) key() string { return fmt.Sprintf("%s.%d", t.name, t.layer) }

func newTaps(tokens int) *taps {
	return &taps{tokens: tokens, floats: map[tapped][]float32{}, ints: map[tapped][]int64{}}
}

// F32 keeps a value of T rows.
func (t *taps) F32(rank int, name string, layer int, x []float32) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if at := (tapped{name, layer, rank}); t.floats[at] == nil {
		t.floats[at] = slices.Clone(x)
	}
}

// I32 keeps a value of T rows, each in ascending order: it is a choice, whose order means nothing.
func (t *taps) I32(rank int, name string, layer int, x []int32) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	at := tapped{name, layer, rank}
	if t.ints[at] != nil {
		return
	}
	kept := make([]int64, len(x))
	for i, v := range x {
		kept[i] = int64(v)
	}
	for row := range slices.Chunk(kept, len(x)/t.tokens) {
		slices.Sort(row)
	}
	t.ints[at] = kept
}

// infos describes the values as tensors of the given rows (sequences, tokens), ranks one after another.
func (t *taps) infos(rows []int) []safetensors.Info {
	return append(tapInfos(t.floats, safetensors.F32, rows, t.tokens), tapInfos(t.ints, safetensors.I64, rows, t.tokens)...)
}

func tapInfos[E any](values map[tapped][]E, dtype safetensors.DType, rows []int, tokens int) []safetensors.Info {
	var list []safetensors.Info
	for at, x := range values {
		if at.rank == 0 {
			list = append(list, safetensors.Info{Name: at.key(), DType: dtype, Shape: append(slices.Clone(rows), len(x)/tokens)})
		}
	}
	return list
}

// write writes the values into the tensors of infos.
func (t *taps) write(w *safetensors.Writer) error {
	if err := writeTaps(t.floats, w.WriteFloat32); err != nil {
		return err
	}
	return writeTaps(t.ints, w.WriteInt64)
}

func writeTaps[E any](values map[tapped][]E, write func(name string, first int, x []E) error) error {
	order := func(a, b tapped) int { return cmp.Or(cmp.Compare(a.key(), b.key()), cmp.Compare(a.rank, b.rank)) }
	for _, at := range slices.SortedFunc(maps.Keys(values), order) {
		if err := write(at.key(), at.rank*len(values[at]), values[at]); err != nil {
			return err
		}
	}
	return nil
}
