package sim

import "sort"

// Vector clocks. An agent is a warp, or one of the places that asynchronous operations of a CTA take in turn. The agents
// of a cluster form a domain and keep dense clocks of one another; what a domain learns of other domains, through global
// memory, is kept beside it, one vector per domain.
type domain struct {
	base    uint32 // its first agent's number
	n       int
	per     int // agents of one CTA
	warps   int // of one CTA
	work    *Work
	cluster *cluster
	places  []uint32 // clocks of the asynchronous places
}

// asyncPlaces is how many asynchronous operations of a CTA have clocks of their own before places are used again; an
// operation that follows in the place of another counts as after it.
const asyncPlaces = 48

// An epoch is one access: who, when, where from, how. It packs into a word.
//
//	bits 0-19 clock, 20-40 agent, 41-54 site (index of the instruction + 1), 55-60 lane, 61 strong, 62 async, 63 a set
//
// lane: 0-31 one lane wrote the whole word; 32 + mask: several lanes or a part of the word, bytes in the mask; 48 + k: lanes of 2^k
// words each, by position (spread).
const (
	clockBits  = 20
	clockMask  = 1<<clockBits - 1
	agentBits  = 21
	agentMask  = 1<<agentBits - 1
	siteShift  = clockBits + agentBits
	siteMask   = 1<<14 - 1
	laneShift  = siteShift + 14
	laneMask   = 63
	laneSpread = 48
	epochWhole = uint64(32+15) << laneShift
	flagStrong = 1 << 61
	flagAsync  = 1 << 62
	flagSet    = 1 << 63
	timeMask   = 1<<siteShift - 1 // clock and agent: what order depends on
)

// clock is what an agent knows to have happened: own counts the agents of its domain, far those of others, done the works
// that ended before.
type clock struct {
	dom  *domain
	own  []uint32
	far  map[*domain][]uint32 // shared between clocks, never changed in place
	done history              // likewise
}

func newClock(d *domain) clock { return clock{dom: d, own: make([]uint32, d.n)} }

func (c *clock) copy() clock {
	return clock{dom: c.dom, own: append([]uint32(nil), c.own...), far: c.far, done: c.done}
}

func maxInto(a, b []uint32) {
	b = b[:len(a)]
	for i, x := range a {
		if b[i] > x {
			a[i] = b[i]
		}
	}
}

// join adds what b knows.
func (c *clock) join(b *clock) {
	if b.dom == nil {
		return
	}
	if b.dom.work != c.dom.work {
		c.done = c.done.join(b.dom.work.before)
	}
	if b.dom == c.dom {
		maxInto(c.own, b.own)
	} else {
		c.joinFar(b.dom, b.own)
	}
	c.adopt(b)
}

// meet keeps what b knows too, of the agents of the domain but one.
func (c *clock) meet(b *clock, except int) {
	for i := range c.own {
		if i != except {
			c.own[i] = min(c.own[i], b.own[i])
		}
	}
}

func (c *clock) joinFar(d *domain, v []uint32) {
	old := c.far[d]
	newer := len(old) == 0
	for i := range old {
		newer = newer || v[i] > old[i]
	}
	if !newer {
		return
	}
	far := make(map[*domain][]uint32, len(c.far)+1)
	for k, x := range c.far {
		far[k] = x
	}
	n := append([]uint32(nil), v...)
	if old != nil {
		maxInto(n, old)
	}
	far[d] = n
	c.far = far
}

// after tells whether the epoch's access happened before what the clock's owner does now.
func (c *clock) after(m *Machine, e uint64) bool {
	agent := uint32(e >> clockBits & agentMask)
	if i := agent - c.dom.base; i < uint32(c.dom.n) {
		return uint64(c.own[i]) >= e&clockMask
	}
	if agent < m.floor {
		return true
	}
	d := m.domainOf(agent)
	if d.work != c.dom.work {
		if c.dom.work.follows(d.work) || c.done.has(d.work) {
			return true
		}
	}
	if v := c.far[d]; v != nil {
		return uint64(v[agent-d.base]) >= e&clockMask
	}
	return false
}

func (m *Machine) domainOf(agent uint32) *domain {
	i := sort.Search(len(m.domains), func(i int) bool { return m.domains[i].base > agent })
	return m.domains[i-1]
}

// newDomain numbers the agents of a cluster. places: whether asynchronous operations may occur.
func (m *Machine) newDomain(work *Work, c *cluster, ctas, warps int, places bool) *domain {
	per := warps
	if places {
		per += asyncPlaces
	}
	if m.races && int(m.nextAgent)+ctas*per > agentMask {
		panic(&Error{Kind: Limit, Warp: -1, Lane: -1, Msg: "more warps than the race checker can tell apart before the host waits"})
	}
	d := &domain{base: m.nextAgent, n: ctas * per, per: per, warps: warps, work: work, cluster: c}
	d.places = make([]uint32, ctas*asyncPlaces)
	m.nextAgent += uint32(d.n)
	m.domains = append(m.domains, d)
	return d
}

// An actor is an agent at work: what it may access without a race is decided by its clocks.
type actor struct {
	machine *Machine
	clock   clock
	proxy   clock // what happened before and passed a proxy fence
	index   int   // in its domain
	now     uint64
	async   bool
	step    *step  // of an asynchronous operation: the instruction that issued it
	checked uint64 // clock and agent of the last epoch found to be before
	warp    *warp
}

// tick starts a new interval: what the agent does from now on is not covered by what it published before.
func (a *actor) tick() {
	n := a.clock.own[a.index] + 1
	if n > clockMask {
		panic(&Error{Kind: Limit, Warp: -1, Lane: -1, Msg: "more synchronisation by one warp than the race checker counts"})
	}
	a.clock.own[a.index] = n
	a.now = uint64(n) | uint64(a.clock.dom.base+uint32(a.index))<<clockBits
}

// join takes over what a published state knows.
func (a *actor) join(c, proxy *clock) {
	a.clock.join(c)
	a.proxy.join(proxy)
}

// published is what a release made known at a memory location, or an mbarrier's or a barrier's arrivals did.
type published struct {
	clock, proxy clock
	scope        string
	by           *cta
	number       uint64 // of the last publication at a memory location, among all
}

// add joins an arrival.
func (p *published) add(a *actor) {
	if p.clock.dom == nil {
		p.clock, p.proxy = a.clock.copy(), a.proxy.copy()
		return
	}
	p.clock.join(&a.clock)
	p.proxy.join(&a.proxy)
}

func (p *published) clear() { p.clock, p.proxy = clock{}, clock{} }
