package check

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"

	"moegen/kernels/gpu"
)

// sampled is how many elements of an output of a large case are looked at: their truth may take a while.
const sampled = 1 << 13

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

// compare holds the outputs against the truth, and elements that nobody writes against what was there before.
func (p *program) compare(before, after memory) (*Worst, *Failure) {
	var worst *Worst
	for _, o := range p.Outputs {
		b, got := p.bytesOf(after, o.Buffer)
		_, was := p.bytesOf(before, o.Buffer)
		size := b.Elem.Bytes()
		for _, i := range p.elements(b.Len) {
			want, _, ok := o.Want(i)
			if !ok {
				if !o.Open && !bytes.Equal(got[i*size:(i+1)*size], was[i*size:(i+1)*size]) {
					return worst, &Failure{Check: Untouched, Message: fmt.Sprintf("element %d of %s was written, and nobody should", i, b.Name)}
				}
				continue
			}
			v := b.Value(got, i)
			if miss := o.Miss(v, i); worst == nil || miss > worst.Miss || math.IsNaN(miss) {
				worst = &Worst{b.Name, i, finite(v), want, finite(miss)}
			}
		}
	}
	if worst != nil && !(worst.Miss <= 1) {
		return worst, &Failure{Check: Value, Message: fmt.Sprintf("element %d of %s is %g and should be %g: %.3g times its tolerance off",
			worst.Element, worst.Buffer, worst.Got, worst.Want, worst.Miss)}
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

// elements lists those that are looked at: all, or of a large case the first, the last and a seeded choice.
func (p *program) elements(n int) []int {
	count := n
	if p.Large {
		count = min(n, sampled)
	}
	list := make([]int, count)
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range list {
		switch {
		case count == n || i < 64:
			list[i] = i
		case i < 128:
			list[i] = n - 1 - (i - 64)
		default:
			list[i] = rng.IntN(n)
		}
	}
	return list
}

// differ names the first output in which two runs differ.
func (p *program) differ(a, b memory) string {
	for _, o := range p.Outputs {
		buf, x := p.bytesOf(a, o.Buffer)
		_, y := p.bytesOf(b, o.Buffer)
		for i := range x {
			if x[i] != y[i] {
				return fmt.Sprintf("element %d of %s is %g and %g", i/buf.Elem.Bytes(), buf.Name,
					buf.Value(x, i/buf.Elem.Bytes()), buf.Value(y, i/buf.Elem.Bytes()))
			}
		}
	}
	return ""
}
