package sim

// Limits of an H100.
const (
	maxThreads       = 1024
	maxSharedBytes   = 232448
	smSharedBytes    = 233472
	smThreads        = 2048
	smCTAs           = 32
	smRegisters      = 65536
	maxCluster       = 8
	maxStaticShared  = 48 << 10
	reservedShared   = 1024 // of each CTA
	defaultRegisters = 64   // a thread's, where the kernel gives no bound
)

// A grid is a launch under way.
type grid struct {
	Launch
	GPU       int
	fn        *Function
	program   *Program
	work      *Work
	counters  *Counters
	next      int // clusters admitted
	clusters  int
	running   int // CTAs
	released  int // CTAs that issued launch_dependents or ended
	total     int
	primaries []*Work // of a programmatic launch
	waited    bool    // some warp passed griddepcontrol.wait
	registers int     // a thread's
	steps     int64
}

func (m *Machine) newGrid(l Launch) (*grid, error) {
	if l.Program == nil {
		return nil, setupError("a launch without a program")
	}
	f := l.Program.module.Entry(l.Entry)
	if f == nil {
		return nil, setupError("no kernel %s in the module", l.Entry)
	}
	g := &grid{Launch: l, GPU: l.Program.gpu, fn: f, program: l.Program, counters: &Counters{}}
	threads := l.Block[0] * l.Block[1] * l.Block[2]
	g.total = l.Grid[0] * l.Grid[1] * l.Grid[2]
	if threads < 1 || threads > maxThreads || l.Block[2] > 64 {
		return nil, setupError("block %v: 1 to %d threads", l.Block, maxThreads)
	}
	if g.total < 1 || l.Grid[1] > 65535 || l.Grid[2] > 65535 {
		return nil, setupError("grid %v", l.Grid)
	}
	if r := f.ReqThreads; r[0] > 0 && r != l.Block {
		return nil, setupError("%s is made for blocks of %v threads (.reqntid), launched with %v", f.Name, r, l.Block)
	}
	if r := f.MaxThreads; r[0] > 0 && threads > r[0]*r[1]*r[2] {
		return nil, setupError("%s is made for at most %d threads (.maxntid), launched with %d", f.Name, r[0]*r[1]*r[2], threads)
	}
	if len(l.Params) != f.ParamBytes() {
		return nil, setupError("%s takes %d bytes of parameters, %d are passed", f.Name, f.ParamBytes(), len(l.Params))
	}
	if n := f.SharedBytes + l.SharedBytes; n > maxSharedBytes {
		return nil, setupError("%d bytes of shared memory, at most %d", n, maxSharedBytes)
	}
	if err := g.setCluster(); err != nil {
		return nil, err
	}
	g.registers = f.registers(threads)
	if limit := m.residentPerSM(g); limit == 0 {
		return nil, setupError("%d threads of %d registers do not fit an SM", threads, g.registers)
	}
	return g, nil
}

func (g *grid) setCluster() error {
	c := g.Cluster
	if g.fn.ReqCluster[0] > 0 {
		if c[0] > 0 && c != g.fn.ReqCluster {
			return setupError("%s is made for clusters of %v, launched with %v", g.fn.Name, g.fn.ReqCluster, c)
		}
		c = g.fn.ReqCluster
	}
	for i := range c {
		c[i] = max(c[i], 1)
		if g.Grid[i]%c[i] != 0 {
			return setupError("grid %v is no multiple of cluster %v", g.Grid, c)
		}
	}
	n := c[0] * c[1] * c[2]
	if n > maxCluster {
		return setupError("a cluster of %d CTAs, at most %d", n, maxCluster)
	}
	g.Cluster = c
	g.clusters = g.total / n
	return nil
}

// registers is what a thread is launched with: what the kernel says, or where it uses setmaxnreg what ptxas 12.0 to 13.5
// was seen to give: min(largest .inc, 8·⌊65536 / (128·⌈threads/128⌉·minimum CTAs) / 8⌋).
func (f *Function) registers(threads int) int {
	if f.MaxRegs > 0 {
		return f.MaxRegs
	}
	largest := 0
	for i := range f.code {
		if in := &f.code[i]; in.op == "setmaxnreg" && in.has("inc") {
			largest = max(largest, int(in.args[0].bits))
		}
	}
	if largest == 0 {
		return min(defaultRegisters, smRegisters/alignUp(threads, 128))
	}
	bound := threads
	if r := f.ReqThreads; r[0] > 0 {
		bound = r[0] * r[1] * r[2]
	} else if r := f.MaxThreads; r[0] > 0 {
		bound = r[0] * r[1] * r[2]
	}
	return min(largest, smRegisters/(alignUp(bound, 128)*max(1, f.MinCTAs))/8*8)
}

// residentPerSM is how many CTAs of the grid an SM holds at a time.
func (m *Machine) residentPerSM(g *grid) int {
	threads := alignUp(g.Block[0]*g.Block[1]*g.Block[2], warpSize)
	n := min(smCTAs, smThreads/threads, smRegisters/(threads*g.registers))
	return min(n, smSharedBytes/(g.fn.SharedBytes+g.SharedBytes+reservedShared))
}

// A cluster is CTAs that run together; without one, a CTA alone.
type cluster struct {
	ctas    []*cta
	domain  *domain
	barrier clusterBarrier
	left    int // CTAs that have not ended
}

