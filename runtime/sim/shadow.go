package sim

import (
	"fmt"
	"math/bits"
)

// The shadow of memory: for every word its last write and the reads since. Reads by several agents that are not ordered
// among one another are sets, kept in a table and shared by all words that the same agents read.
type cell struct{ w, r uint64 }

// A page has a cell for each 128 bytes, each 16 or each word: it begins with large cells and gets smaller ones when an access
// needs them.
const (
	pageBytes   = 4096
	sectorCells = pageBytes / 128
	coarseCells = pageBytes / 16
	pageCells   = pageBytes / 4

	sectorWords = pageCells / sectorCells
	setSize     = 8 // of readers remembered; older ones are forgotten
)

// mbarrierCell marks the words of a live mbarrier: only mbarrier instructions may touch them.
const mbarrierCell = flagSet

// split in cell.w: the word's bytes have cells of their own, in memory.parts.
const splitCell = flagSet | 1

// cellAt is the cell of one word.
func (m *memory) cellAt(word int) *cell {
	p := word / pageCells
	if len(m.cells[p]) < pageCells {
		m.refine(p, pageCells)
	}
	return &m.cells[p][word%pageCells]
}

// run gives the cells of up to n words from word on that lie in one page, and how many words one of them stands for. sectors:
// whether one cell may stand for 128 bytes.
func (m *memory) run(word, n int, sectors bool) (cells []cell, step int) {
	p, i := word/pageCells, word%pageCells
	n = min(n, pageCells-i)
	need := pageCells
	switch {
	case sectors && (i|n)%sectorWords == 0:
		need = sectorCells
	case (i|n)&3 == 0:
		need = coarseCells
	}
	if len(m.cells[p]) < need {
		m.refine(p, need)
	}
	page := m.cells[p]
	switch len(page) {
	case sectorCells:
		return page[i/sectorWords : (i+n)/sectorWords], sectorWords
	case coarseCells:
		return page[i/4 : (i+n)/4], 4
	}
	return page[i : i+n], 1
}

// refine gives a page n cells, or more where several lanes share one of so many.
func (m *memory) refine(p, n int) {
	old := m.cells[p]
	for i := range old {
		if n == coarseCells && (sharesWords(old[i].w) || sharesWords(old[i].r)) {
			n = pageCells
		}
	}
	page := make([]cell, n)
	for i := range page {
		if len(old) > 0 {
			c := old[i*len(old)/n]
			page[i] = cell{atWord(c.w, i*(pageCells/n)), atWord(c.r, i*(pageCells/n))}
		}
	}
	m.cells[p] = page
}

// spread is the lane field of an epoch by which each lane, one after the other, accessed so many words; the first lane those at
// a multiple of 32 times as many.
func spread(words int) uint64 {
	return uint64(laneSpread+bits.TrailingZeros(uint(words))) << laneShift
}

func isSpread(e uint64) bool { return e&flagSet == 0 && e>>laneShift&laneMask >= laneSpread }

// sharesWords tells whether lanes accessed less than 16 bytes each.
func sharesWords(e uint64) bool { return isSpread(e) && e>>laneShift&laneMask < laneSpread+2 }

// atWord is an epoch as it was at one word.
func atWord(e uint64, word int) uint64 {
	if !isSpread(e) {
		return e
	}
	lane := word >> (e>>laneShift&laneMask - laneSpread) & (warpSize - 1)
	return e&^(laneMask<<laneShift) | uint64(lane)<<laneShift
}

// otherwiseSpread tells whether the epoch is of the same interval of the same agent as mine, its lanes spread in another way.
func otherwiseSpread(e, mine uint64) bool {
	return (e^mine)&timeMask == 0 && isSpread(e) && (e^mine)>>laneShift&laneMask != 0
}

