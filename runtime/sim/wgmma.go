package sim

import "strings"

// A wgmmaForm is a lowered wgmma.mma_async.
type wgmmaForm struct {
	elem, elemB dtype
	n, k        int
	d, a        []int // slots; a empty: from shared memory
	descA       int
	descB       int
	scale       int // predicate slot: accumulate
	flip        uint32
	negA, negB  bool
	tranA       bool
	tranB       bool
	step        *step
}

// wgmmaState is a warp's part in its warpgroup's operations.
type wgmmaState struct {
	open     []*product
	closed   [][]*product
	inFlight []uint16 // by slot: unfinished operations that use it
	shape    []int    // by slot: n of the operation that accumulates in it
	busy     bool
	fenced   bool
	issued   int // operations so far: the warps of a group must issue the same ones
}

// A product is one wgmma under way: it is issued when the fourth warp has come.
type product struct {
	form    *wgmmaForm
	op      *operation
	warps   [4]*warp
	regs    [4]*activation // of the warps
	arrived int
	descA   uint64
	descB   uint64
	add     bool
	result  *computation // once it has run
}

func (p *product) done() bool { return p.op != nil && p.op.done }

// wgmma lowers the warpgroup's matrix instructions.
func (l *lowering) wgmma() {
	s := l.step
	s.aligned = true
	switch l.in.mods[0] {
	case "fence":
		s.run = func(w *warp, m uint32) { w.wgmma.fenced = true }
	case "commit_group":
		s.run = func(w *warp, m uint32) {
			w.wgmma.closed = append(w.wgmma.closed, w.wgmma.open)
			w.wgmma.open = nil
		}
	case "wait_group":
		n := int(l.in.args[0].bits)
		s.kind = stepTry
		s.try = func(w *warp, m uint32) bool { return w.waitProducts(n) }
	default:
		l.asyncProduct()
	}
}

func (l *lowering) asyncProduct() {
	in := l.in
	args := in.args
	f := &wgmmaForm{elem: in.types[1], elemB: in.types[2], step: l.step}
	var shape string
	for _, m := range in.mods {
		if strings.HasPrefix(m, "m64n") {
			shape = m
		}
	}
	n, k, _ := strings.Cut(shape[4:], "k")
	f.n, f.k = atoi(n), atoi(k)
	if len(args[0].list) != f.n/2 {
		l.fail(Syntax, "%s accumulates in %d registers, %d are given", shape, f.n/2, len(args[0].list))
		return
	}
	for _, e := range args[0].list {
		f.d = append(f.d, l.source(e, typeNamed("f32")))
	}
	b64 := typeNamed("b64")
	if args[1].kind == operandVector {
		if len(args[1].list) != 4 {
			l.fail(Syntax, "A takes 4 registers, %d are given", len(args[1].list))
			return
		}
		for _, e := range args[1].list {
			f.a = append(f.a, l.source(e, typeNamed("b32")))
		}
	} else {
		f.descA = l.source(args[1], b64)
	}
	f.descB = l.source(args[2], b64)
	f.scale, f.flip = l.predicate(args[3])
	scales := [2]int64{int64(args[4].bits), int64(args[5].bits)}
	for _, x := range scales {
		if x != 1 && x != -1 {
			l.fail(Syntax, "imm-scale is 1 or -1")
		}
	}
	f.negA, f.negB = scales[0] < 0, scales[1] < 0
	trans := args[6:]
	want := 0
	if f.elem.bits == 16 {
		want = 2 - bit2(len(f.a) > 0)
	}
	if len(trans) != want {
		l.fail(Syntax, "%d transpose operands, %d are given", want, len(trans))
		return
	}
	if want == 2 {
		f.tranA = trans[0].bits != 0
	}
	if want > 0 {
		f.tranB = trans[want-1].bits != 0
	}
	l.step.run = func(w *warp, m uint32) { w.issue(f, m) }
}

func bit2(b bool) int { return int(bit(b)) }

// issue makes or joins the warpgroup's next operation.
func (w *warp) issue(f *wgmmaForm, m uint32) {
	if m != full {
		w.fault(Divergence, lowest(^m), "wgmma needs 32 lanes of four warps")
	}
	group := w.id / 4
	if len(w.cta.warps) < 4*group+4 {
		w.fault(Divergence, -1, "warp %d is in no whole warpgroup: the CTA has %d warps", w.id, len(w.cta.warps))
	}
	w.checkProduct(f)
	p := w.cta.product(group, w.wgmma.issued)
	w.wgmma.issued++
	if p.arrived == 0 {
		p.form = f
		p.descB = w.uniform64(f.descB)
		if len(f.a) == 0 {
			p.descA = w.uniform64(f.descA)
		}
		p.add = w.uniformPredicate(f)
	} else if p.form != f || p.descB != w.uniform64(f.descB) || len(f.a) == 0 && p.descA != w.uniform64(f.descA) || p.add != w.uniformPredicate(f) {
		w.fault(Divergence, -1, "the warps of the warpgroup do not execute the same wgmma with the same operands")
	}
	p.warps[w.id%4], p.regs[w.id%4] = w, w.cur.act
	p.arrived++
	w.own(f, 1)
	w.wgmma.open = append(w.wgmma.open, p)
	if p.arrived == 4 {
		w.launchProduct(p, group)
	}
}

