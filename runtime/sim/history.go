package sim

// A history is a set of works that have finished. Works stand in chains, each after the one before it, and a history says how
// many of each chain: of streams there are few, of works many. Histories are shared and never changed.
type history []int32

// has tells whether the work is in the history.
func (h history) has(w *Work) bool { return w.chain < len(h) && h[w.chain] > w.place }

// within tells whether all of h is in o.
func (h history) within(o history) bool {
	for i, n := range h {
		if n > 0 && (i >= len(o) || o[i] < n) {
			return false
		}
	}
	return true
}

// join is what either history has.
func (h history) join(o history) history {
	switch {
	case len(o) == 0 || len(o) == len(h) && &o[0] == &h[0]:
		return h
	case o.within(h):
		return h
	case h.within(o):
		return o
	case len(h) < len(o):
		h, o = o, h
	}
	out := append(history(nil), h...)
	for i, n := range o {
		out[i] = max(out[i], n)
	}
	return out
}

// place puts a work that comes after those of its history at the end of a chain, a new one where no chain ends with one of them.
func (m *Machine) place(w *Work) {
	w.chain = 0
	for w.chain < len(m.chains) && (w.chain >= len(w.before) || w.before[w.chain] < m.chains[w.chain]) {
		w.chain++
	}
	if w.chain == len(m.chains) {
		m.chains = append(m.chains, 0)
	}
	w.place = m.chains[w.chain]
	m.chains[w.chain]++
	w.past = make(history, max(len(w.before), w.chain+1))
	copy(w.past, w.before)
	w.past[w.chain] = w.place + 1
}