// access is one instruction's use of memory by an actor.
type access struct {
	actor *actor
	mem   *memory
	epoch uint64 // now, site and flags
	write bool
	words int  // of one lane, when lanes are to be told apart: the lane counts up every so many words; 0: all together
	lane  int  // the first lane, or of a single one
	nc    bool // through the read-only path: nothing in the same work may have written it

	from, to uint64 // memory of the last reader set extended
}

// readers is the table of reader sets.
type readers struct {
	sets [][]uint64
}

func (r *readers) get(e uint64) []uint64 { return r.sets[e&^flagSet] }

func (r *readers) add(set []uint64) uint64 {
	r.sets = append(r.sets, set)
	return flagSet | uint64(len(r.sets)-1)
}

// span checks and records an access of n bytes at off, all by one lane (or told apart by words).
func (x *access) span(off, n int) {
	if off&3 != 0 || n&3 != 0 {
		x.ragged(off, n)
		return
	}
	sectors := x.words == 0 || x.lane == 0 && n == 4*warpSize*x.words && off%n == 0
	for word, count := off>>2, n>>2; count > 0; {
		cells, step := x.mem.run(word, count, sectors)
		lane := x.lane + (word-off>>2)/max(x.words, 1)
		switch {
		case x.words == 0:
			x.cells(cells, word, step, x.epoch|epochWhole)
		case step == sectorWords:
			mine := x.epoch | spread(x.words)
			for i := range cells {
				if otherwiseSpread(cells[i].w, mine) || otherwiseSpread(cells[i].r, mine) {
					x.mem.refine(word/pageCells, pageCells)
					cells = nil
					break
				}
			}
			x.cells(cells, word, step, mine)
		case x.words < step:
			x.cells(cells, word, step, x.epoch|epochWhole)
		default:
			for i := 0; i < len(cells); i += x.words / step {
				k := min(x.words/step, len(cells)-i)
				x.cells(cells[i:i+k], word+i*step, step, x.epoch|uint64(lane)<<laneShift)
				lane++
			}
		}
		word += len(cells) * step
		count -= len(cells) * step
	}
}

// cells checks and records an access by the epoch mine to cells of step words each.
func (x *access) cells(cells []cell, word, step int, mine uint64) {
	okW, okR := uint64(0), uint64(0)
	for i := range cells {
		c := &cells[i]
		if c.w != okW && c.w != 0 {
			if c.w&flagSet != 0 {
				x.special(c, word+i*step, mine)
				continue
			}
			x.against(c.w, mine, word+i*step, false)
			okW = c.w
		}
		switch {
		case x.write:
			if c.r != 0 && c.r != okR {
				x.againstReads(c.r, mine, word+i*step)
				okR = c.r
			}
			c.w, c.r = mine, 0
		case c.r == 0:
			c.r = mine
		case c.r != mine:
			c.r = x.readers(c.r, mine)
		}
	}
}

// special handles words that have cells per byte or hold an mbarrier.
func (x *access) special(c *cell, word int, mine uint64) {
	if c.w == mbarrierCell {
		x.actor.fault(Barrier, x.lane, "%s of a live mbarrier's word at %s", x.verb(), x.mem.describe(4*word))
	}
	p := x.mem.parts[word]
	for b := range p {
		x.single(&p[b], mine, word)
	}
}

// single checks and records an access to one cell by the epoch mine.
func (x *access) single(c *cell, mine uint64, word int) {
	if c.w != 0 {
		x.against(c.w, mine, word, false)
	}
	if x.write {
		if c.r != 0 {
			x.againstReads(c.r, mine, word)
		}
		c.w, c.r = mine, 0
	} else if c.r != mine {
		c.r = x.readers(c.r, mine)
	}
}

