package check

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"moegen/kernels/gpu"
)

// sampled is how many elements of an output of a large case are looked at, and sampledRows how many rows where those of a
// row share the work: the truth of one takes as long as a kernel does for thousands.
const sampled, sampledRows = 1 << 12, 1 << 7

// A memory holds the bytes of a case's buffers, in its order.
type memory [][]byte

func (p *program) bytesOf(m memory, buffer string) (gpu.Buffer, []byte) {
	for i, b := range p.Buffers {
		if b.Name == buffer {
			return b, m[i]
		}
	}
	panic("BUG: no buffer " + buffer)
}

// compare holds the outputs against the truth, and elements that nobody writes against what was there before. Every core
// takes a share of the elements.
func (p *program) compare(before, after memory) (*Worst, *Failure) {
	var worst *Worst
	for _, o := range p.Outputs {
		list := p.elements(o)
		share := len(list)/runtime.GOMAXPROCS(0) + 1
		found := make([]*Worst, (len(list)+share-1)/share)
		failures := make([]*Failure, len(found))
		var workers sync.WaitGroup
		for i := range found {
			part := list[i*share : min((i+1)*share, len(list))]
			workers.Go(func() { found[i], failures[i] = p.furthest(o, part, before, after) })
		}
		workers.Wait()
		for i, f := range failures {
			if f != nil {
				return worst, f
			}
			if w := found[i]; w != nil && (worst == nil || w.Miss > worst.Miss) {
				worst = w
			}
		}
	}
	if worst != nil && !(worst.Miss <= 1) {
		return worst, &Failure{Check: Value, Message: fmt.Sprintf("element %d of %s is %g and should be %g: %.3g times its tolerance off",
			worst.Element, worst.Buffer, worst.Got, worst.Want, worst.Miss)}
	}
	return worst, nil
}

// furthest returns the element of a list that is furthest from the truth, or that was written and should not have been.
func (p *program) furthest(o gpu.Output, list []int, before, after memory) (worst *Worst, f *Failure) {
	b, got := p.bytesOf(after, o.Buffer)
	_, was := p.bytesOf(before, o.Buffer)
	size := b.Elem.Bytes()
	for _, i := range list {
		want, magnitude, ok := o.Want(i)
		if !ok {
			if !o.Open && !bytes.Equal(got[i*size:(i+1)*size], was[i*size:(i+1)*size]) {
				return nil, &Failure{Check: Untouched, Message: fmt.Sprintf("element %d of %s was written, and nobody should", i, b.Name)}
			}
			continue
		}
		v := b.Value(got, i)
		if miss := finite(o.Miss(v, want, magnitude)); worst == nil || miss > worst.Miss {
			worst = &Worst{b.Name, i, finite(v), want, miss}
		}
	}
	return worst, nil
}

// finite stands in for what JSON has no numbers for.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return math.MaxFloat64
	}
	return v
}

// elements lists those that are looked at, in order: all, or of a large case the corners, the beginning, the end and a
// seeded choice, in whole rows where an output has them.
func (p *program) elements(o gpu.Output) []int {
	b, _ := p.Buffer(o.Buffer)
	row, count := 1, sampled
	if o.Row > 0 {
		row, count = o.Row, sampledRows
	}
	rows := (b.Len + row - 1) / row
	var chosen []int
	if !p.Large || rows <= count {
		for i := range rows {
			chosen = append(chosen, i)
		}
	} else {
		if o.Corners != nil {
			for _, i := range o.Corners() {
				chosen = append(chosen, i/row)
			}
		}
		rng := rand.New(rand.NewPCG(1, uint64(b.Len)))
		for i := range count {
			switch {
			case i < count/64:
				chosen = append(chosen, i)
			case i < count/32:
				chosen = append(chosen, rows-1-(i-count/64))
			default:
				chosen = append(chosen, rng.IntN(rows))
			}
		}
		slices.Sort(chosen)
		chosen = slices.Compact(chosen)
	}
	list := make([]int, 0, len(chosen)*row)
	for _, r := range chosen {
		for i := r * row; i < min((r+1)*row, b.Len); i++ {
			list = append(list, i)
		}
	}
	return list
}

// sum is a SHA-256 of the outputs, in hexadecimal: runs with the same bits have the same one.
func (p *program) sum(m memory) string {
	h := sha256.New()
	for _, o := range p.Outputs {
		_, data := p.bytesOf(m, o.Buffer)
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// differ names the first output in which two runs differ.
func (p *program) differ(a, b memory) string {
	for _, o := range p.Outputs {
		buf, x := p.bytesOf(a, o.Buffer)
		_, y := p.bytesOf(b, o.Buffer)
		if bytes.Equal(x, y) {
			continue
		}
		for i := range x {
			if x[i] != y[i] {
				return fmt.Sprintf("element %d of %s is %g and %g", i/buf.Elem.Bytes(), buf.Name,
					buf.Value(x, i/buf.Elem.Bytes()), buf.Value(y, i/buf.Elem.Bytes()))
			}
		}
	}
	return ""
}