// checkProduct refuses registers that other operations still use, and accumulators that the program touched after the
// last wgmma.fence.
func (w *warp) checkProduct(f *wgmmaForm) {
	s := &w.wgmma
	if len(s.inFlight) < len(w.def) {
		s.inFlight, s.shape = make([]uint16, len(w.def)), make([]int, len(w.def))
	}
	if !s.fenced {
		w.fault(InFlight, -1, "registers of this wgmma were touched, or none was issued before, and no wgmma.fence follows")
	}
	for _, r := range f.d {
		if s.inFlight[r] > 0 && s.shape[r] != f.n {
			w.fault(InFlight, -1, "an accumulator belongs to an unfinished wgmma of another shape")
		}
	}
	for _, r := range f.a {
		if s.inFlight[r] > 0 && s.shape[r] > 0 {
			w.fault(InFlight, -1, "an A register is the accumulator of an unfinished wgmma")
		}
	}
	if w.uniformPredicate(f) {
		for _, r := range f.d {
			w.needs(r, full)
		}
	}
	for _, r := range f.a {
		w.needs(r, full)
	}
}

// own adds the operation to those that use its registers, or takes it away.
func (w *warp) own(f *wgmmaForm, n int) {
	s := &w.wgmma
	for _, r := range f.d {
		s.inFlight[r] += uint16(n)
		s.shape[r] = f.n
		if s.inFlight[r] == 0 {
			s.shape[r] = 0
		}
		w.def[r] = full
	}
	for _, r := range f.a {
		s.inFlight[r] += uint16(n)
	}
	s.busy = true
}

// checkInFlight refuses an instruction that touches registers of an unfinished wgmma.
func (w *warp) checkInFlight(s *step) {
	for _, r := range s.touched {
		if w.wgmma.inFlight[r] > 0 {
			w.fault(InFlight, -1, "a register of an unfinished wgmma is touched; wgmma.wait_group comes before")
		}
	}
}

func (w *warp) uniform64(slot int) uint64 {
	v := w.v64(slot)
	if w.def[slot] != full {
		w.fault(Undefined, lowest(^w.def[slot]), "a matrix descriptor is undefined")
	}
	for i, x := range v {
		if x != v[0] {
			w.fault(Divergence, i, "a matrix descriptor differs between lanes")
		}
	}
	return v[0]
}

func (w *warp) uniformPredicate(f *wgmmaForm) bool {
	if w.pdef[f.scale] != full {
		w.fault(Undefined, lowest(^w.pdef[f.scale]), "scale-d is undefined")
	}
	p := w.p[f.scale] ^ f.flip
	if p != 0 && p != full {
		w.fault(Divergence, lowest(^p), "scale-d differs between lanes")
	}
	return p == full
}

// product is the warpgroup's operation number n; earlier ones that all warps issued are forgotten.
func (c *cta) product(group, n int) *product {
	for len(c.products) <= group {
		c.products = append(c.products, warpgroup{})
	}
	g := &c.products[group]
	for g.first+len(g.list) <= n {
		g.list = append(g.list, &product{})
	}
	p := g.list[n-g.first]
	for len(g.list) > 1 && g.list[0].arrived == 4 && g.first < n {
		g.list = g.list[1:]
		g.first++
	}
	return p
}

// A warpgroup's operations that not all of its warps have issued, and the last one that all have.
type warpgroup struct {
	first int
	list  []*product
	last  *product
}

func (w *warp) launchProduct(p *product, group int) {
	o := w.newOperation(false)
	if w.cta.machine.races {
		for _, x := range p.warps {
			if x != w { // each warp issues its quarter: what is ordered before all of them is ordered before the product
				o.actor.clock.meet(&x.actor.clock, o.actor.index)
				o.actor.proxy.meet(&x.actor.proxy, o.actor.index)
				x.actor.tick()
			}
		}
	}
	g := &w.cta.products[group]
	if g.last != nil && !g.last.op.done {
		o.after = []*operation{g.last.op}
	}
	before := g.last
	g.last, p.op = p, o
	o.write = func() { p.run(before) }
	w.cta.grid.counters.TensorOps += int64(2 * 64 * p.form.n * p.form.k)
	o.start()
	w.cta.machine.event()
}

// waitProducts is wgmma.wait_group: all but the newest n groups must be finished.
func (w *warp) waitProducts(n int) bool {
	s := &w.wgmma
	finish := max(0, len(s.closed)-n)
	for _, g := range s.closed[:finish] {
		for _, p := range g {
			if !p.done() {
				return false
			}
		}
	}
	for _, g := range s.closed[:finish] {
		for _, p := range g {
			w.cta.machine.await(p.result)
			w.own(p.form, -1)
			if w.cta.machine.races {
				w.actor.join(&p.op.actor.clock, &p.op.actor.proxy)
			}
		}
	}
	s.closed = s.closed[finish:]
	s.busy = len(s.closed) > 0 || len(s.open) > 0
	return true
}
