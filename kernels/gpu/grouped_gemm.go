package gpu

import (
	"fmt"

	"moegen/kernels/ptx"
	"moegen/kernels/tile"
)

// Grouped GEMM, the products of a mixture of experts whose rows are ragged:
//
//	NT  C[r] = A[r]·B[e]ᵀ    forward:           B [experts, N, K]
//	NN  C[r] = A[r]·B[e]     input gradient:    B [experts, K, N]
//
// for offsets[e] <= r < offsets[e+1], A [rows, K] or, gathered, row pairs[r]/top_k of A [tokens, K], C [rows, N] in bf16,
// float32 accumulation. A gathered token's row is read where it lies, so nobody copies rows into the order of the experts.
// How many rows an expert has is on the device only: experts without rows cost a look, and rows behind an expert's last
// are not stored. 2·R·N·K operations; A's rows are read again for every column of tiles, B once for every tile of rows,
// mostly from the second-level cache.
//
// The structure is GEMM's; only the producer of gathered rows (a whole warpgroup copies A by cp.async, one thread of it
// loads B by the copy engine), the walk over tiles and the stores differ. Rows of A that lie behind an expert's last come
// along in its last tile whatever they hold: a row of A reaches its own row of C alone.

// GroupedGEMMDesc is what is asked. All sizes but the number of rows are the kernel's.
type GroupedGEMMDesc struct {
	Form          Form // NT or NN
	Experts, N, K int
	TopK          int // rows of A are gathered, TopK pairs a token; 0: they lie in C's order
}

// GroupedGEMMConfig fixes one kernel.
type GroupedGEMMConfig struct {
	BlockM, BlockN int
	Stages         int
	Keep           int // as in GEMMConfig
	Lag            int // slots by which the second consumer begins behind the first, whose way out it then fills with products
}

// Name is the kernel's entry.
func (c GroupedGEMMConfig) Name(d GroupedGEMMDesc) string {
	name := fmt.Sprintf("grouped_gemm_%s_e%d_n%d_k%d_%s", d.Form, d.Experts, d.N, d.K, c.name())
	if d.TopK > 0 {
		name += fmt.Sprintf("_t%d", d.TopK)
	}
	return name
}

// name is what a Config adds to the name of a kernel.
func (c GroupedGEMMConfig) name() string {
	name := fmt.Sprintf("%dx%d_s%d_k%d", c.BlockM, c.BlockN, c.Stages, c.Keep)
	if c.Lag > 0 {
		name += fmt.Sprintf("_l%d", c.Lag)
	}
	return name
}

func (c GroupedGEMMConfig) reject(d GroupedGEMMDesc) string {
	if d.K%8 != 0 || d.N%8 != 0 {
		return "rows that are no multiple of 16 bytes"
	}
	if d.Form == TN {
		return "ragged along k: that is a product of its own"
	}
	if d.TopK > 0 && c.BlockM > 128 {
		return "the places of more than 128 gathered rows do not fit the producers' registers"
	}
	if c.Lag < 0 || c.Lag >= min(c.Stages, ceil(d.K, tile.Depth)) {
		return "a consumer lags by less than a ring, and than a tile has slots"
	}
	return GEMMConfig{BlockM: c.BlockM, BlockN: c.BlockN, Stages: c.Stages, Cluster: 1, Group: 1, Keep: c.Keep, Split: 1}.reject()
}

// GroupedGEMMConfigs returns the candidates for so many rows, cheapest first, and why others are none.
func GroupedGEMMConfigs(d GroupedGEMMDesc, rows int) (out []GroupedGEMMConfig, rejected []string) {
	for _, c := range []GroupedGEMMConfig{{128, 256, 4, 1, 0}, {128, 192, 5, 1, 0}, {128, 128, 6, 1, 0}, {256, 128, 4, 1, 0}, {128, 64, 8, 1, 0},
		{128, 256, 4, 1, 1}} {
		if why := c.reject(d); why != "" {
			rejected = append(rejected, c.Name(d)+": "+why)
		} else {
			out = append(out, c)
		}
	}
	sortByCost(out, func(c GroupedGEMMConfig) int64 { return GroupedGEMMCost(d, c, rows) })
	return out, rejected
}

