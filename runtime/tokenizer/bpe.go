package tokenizer

import (
	"container/heap"
	"slices"
)

// model is byte-pair encoding over bytes.
type model struct {
	byteID     [256]int32       // id of each single byte
	vocab      map[string]int32 // text of a token, in bytes, to its id
	merges     map[pair]merge
	wholeWords bool // a word that is in the vocabulary is taken as it stands ("ignore_merges")
}

// pair is two neighbouring tokens.
type pair struct{ left, right int32 }

// merge is what becomes of a pair; those of lower rank come first.
type merge struct{ rank, id int32 }

// bytesOnly reports that every byte is a token of its own, whatever its neighbours.
func (m *model) bytesOnly() bool { return len(m.merges) == 0 && !m.wholeWords }

// scratch is what one goroutine needs to encode.
type scratch struct {
	cache   map[string][]int32 // ids of words met before
	symbols []symbol
	queue   queue
}

// Words up to cachedWord bytes are kept, at most cachedWords of them: a few MiB.
const (
	cachedWord  = 32
	cachedWords = 1 << 14
)

// symbol is a token of the word under way, in a list that merging shortens.
type symbol struct {
	id         int32
	prev, next int32 // positions of the neighbours, -1 at the ends
	gone       bool  // merged into the one before
}

// candidate is a pair that might be merged, valid while its two tokens are.
type candidate struct {
	merge
	at   int32 // position of the left token
	pair pair
}

// queue is a heap of candidates by rank, then from left to right.
type queue []candidate

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].rank < q[j].rank || q[i].rank == q[j].rank && q[i].at < q[j].at
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(candidate)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// encode appends the ids of a word.
func (m *model) encode(dst []int32, word []byte, s *scratch) []int32 {
	if m.bytesOnly() {
		n := len(dst)
		dst = slices.Grow(dst, len(word))[:n+len(word)]
		for i, b := range word {
			dst[n+i] = m.byteID[b]
		}
		return dst
	}
	if ids, ok := s.cache[string(word)]; ok {
		return append(dst, ids...)
	}
	first := len(dst)
	if id, ok := m.vocab[string(word)]; ok && m.wholeWords {
		dst = append(dst, id)
	} else {
		dst = m.merge(dst, word, s)
	}
	if len(word) <= cachedWord && len(s.cache) < cachedWords {
		s.cache[string(word)] = append([]int32(nil), dst[first:]...)
	}
	return dst
}

// merge joins, again and again, the pair of lowest rank, the leftmost of equals.
func (m *model) merge(dst []int32, word []byte, s *scratch) []int32 {
	s.symbols, s.queue = s.symbols[:0], s.queue[:0]
	for i, b := range word {
		s.symbols = append(s.symbols, symbol{id: m.byteID[b], prev: int32(i) - 1, next: int32(i) + 1})
	}
	s.symbols[len(word)-1].next = -1
	for i := range len(word) - 1 {
		m.consider(s, int32(i))
	}
	for len(s.queue) > 0 {
		c := heap.Pop(&s.queue).(candidate)
		left := &s.symbols[c.at]
		if left.gone || left.next < 0 || (pair{left.id, s.symbols[left.next].id}) != c.pair {
			continue
		}
		right := &s.symbols[left.next]
		right.gone = true
		left.id, left.next = c.id, right.next
		if left.next >= 0 {
			s.symbols[left.next].prev = c.at
			m.consider(s, c.at)
		}
		if left.prev >= 0 {
			m.consider(s, left.prev)
		}
	}
	for at := int32(0); at >= 0; at = s.symbols[at].next {
		dst = append(dst, s.symbols[at].id)
	}
	return dst
}

// consider queues the pair that starts at a position, if it can be merged.
func (m *model) consider(s *scratch, at int32) {
	left := s.symbols[at]
	p := pair{left.id, s.symbols[left.next].id}
	if found, ok := m.merges[p]; ok {
		heap.Push(&s.queue, candidate{found, at, p})
	}
}