// ragged handles accesses that cover parts of words. A word keeps one cell while the same agent touches its parts; it
// gets a cell per byte when another one comes.
func (x *access) ragged(off, n int) {
	for n > 0 {
		word := off >> 2
		k := min(4-off&3, n)
		bytes := uint64(1<<k-1) << (off & 3)
		mine := x.epoch | (32+bytes)<<laneShift
		c := x.mem.cellAt(word)
		switch {
		case c.w == mbarrierCell:
			x.special(c, word, mine)
		case c.w == splitCell || x.splits(c, bytes):
			p := x.mem.split(word)
			for b := range 4 {
				if bytes>>b&1 != 0 {
					x.single(&p[b], mine, word)
				}
			}
		default:
			old := *c
			x.single(c, mine, word)
			if x.write { // keep what the cell still knows of the word's other bytes
				c.w = mine | old.w&epochBytes(old.w)
				if old.r != 0 && old.r&flagSet == 0 && byteMask(old.r)&^bytes != 0 {
					c.r = old.r
				}
			} else if c.r&flagSet == 0 && old.r&flagSet == 0 {
				c.r |= old.r & epochBytes(old.r)
			}
		}
		off, n = off+k, n-k
	}
}

// byteMask is the part of a word that an epoch's access covered.
func byteMask(e uint64) uint64 {
	if l := e >> laneShift & laneMask; l >= 32 {
		return l - 32
	}
	return 15
}

// epochBytes is the lane field of an epoch that covers part of a word.
func epochBytes(e uint64) uint64 {
	if e == 0 || e>>laneShift&laneMask < 32 {
		return 0
	}
	return uint64(laneMask) << laneShift
}

// whole is the epoch without its lane: several lanes, all bytes.
func whole(e uint64) uint64 { return e&^(laneMask<<laneShift) | epochWhole }

// splits tells whether another agent's access to other bytes of the word makes cells per byte necessary.
func (x *access) splits(c *cell, bytes uint64) bool {
	other := func(e uint64) bool {
		return e != 0 && (e&flagSet != 0 || (e^x.epoch)&timeMask != 0 && byteMask(e)&^bytes|bytes&^byteMask(e) != 0)
	}
	return other(c.w) || other(c.r)
}

// split gives a word cells per byte, each with what the word's cell knew.
func (m *memory) split(word int) *[4]cell {
	c := m.cellAt(word)
	if c.w == splitCell {
		return m.parts[word]
	}
	p := new([4]cell)
	for b := range p {
		if c.w != 0 && byteMask(c.w)>>b&1 != 0 {
			p[b].w = c.w
		}
		if c.r != 0 && (c.r&flagSet != 0 || byteMask(c.r)>>b&1 != 0) {
			p[b].r = c.r
		}
	}
	if m.parts == nil {
		m.parts = map[int]*[4]cell{}
	}
	m.parts[word] = p
	*c = cell{w: splitCell}
	return p
}

// readers adds the epoch to those that read a word; members that happened before it are dropped.
func (x *access) readers(old, mine uint64) uint64 {
	if old == 0 {
		return mine
	}
	if old == x.from && x.to != 0 && mine&timeMask == x.to&timeMask {
		return mine
	}
	a := x.actor
	if old&flagSet == 0 {
		if (old^mine)&timeMask == 0 {
			if (old^mine)>>laneShift&laneMask != 0 {
				mine = whole(mine) // read by several lanes
			}
			return mine
		}
		if a.clock.after(a.machine, old) {
			x.from, x.to = old, mine
			return mine
		}
	}
	return a.machine.extend(a, old, mine)
}

// extend makes the set of old and mine, or finds it if it was made just before.
func (m *Machine) extend(a *actor, old, mine uint64) uint64 {
	key := whole(mine)
	if m.lastOld == old && m.lastMine == key {
		return m.lastSet
	}
	var set []uint64
	if old&flagSet != 0 {
		set = m.readers.get(old)
	} else {
		set = []uint64{old}
	}
	next := make([]uint64, 0, len(set)+1)
	for _, e := range set {
		if (e^key)&timeMask == 0 && e&flagAsync == key&flagAsync {
			if m.lastOld, m.lastMine, m.lastSet = old, key, old; old&flagSet != 0 {
				return old
			}
			continue
		}
		if !a.clock.after(m, e) {
			next = append(next, e)
		}
	}
	next = append(next, key)
	if len(next) > setSize {
		next = next[len(next)-setSize:]
	}
	out := next[0]
	if len(next) > 1 {
		out = m.readers.add(next)
	}
	m.lastOld, m.lastMine, m.lastSet = old, key, out
	return out
}