// GroupedGEMMCost estimates the cycles of a product of so many rows, spread evenly over the experts: rounds of tiles,
// each as GEMMCost has it.
func GroupedGEMMCost(d GroupedGEMMDesc, c GroupedGEMMConfig, rows int) int64 {
	tiles := d.Experts * ceil(ceil(rows, d.Experts), c.BlockM) * ceil(d.N, c.BlockN)
	slot, out := tileCost(c.BlockM, c.BlockN, 1)
	return int64(ceil(tiles, multiprocessors)) * (int64(ceil(d.K, tile.Depth))*slot + out)
}

// GroupedGEMMFloor is what a product of so many rows cannot do without, which come from so many different tokens and
// reach so many experts.
func GroupedGEMMFloor(d GroupedGEMMDesc, rows, tokens, reached int) Floor {
	n, k := int64(d.N), int64(d.K)
	return Floor{Bytes: 2 * (int64(tokens)*k + int64(reached)*n*k + int64(rows)*n), FLOPs: 2 * int64(rows) * n * k}
}

// EmitGroupedGEMM writes the kernel: parameters are A and pairs [rows] if its rows are gathered, else a map of A; offsets
// [experts+1] (int32), a map of B, and C.
func EmitGroupedGEMM(m *ptx.Module, d GroupedGEMMDesc, c GroupedGEMMConfig) {
	k := m.Kernel(c.Name(d), 128*(1+gemmConsumers))
	if why := c.reject(d); why != "" {
		k.Fail("%s: %s", c.Name(d), why)
		return
	}
	g := newGroupedLoop(k, d, c, 1)
	out := tile.Columns{First: k.ParamPtr("c"), Count: d.N, Pitch: d.N}
	strips := tile.NewStrips(k, gemmConsumers, 2)
	g.emit(ending{
		start: strips.Start,
		fetch: func(tile.GroupTile, ptx.Reg) {},
		finish: func(acc []ptx.Acc, t tile.GroupTile, row ptx.Reg) {
			for i := range acc {
				strips.Tile(acc[i], out, k.Add(row, 64*i), t.End, t.Col)
			}
		},
	})
}

// groupedLoop is what kernels of grouped products share: everything but the way out of a tile's sums.
type groupedLoop struct {
	k      *ptx.Kernel
	d      GroupedGEMMDesc
	c      GroupedGEMMConfig
	parts  int // 2: the columns of a tile are as many of the first half of N and of the second
	a, b   tile.Operand
	matrix ptx.Reg // A, if gathered
	pairs  ptx.Reg // if gathered
	mapA   ptx.TensorMap
	mapB   ptx.TensorMap
	ring   *tile.Ring
	walk   tile.GroupWalk
}

// ending is the way out: what consumers do beside the main loop. row is the first of the warpgroup's rows of a tile.
type ending struct {
	start  func(thread ptx.Reg) // of all consumers'
	fetch  func(t tile.GroupTile, row ptx.Reg)
	finish func(acc []ptx.Acc, t tile.GroupTile, row ptx.Reg)
}

// newGroupedLoop declares the parameters that all kernels have, in front of those of the way out.
func newGroupedLoop(k *ptx.Kernel, d GroupedGEMMDesc, c GroupedGEMMConfig, parts int) *groupedLoop {
	_, majorB := d.Form.majors()
	g := &groupedLoop{k: k, d: d, c: c, parts: parts,
		a: tile.Operand{Major: ptx.KMajor, Rows: c.BlockM}, b: tile.Operand{Major: majorB, Rows: c.BlockN / parts}}
	if d.TopK > 0 {
		g.matrix, g.pairs = k.ParamPtr("a"), k.ParamPtr("pairs")
	} else {
		g.mapA = k.TensorMap("a", g.a.Map(1))
	}
	offsets := k.ParamPtr("offsets")
	g.mapB = k.TensorMap("b", eachExpert(g.b.Map(1)))
	g.ring = tile.NewRing(k, c.Stages, g.a.Bytes()+parts*g.b.Bytes(), 1)
	g.walk = tile.GroupWalk{BlockM: c.BlockM, BlockN: c.BlockN / parts, Groups: d.Experts, TilesN: ceil(d.N, c.BlockN), Offsets: offsets}
	return g
}