// A cta is a thread block that was admitted.
type cta struct {
	machine    *Machine
	grid       *grid
	cluster    *cluster
	index      [3]int
	rank       int // in its cluster
	sm         int
	warps      []*warp
	left       int // warps that have not ended
	shared     *memory
	lastMemory *memory
	exited     bool
	blocked    uint64 // event count at which no warp could go on; 0: not known

	barriers  [16]namedBarrier
	registers int // in use by setmaxnreg's pool, of all threads
	released  bool
	places    int   // next asynchronous place
	exit      clock // what its warps knew when they ended
	products  []warpgroup
}

func (c *cta) sharedBase() uint64 { return uint64(c.rank)<<rankShift + sharedStart }

// admit makes the CTAs of the grid's next cluster.
func (m *Machine) admit(g *grid) {
	n := g.Cluster[0] * g.Cluster[1] * g.Cluster[2]
	threads := g.Block[0] * g.Block[1] * g.Block[2]
	warps := (threads + warpSize - 1) / warpSize
	cl := &cluster{left: n}
	cl.domain = m.newDomain(g.work, cl, n, warps, g.fn.async)
	across := [3]int{g.Grid[0] / g.Cluster[0], g.Grid[1] / g.Cluster[1], g.Grid[2] / g.Cluster[2]}
	at := unflatten(g.next, across)
	g.next++
	for rank := range n {
		in := unflatten(rank, g.Cluster)
		c := &cta{machine: m, grid: g, cluster: cl, rank: rank, left: warps, sm: (g.next - 1) % m.SMs}
		for i := range 3 {
			c.index[i] = at[i]*g.Cluster[i] + in[i]
		}
		c.shared = g.newShared(c)
		c.registers = g.registers * alignUp(threads, warpSize)
		cl.ctas = append(cl.ctas, c)
		g.running++
	}
	for _, c := range cl.ctas {
		for id := range warps {
			c.warps = append(c.warps, c.newWarp(id, min(threads-id*warpSize, warpSize)))
		}
		m.active = append(m.active, c)
	}
}

// storage is what CTAs and warps that have ended leave for others: up to so many registers a function, and shared memories a
// size.
type storage struct {
	registers map[*Function][]*activation
	shared    map[int][]*memory
}

const (
	spareRegisters = 64
	spareShared    = 8
)

func newStorage() storage {
	return storage{registers: map[*Function][]*activation{}, shared: map[int][]*memory{}}
}

func (g *grid) newShared(c *cta) *memory {
	size := alignUp(g.fn.SharedBytes, 16) + g.SharedBytes
	spare := c.machine.spare.shared
	var mem *memory
	if n := len(spare[size]); n > 0 {
		mem, spare[size] = spare[size][n-1], spare[size][:n-1]
		mem.reset()
	} else {
		mem = newMemory(sharedStart, size, "shared memory")
	}
	mem.cta = c
	return mem
}

func (c *cta) giveShared() {
	spare, size := c.machine.spare.shared, len(c.shared.data)
	if len(spare[size]) < spareShared {
		spare[size] = append(spare[size], c.shared)
	}
}

func (c *cta) newWarp(id, threads int) *warp {
	w := &warp{cta: c, id: id, live: full >> (warpSize - threads)}
	w.start = w.live
	if c.machine.races {
		d := c.cluster.domain
		w.actor = actor{machine: c.machine, clock: newClock(d), proxy: newClock(d), index: c.rank*d.per + id, warp: w}
		if !c.grid.Programmatic {
			w.actor.inherit(c.grid.work.inherited())
		}
		w.actor.tick()
	}
	a := w.newActivation(c.grid.fn, nil)
	w.base = a
	w.paths = []*path{{meet: -1, mask: w.live, act: a}}
	return w
}

// take gives an activation of f, used before or new.
func (c *cta) take(f *Function) *activation {
	spare := c.machine.spare.registers
	if n := len(spare[f]); n > 0 {
		a := spare[f][n-1]
		spare[f] = spare[f][:n-1]
		return a
	}
	return newRegisters(f)
}

func (c *cta) give(a *activation) {
	if spare := c.machine.spare.registers; len(spare[a.f]) < spareRegisters {
		spare[a.f] = append(spare[a.f], a)
	}
}

// warpDone ends a warp, and the CTA with its last one.
func (c *cta) warpDone(w *warp) {
	c.machine.events++
	c.machine.progress++
	w.checkExit()
	w.settleProducts()
	c.exiting(w)
	c.grid.work.learn(&w.actor.clock)
	c.give(w.base)
	c.left--
	c.exitBarriers()
	if c.left > 0 {
		return
	}
	c.checkExit()
	c.exited = true
	c.warps = nil
	c.release()
	g := c.grid
	g.running--
	c.cluster.left--
	if c.cluster.left == 0 {
		for _, o := range c.cluster.ctas {
			o.checkRemote()
			o.giveShared()
		}
	}
	for i, o := range c.machine.active {
		if o == c {
			c.machine.active = append(c.machine.active[:i], c.machine.active[i+1:]...)
			break
		}
	}
	if g.running == 0 && g.next == g.clusters {
		g.checkDependence()
		g.work.finish(nil)
	}
}

// release counts the CTA among those that let dependents start.
func (c *cta) release() {
	if !c.released {
		c.released = true
		c.grid.released++
		c.machine.events++
	}
}
