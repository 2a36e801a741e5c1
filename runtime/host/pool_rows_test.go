package host

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// Received rows come back as they were, from the pool or, where they found no room, from the ranks that have them: of three layers the
// first fits whole on every rank, and what fits behind it depends on what the rank received.
func TestPoolOfRows(t *testing.T) {
	const d, layers = 5, 3
	for _, x := range exchanges() {
		m := openMachine(t, x.all, 1<<18)
		mean := 0
		for rank := range x.all {
			source, _ := x.plan(rank)
			mean += len(source)
		}
		rows := max(x.ranks*x.t, (layers*mean+x.all-1)/x.all)
		refusals := make([]int32, x.all)
		m.Run(func(r *Rank) {
			at := int64(1 << 17)
			f32 := func(n int) []float32 { at += 4 * int64(n); return r.F32(at-4*int64(n), n) }
			i32 := func(n int) []int32 { at += 4 * int64(n); return r.I32(at-4*int64(n), n) }
			pool, use, slot := f32(rows*d), i32(2*(layers+1)), i32(layers)
			b := x.buffers(r, d)
			for i := range pool {
				pool[i] = float32(math.NaN())
			}
			copy(use, []int32{7, 7})
			received := func(layer int) (want []float32) {
				source, _ := x.plan(r.ID)
				for _, s := range source {
					sent := normal(uint64(100*layer+x.group(r.ID)+int(s)/x.t), x.t*d)
					want = append(want, sent[int(s)%x.t*d:][:d]...)
				}
				return want
			}
			DispatchPlan(r, x.ranks, x.t, x.k, x.l, b.idx, b.received, b.source, b.position, b.idxLocal)
			n := int(b.received[0])
			KeepNone(use[:2])
			for layer := range layers {
				copy(b.x, normal(uint64(100*layer+r.ID), x.t*d))
				KeepRows(r, x.ranks, x.t, d, b.source, b.received, b.x, b.y, pool, use[2*layer:][:2], use[2*layer+2:][:2], slot[layer:][:1])
				wantBits(t, fmt.Sprint(x.name, " kept ", layer), b.y[:n*d], received(layer))
			}
			fit := layers
			if n > 0 {
				fit = min(layers, rows/n)
			}
			for layer := range layers {
				want := int32(layer * n)
				if layer >= fit {
					want = -1
				}
				if slot[layer] != want {
					t.Errorf("%s, rank %d: layer %d of %d rows is at %d of %d, want %d", x.name, r.ID, layer, n, slot[layer], rows, want)
				}
			}
			if got, want := use[2*layers:], []int32{int32(fit * n), int32(layers - fit)}; !slices.Equal(got, want) {
				t.Errorf("%s, rank %d: %d of %d rows and refusals, want %d", x.name, r.ID, got, rows, want)
			}
			refusals[r.ID] = use[2*layers+1]
			for layer := layers - 1; layer >= 0; layer-- {
				copy(b.x, normal(uint64(100*layer+r.ID), x.t*d))
				for i := range b.y {
					b.y[i] = float32(math.NaN())
				}
				RestoreRows(r, x.ranks, x.t, d, b.source, b.received, b.x, pool, slot[layer:][:1], b.y)
				clear(b.x) // nobody may still be reading it
				wantBits(t, fmt.Sprint(x.name, " restored ", layer), b.y[:n*d], received(layer))
			}
		})
		if x.name == "all to the last rank" && x.ranks > 2 && !slices.Contains(refusals, 2) {
			t.Errorf("%s of %d: %d times no room, want 2 layers", x.name, x.ranks, refusals)
		}
	}
}
