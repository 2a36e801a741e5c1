package data

import (
	"slices"
)

// Batch is rows of tokens as a program reads them, one row after the other, all slices of the same length.
type Batch struct {
	Tokens    []int32 // ids
	Targets   []int32 // the id to predict at each token, -100: none
	Positions []int32 // of the token in its document, or in the row if the document began before
	Starts    []int32 // index in the row at which the token's document begins: it attends to nothing before
}

// row is row i of rows of n tokens.
func (b Batch) row(i, n int) Batch {
	from, to := i*n, (i+1)*n
	return Batch{b.Tokens[from:to], b.Targets[from:to], b.Positions[from:to], b.Starts[from:to]}
}

// ignore is a target that does not count.
const ignore = -100

// Rows is a text cut into rows: its documents one after the other, in rows of Seq tokens of which the last is
// padded. A token is the target of the one before it in its document; tokens see nothing of other documents. What is
// left at the end without a target, the last token of a document by itself, makes no row.
type Rows struct {
	text *Text
	seq  int
	docs []span
	ends []int64 // of the documents, counted in the tokens of these rows
	n    int
}

func newRows(t *Text, documents []span, seq int) *Rows {
	r := &Rows{text: t, seq: seq, docs: documents}
	var n int64
	for _, d := range documents {
		n += d.end - d.begin
		r.ends = append(r.ends, n)
	}
	r.n = int((n + int64(seq) - 1) / int64(seq))
	for r.n > 1 && r.Targets(r.n-1) == 0 {
		r.n--
	}
	return r
}

// tokens is the number of tokens without padding.
func (r *Rows) tokens() int64 {
	if len(r.ends) == 0 {
		return 0
	}
	return r.ends[len(r.ends)-1]
}

// Len is the number of rows.
func (r *Rows) Len() int { return r.n }

// each calls f for the parts of documents in row i: tokens [at, at+n) of the row are those of the document from
// its token first on, and the document goes on behind them if more is set.
func (r *Rows) each(i int, f func(doc span, first int64, at, n int, more bool)) {
	begin := int64(i) * int64(r.seq)
	end := min(begin+int64(r.seq), r.tokens())
	d, _ := slices.BinarySearch(r.ends, begin+1) // the first document that ends behind the row's first token
	for at := begin; at < end; d++ {
		doc := r.docs[d]
		docBegin := r.ends[d] - (doc.end - doc.begin)
		to := min(r.ends[d], end)
		f(doc, at-docBegin, int(at-begin), int(to-at), to < r.ends[d])
		at = to
	}
}

// Targets is the number of tokens of row i that have a target.
func (r *Rows) Targets(i int) int {
	count := 0
	r.each(i, func(_ span, _ int64, _, n int, more bool) {
		count += n
		if !more {
			count--
		}
	})
	return count
}

// Read stores row i as row at of the batch.
func (r *Rows) Read(i int, b Batch, at int) error {
	b = b.row(at, r.seq)
	for t := range b.Tokens { // padding: each token a document of its own
		b.Tokens[t], b.Targets[t], b.Positions[t], b.Starts[t] = 0, ignore, 0, int32(t)
	}
	var err error
	r.each(i, func(doc span, first int64, at, n int, more bool) {
		with := n
		if more {
			with++ // the target of the last
		}
		ids := make([]int32, with)
		if e := r.text.spool.read(doc.begin+first, ids); e != nil {
			err = e
			return
		}
		copy(b.Tokens[at:], ids[:n])
		copy(b.Targets[at:], ids[1:])
		for t := range n {
			b.Positions[at+t], b.Starts[at+t] = int32(t), int32(at)
		}
	})
	return err
}

// Order is the order in which rows are drawn: all of them once an epoch, shuffled anew in every epoch, by the
// seed. It has no state.
type Order struct {
	Rows int
	Seed uint64
}

// At is the row of draw n, n ≥ 0.
//
// The permutation of an epoch is a Feistel network (Luby and Rackoff 1988) on the smallest even number of bits
// that can count the rows, applied again until its value is one of a row (cycle walking, Black and Rogaway 2002).
func (o Order) At(n int) int {
	epoch, i := uint64(n/o.Rows), uint64(n%o.Rows)
	half := 1
	for uint64(1)<<(2*half) < uint64(o.Rows) {
		half++
	}
	mask := uint64(1)<<half - 1
	for {
		left, right := i>>half, i&mask
		for round := range uint64(6) {
			left, right = right, left^mix(mix(o.Seed^mix(epoch))+round<<32+right)&mask
		}
		i = left<<half | right
		if i < uint64(o.Rows) {
			return int(i)
		}
	}
}

// mix is one value of splitmix64 (Steele, Lea and Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
