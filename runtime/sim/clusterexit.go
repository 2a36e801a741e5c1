package sim

// A CTA's shared memory is gone when it exits. Whatever other CTAs of the cluster do to it must be known to have happened
// before: by a cluster barrier at the end, as a rule (a relaxed one will do: nothing is handed over). This is checked by clocks, so the order of a run does not matter.

// exiting adds what a warp that ends knows to what its CTA knows at its exit.
func (c *cta) exiting(w *warp) {
	if c.machine.races && len(c.cluster.ctas) > 1 {
		c.exit.joinOrSet(&w.actor.clock)
		c.exit.joinOrSet(&w.passed)
	}
}

// checkRemote looks at all accesses by other CTAs, after the whole cluster has ended.
func (c *cta) checkRemote() {
	if !c.machine.races || len(c.cluster.ctas) == 1 {
		return
	}
	check := func(e uint64) {
		switch {
		case e == 0 || e == mbarrierCell || e == splitCell:
		case e&flagSet != 0:
			for _, x := range c.machine.readers.get(e) {
				c.checkRemoteEpoch(x)
			}
		default:
			c.checkRemoteEpoch(e)
		}
	}
	for _, page := range c.shared.cells {
		for i := range page {
			check(page[i].w)
			check(page[i].r)
		}
	}
	for _, p := range c.shared.parts {
		for i := range p {
			check(p[i].w)
			check(p[i].r)
		}
	}
	for _, b := range c.shared.mbarriers {
		for _, e := range b.remote {
			c.checkRemoteEpoch(e)
		}
	}
}

func (c *cta) checkRemoteEpoch(e uint64) {
	d := c.cluster.domain
	i := int(uint32(e>>clockBits&agentMask) - d.base)
	if i/d.per == c.rank || uint64(c.exit.own[i]) >= e&clockMask {
		return
	}
	site := int(e>>siteShift&siteMask) - 1
	panic(&Error{Kind: Bounds, Line: c.grid.work.lineOf(site), Kernel: c.grid.fn.Name, CTA: c.cluster.ctas[i/d.per].index, Warp: min(i%d.per, d.warps-1), Lane: -1,
		Msg: "access to the shared memory of CTA " + itoa(c.rank) + " of the cluster, which may have exited before: a cluster barrier at the end is missing"})
}

// remember keeps the last arrival of each remote agent.
func (b *mbarrier) remember(e uint64) {
	for i, x := range b.remote {
		if (x^e)>>clockBits&agentMask == 0 {
			b.remote[i] = e
			return
		}
	}
	b.remote = append(b.remote, e)
}
