package sim

// What a work acquires while it runs, from works beside it, is known to whatever comes after it: a launch whose threads wait for
// a flag of another GPU orders all that follows it after what that GPU did before.

// adopt adds what another clock knows beyond its own domain.
func (c *clock) adopt(b *clock) {
	for d, v := range b.far {
		if d == c.dom {
			maxInto(c.own, v)
		} else {
			c.joinFar(d, v)
		}
	}
	c.done = c.done.join(b.done)
}

// learn keeps what a warp knew when it ended, without what is known of the work anyway.
func (w *Work) learn(c *clock) {
	if len(c.far) == 0 && c.done.within(w.past) {
		return
	}
	w.learned.adopt(c)
	far := make(map[*domain][]uint32, len(w.learned.far))
	for d, v := range w.learned.far {
		if d.work != w && !w.learned.done.has(d.work) && !w.past.has(d.work) {
			far[d] = v
		}
	}
	w.learned.far = far
}

// inherited is what the works in front have learned.
func (w *Work) inherited() *clock {
	c := new(clock)
	for _, a := range w.after {
		c.adopt(&a.learned)
	}
	return c
}

// inherit gives an actor what the works in front of its own have learned.
func (a *actor) inherit(c *clock) {
	a.clock.adopt(c)
	a.proxy.adopt(c)
}
