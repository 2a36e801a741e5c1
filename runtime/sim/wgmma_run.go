package sim

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"moegen/runtime/sim/arith"
)

// A computation is the arithmetic of one product. It has the operands as they were when the product took effect, and is done
// when somebody waits for the product, or before, by another goroutine: until then nobody may touch its registers, so that
// nothing depends on who does it and when.
type computation struct {
	form    *wgmmaForm
	regs    [4]*activation
	add     bool
	fast    bool
	a, b    [][16]byte   // operands in shared memory, chunk by chunk
	after   *computation // the warpgroup's one before
	claimed atomic.Bool
	done    chan struct{}
}

// finish returns when the registers hold the result. Nobody but whoever claimed a computation does it.
func (c *computation) finish() {
	if c == nil {
		return
	}
	if !c.claimed.CompareAndSwap(false, true) {
		<-c.done
		return
	}
	c.after.finish()
	c.after = nil
	c.compute()
	close(c.done)
}

// await finishes a product's computation; other cores meanwhile do what else there is.
func (m *Machine) await(c *computation) {
	if c == nil {
		return
	}
	if !c.claimed.Load() {
		m.share(c)
	}
	c.finish()
	m.computations = slices.DeleteFunc(m.computations, func(c *computation) bool { return c.claimed.Load() })
}

// share lets as many goroutines as there are further cores begin with computations of other warpgroups.
func (m *Machine) share(mine *computation) {
	last := map[[4]*activation]*computation{}
	for _, c := range m.computations {
		if !c.claimed.Load() && c.regs != mine.regs {
			last[c.regs] = c
		}
	}
	for _, c := range m.computations {
		if last[c.regs] != c || int(m.helpers.Load()) >= runtime.GOMAXPROCS(0)-1 {
			continue
		}
		m.helpers.Add(1)
		go func() {
			c.finish()
			m.helpers.Add(-1)
		}()
	}
}

// settleProducts finishes the computations of all products of the warp that have taken effect.
func (w *warp) settleProducts() {
	for _, p := range w.wgmma.open {
		p.result.finish()
	}
	for _, g := range w.wgmma.closed {
		for _, p := range g {
			p.result.finish()
		}
	}
}

// run makes the product take effect: it reads its operands now. before is the warpgroup's product before it.
func (p *product) run(before *product) {
	f := p.form
	m := p.op.cta.machine
	c := &computation{form: f, regs: p.regs, add: p.add, fast: m.FastMath, done: make(chan struct{})}
	if len(f.a) == 0 {
		c.a = p.readShared(p.descA, f.elem, 64, f.tranA)
	}
	c.b = p.readShared(p.descB, f.elemB, f.n, f.tranB)
	if before != nil {
		c.after = before.result
	}
	p.result = c
	m.computations = append(m.computations, c)
}

// A workspace is room for one computation at a time.
type workspace struct {
	a, b arith.Operand
	d    [64 * 256]uint32
}

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

func (c *computation) compute() {
	space := workspaces.Get().(*workspace)
	defer workspaces.Put(space)
	f := c.form
	a, b, d := &space.a, &space.b, space.d[:64*f.n]
	a.Reset(elemOf(f.elem), 64, f.negA)
	b.Reset(elemOf(f.elemB), f.n, f.negB)
	if len(f.a) == 0 {
		loadChunks(a, c.a, f.elem, 64, f.k, f.tranA)
	} else {
		c.loadRegisters(a)
	}
	loadChunks(b, c.b, f.elemB, f.n, f.k, f.tranB)
	if c.add {
		c.accumulators(d, false)
	} else {
		clear(d)
	}
	if c.fast {
		arith.MMAFast(d, a, b)
	} else {
		arith.MMA(d, a, b)
	}
	c.accumulators(d, true)
}

// accumulators copies between registers and the matrix: lane 4g + q of warp w holds in register i row
// 16w + g + 8·((i/2) mod 2), column 8·(i/4) + 2q + (i mod 2).
func (c *computation) accumulators(d []uint32, write bool) {
	f := c.form
	for wi, regs := range c.regs {
		for i := 0; i < len(f.d); i += 2 {
			x, y := (*vec32)(regs.v[f.d[i]]), (*vec32)(regs.v[f.d[i+1]])
			at := (16*wi+8*(i/2%2))*f.n + 8*(i/4)
			for g := range 8 {
				row, even, odd := (*[8]uint32)(d[at+g*f.n:]), (*[4]uint32)(x[4*g:]), (*[4]uint32)(y[4*g:])
				if write {
					even[0], even[1], even[2], even[3] = row[0], row[2], row[4], row[6]
					odd[0], odd[1], odd[2], odd[3] = row[1], row[3], row[5], row[7]
				} else {
					row[0], row[2], row[4], row[6] = even[0], even[1], even[2], even[3]
					row[1], row[3], row[5], row[7] = odd[0], odd[1], odd[2], odd[3]
				}
			}
		}
	}
}

// loadRegisters reads A from registers: register i of lane 4g + q holds row 16w + g + 8·(i mod 2), word q + 4·(i/2).
func (c *computation) loadRegisters(a *arith.Operand) {
	per := 4 / elemOf(c.form.elem).Bytes()
	for wi, regs := range c.regs {
		for i, r := range c.form.a {
			x := (*vec32)(regs.v[r])
			for lane := range x {
				a.LoadWord(16*wi+lane/4+8*(i%2), per*(lane%4+4*(i/2)), x[lane])
			}
		}
	}
}
