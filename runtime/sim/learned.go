package sim

// What a work acquires while it runs, from works beside it, is known to whatever comes after it: a launch whose threads wait for
// a flag of another GPU orders all that follows it after what that GPU did before.

// adopt adds what another clock knows beyond its own domain.
func (c *clock) adopt(b *clock) {
	c.done = c.done.join(b.done)
	for d, v := range b.far {
		switch {
		case d == c.dom:
			maxInto(c.own, v)
		case !c.done.has(d.work):
			c.joinFar(d, v)
		}
	}
	c.forget()
}

// forget drops what is known of domains whose works are known to have ended: a flag that is raised again and again would gather
// all that ever raised it.
func (c *clock) forget() {
	ended := 0
	for d := range c.far {
		if c.done.has(d.work) {
			ended++
		}
	}
	if ended == 0 {
		return
	}
	far := make(map[*domain][]uint32, len(c.far)-ended)
	for d, v := range c.far {
		if !c.done.has(d.work) {
			far[d] = v
		}
	}
	c.far = far
}

// learn keeps what a warp knew when it ended, without what is known of the work anyway.
func (w *Work) learn(c *clock) {
	if len(c.far) == 0 && c.done.within(w.past) {
		return
	}
	w.learned.done = w.learned.done.join(w.past)
	w.learned.adopt(c)
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
