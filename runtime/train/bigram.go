package train

import "math"

// bytePairs counts how often a byte follows another.
type bytePairs [256][256]int64

// after counts the bytes of text, which come after those of before.
func (p *bytePairs) after(before, text []byte) {
	for _, b := range text {
		if n := len(before); n > 0 {
			p[before[n-1]][b]++
		}
		before = []byte{b}
	}
}

// bits is the entropy of a byte given the byte before it, in bits: no model that sees one byte of context can spend
// fewer on the bytes that were counted.
func (p *bytePairs) bits() float64 {
	total, bits := int64(0), 0.0
	for _, row := range p {
		sum := int64(0)
		for _, n := range row {
			sum += n
		}
		for _, n := range row {
			if n > 0 {
				bits += float64(n) * math.Log2(float64(sum)/float64(n))
			}
		}
		total += sum
	}
	return bits / float64(max(1, total))
}