// emit writes the kernel's body.
func (g *groupedLoop) emit(end ending) {
	k, ring := g.k, g.ring
	tid := k.Read(ptx.TidX)
	warpgroup, thread := k.Shr(tid, 7), k.And(tid, 127)
	leads := k.Eq(thread, 0)
	iters := k.Const(ptx.U32, ceil(g.d.K, tile.Depth))
	k.If(k.Eq(tid, 0), func() {
		if g.d.TopK > 0 {
			ring.Init(1+128, gemmConsumers)
		} else {
			ring.Init(1, gemmConsumers)
			k.PrefetchMap(g.mapA)
		}
		k.PrefetchMap(g.mapB)
	})
	k.Sync()
	k.WaitPrerequisites()
	k.IfElse(k.Eq(warpgroup, gemmConsumers), func() { g.produce(thread, leads, iters) }, func() {
		k.Comment("consumers: each its rows of A by all of B")
		k.TakeRegisters(224, gemmConsumers)
		blocks := g.c.BlockM / 64 / gemmConsumers
		ring.StartConsumer(thread)
		end.start(tid)
		main := tile.MainLoop{Ring: ring, A: g.a, B: tile.Operand{Major: g.b.Major, Rows: g.c.BlockN}, Keep: g.c.Keep, Generic: g.d.TopK > 0}
		acc := main.Accumulators(k, blocks)
		blockA := k.Mul(warpgroup, blocks)
		wait := g.lag(&main, warpgroup)
		g.walk.Each(k, func(t tile.GroupTile) {
			row := k.Add(t.Row, k.Shl(blockA, 6))
			end.fetch(t, row)
			wait()
			main.Run(k, acc, iters, blockA)
			end.finish(acc, t, row)
		})
		k.LaunchDependents()
	})
	k.Exit()
}

// lag lets the second consumer wait, before its first tile, for the first one to have begun slot Lag.
func (g *groupedLoop) lag(main *tile.MainLoop, warpgroup ptx.Reg) (wait func()) {
	if g.c.Lag == 0 {
		return func() {}
	}
	const barrier = 1
	k := g.k
	tiles := k.Var(ptx.U32, "tiles", 0)
	first, second := k.Eq(warpgroup, 0), k.Eq(warpgroup, 1)
	main.Started = func(i ptx.Reg) {
		k.If(k.And(first, k.And(k.Eq(tiles, 1), k.Eq(i, g.c.Lag))), func() { k.ArriveNamed(barrier, 128*gemmConsumers) })
	}
	return func() {
		k.If(k.And(second, k.Eq(tiles, 0)), func() { k.SyncNamed(barrier, 128*gemmConsumers) })
		k.To(tiles).Add(tiles, 1)
	}
}