// against checks the access with an earlier one and ends the run if they race.
func (x *access) against(e, mine uint64, word int, read bool) {
	a := x.actor
	if x.nc && a.machine.workOf(e) == a.clock.dom.work {
		x.report(Race, e, word, read, "ld.global.nc is for memory that nothing writes during the kernel")
	}
	if (e^mine)&(agentMask<<clockBits) == 0 {
		lane, other := mine>>laneShift&laneMask, e>>laneShift&laneMask
		if lane == other || lane >= 32 || other >= 32 || (e^mine)&clockMask != 0 || a.async || e&mine&flagStrong != 0 {
			return
		}
		x.report(Race, e, word, read, "another lane of the same warp, and no bar.warp.sync lies between")
	}
	if e&timeMask == a.checked {
		return
	}
	if e&mine&flagStrong != 0 {
		return
	}
	if !a.clock.after(a.machine, e) {
		x.report(Race, e, word, read, "nothing orders the two")
	}
	if a.async && !read && e&flagAsync == 0 && !a.proxy.after(a.machine, e) {
		x.report(Proxy, e, word, read, "no fence.proxy.async lies between the generic access and the asynchronous one")
	}
	if !a.async || !read {
		a.checked = e & timeMask
	}
}

func (x *access) againstReads(r, mine uint64, word int) {
	if r&flagSet == 0 {
		x.against(r, mine, word, true)
		return
	}
	for _, e := range x.actor.machine.readers.get(r) {
		x.against(e, mine, word, true)
	}
}

func (x *access) verb() string {
	if x.write {
		return "write"
	}
	return "read"
}

// report ends the run with both accesses named.
func (x *access) report(k Kind, e uint64, word int, read bool, why string) {
	verb := "written"
	if read {
		verb = "read"
	}
	lane := x.lane
	if lane >= warpSize {
		lane = -1
	}
	x.actor.fault(k, lane, "%s of %s, %s before by %s: %s", x.verb(), x.mem.describe(4*word), verb, x.actor.machine.describe(atWord(e, word)), why)
}

// workOf is the work that an epoch's agent belongs to, nil when it has long finished.
func (m *Machine) workOf(e uint64) *Work {
	agent := uint32(e >> clockBits & agentMask)
	if agent < m.floor || len(m.domains) == 0 {
		return nil
	}
	return m.domainOf(agent).work
}

// describe names the agent and the instruction of an epoch.
func (m *Machine) describe(e uint64) string {
	agent := uint32(e >> clockBits & agentMask)
	if agent < m.floor || len(m.domains) == 0 {
		return "earlier work"
	}
	d := m.domainOf(agent)
	if d.cluster == nil {
		return d.work.name()
	}
	i := int(agent - d.base)
	c := d.cluster.ctas[i/d.per]
	line := ""
	if site := int(e >> siteShift & siteMask); site > 0 && site < siteMask {
		line = fmt.Sprintf(" at line %d", d.work.lineOf(site-1))
	}
	who := fmt.Sprintf("warp %d", i%d.per)
	if i%d.per >= d.warps {
		who = "an asynchronous operation"
	} else if l := e >> laneShift & laneMask; l < 32 {
		who += fmt.Sprintf(" lane %d", l)
	}
	return fmt.Sprintf("%s of CTA %d,%d,%d%s", who, c.index[0], c.index[1], c.index[2], line)
}