// produce is the producer warpgroup: it loads the tiles that the walk brings, B by thread leads.
func (g *groupedLoop) produce(thread, leads, iters ptx.Reg) {
	k, ring := g.k, g.ring
	ring.Start()
	slots := func(rows func(t tile.GroupTile), load func(t tile.GroupTile, slot, kk ptx.Reg, full ptx.Addr)) {
		g.walk.Each(k, func(t tile.GroupTile) {
			rows(t)
			kk := k.VarMultiple(tile.Depth, "k", 0)
			k.For("iter", 0, iters, 1, func(ptx.Reg) {
				ring.WaitEmpty()
				load(t, ring.Slot(), kk, ring.Full())
				k.To(kk).Add(kk, tile.Depth)
				ring.Advance()
			})
		})
	}
	loadB := func(t tile.GroupTile, slot, kk ptx.Reg, full ptx.Addr) {
		col := t.Col
		for i := range g.parts {
			if i > 0 {
				col = k.Add(t.Col, i*g.d.N/g.parts)
			}
			g.b.Load(k, g.mapB, k.Add(slot, g.a.Bytes()+i*g.b.Bytes()), full, col, kk, t.Group)
		}
	}
	if g.d.TopK == 0 {
		k.Comment("producer: one thread loads A and B for every slot")
		k.DropRegisters(40, 1)
		k.If(leads, func() {
			slots(func(tile.GroupTile) {}, func(t tile.GroupTile, slot, kk ptx.Reg, full ptx.Addr) {
				k.MbarrierExpect(full, g.a.Bytes()+g.parts*g.b.Bytes())
				g.a.Load(k, g.mapA, slot, full, t.Row, kk)
				loadB(t, slot, kk, full)
			})
		})
		return
	}
	k.Comment("producers: all copy rows of A, one loads B")
	k.DropRegisters(56, 1)
	gather := tile.NewGather(k, g.a, g.d.K, g.matrix, tile.Rows{Pairs: g.pairs, TopK: g.d.TopK}, thread)
	slots(func(t tile.GroupTile) { gather.Rows(t.Row, t.End) }, func(t tile.GroupTile, slot, kk ptx.Reg, full ptx.Addr) {
		k.If(leads, func() {
			k.MbarrierExpect(full, g.parts*g.b.Bytes())
			loadB(t, slot, kk, full)
		})
		gather.Load(slot, kk, full)
	})
	k.CpAsyncWaitAll()
}

// eachExpert is the box of a matrix of one expert among those of all.
func eachExpert(spec ptx.MapSpec) ptx.MapSpec {
	spec.Box = append(spec.Box, 1)
	return spec
}

// experts is a tensor map over row-major matrices of as many experts, rows of cols elements, that begin at a place.
func (a Arg) experts(count, rows, cols int, spec ptx.MapSpec) Arg {
	size := spec.Elem.Bytes()
	a.Type, a.Map = 0, &Map{Dims: []int{cols, rows, count}, Strides: []int{size * cols, size * cols * rows}, Spec: eachExpert(spec)}
	return a
}

// groupedProduct is a grouped product among the buffers of an operation.
type groupedProduct struct {
	GroupedGEMMDesc
	rows       int // at most
	a, offsets Arg // places
	pairs      Arg // of gathered rows
	b, c       Arg
}

// launch is the launch by one Config.
func (p groupedProduct) launch(c GroupedGEMMConfig) Launch {
	l := p.launchOf(c.Name(p.GroupedGEMMDesc), c, 1)
	l.Args = append(l.Args, p.c)
	return l
}

// launchOf is the launch of a kernel of groupedLoop, with the arguments that all have. At most rows/BlockM + experts tiles of
// rows can be.
func (p groupedProduct) launchOf(entry string, c GroupedGEMMConfig, parts int) Launch {
	_, majorB := p.Form.majors()
	a, b := tile.Operand{Major: ptx.KMajor, Rows: c.BlockM}, tile.Operand{Major: majorB, Rows: c.BlockN / parts}
	l := Launch{Entry: entry, Grid: (p.rows/c.BlockM + p.Experts) * ceil(p.N, c.BlockN), Persistent: true, Dependent: true}
	if p.TopK > 0 {
		l.Args = []Arg{p.a, p.pairs}
	} else {
		l.Args = []Arg{p.a.matrix(p.rows, p.K, a.Map(1))}
	}
	mapB := p.b.experts(p.Experts, p.N, p.K, b.Map(1))
	if p.Form == NN {
		mapB = p.b.experts(p.Experts, p.K, p.N, b.Map(1))
	}
	l.Args = append(l.Args, p.offsets, mapB)
	return l
}
