package gpu

import (
	"fmt"

	"moegen/kernels/ptx"
	"moegen/kernels/tile"
)

// Grouped weight gradient, the product of a mixture of experts that is ragged along k:
//
//	C[e] = Σ A[r]ᵀ·B[r] (+ C[e])    over offsets[e] <= r < offsets[e+1]
//
// A [rows, M], B [rows, N], or tokens' rows, gathered as in grouped GEMM; C [experts, M, N] in bf16, float32 accumulation
// and one rounding, also of what is added where a gradient accumulates. An expert without rows gets zeros, or keeps what it
// has. 2·R·M·N operations; A's rows are read again for every column of tiles and B's for every row of tiles, mostly from
// the second-level cache, C once or twice.
//
// The structure is GEMM's. How many rows an expert has is on the device only, and its last slot along k is mostly not
// full: there, and where rows are gathered, the whole producer warpgroup copies rows by cp.async, which fills what is
// missing with zeros; all other slots are the copy engine's.

// GroupedWGradDesc is what is asked. All sizes but the number of rows are the kernel's.
type GroupedWGradDesc struct {
	Experts, M, N int
	TopKA, TopKB  int  // rows of A, of B, are gathered, so many pairs a token; 0: they lie in the order of the experts
	Accumulate    bool // C is added to where the step record says so
}

// GroupedWGradConfig fixes one kernel.
type GroupedWGradConfig struct {
	BlockM, BlockN int
	Stages         int
	Keep           int  // as in GEMMConfig
	Whole          bool // a tile has room of its own in shared memory on its way out
}

// Name is the kernel's entry.
func (c GroupedWGradConfig) Name(d GroupedWGradDesc) string {
	name := fmt.Sprintf("grouped_wgrad_e%d_m%d_n%d_%dx%d_s%d_k%d_t%d_t%d", d.Experts, d.M, d.N, c.BlockM, c.BlockN, c.Stages, c.Keep, d.TopKA, d.TopKB)
	if c.Whole {
		name += "_w"
	}
	if d.Accumulate {
		name += Accumulate.String()
	}
	return name
}

func (c GroupedWGradConfig) reject(d GroupedWGradDesc) string {
	if d.M%8 != 0 || d.N%8 != 0 {
		return "rows that are no multiple of 16 bytes"
	}
	g := GEMMConfig{BlockM: c.BlockM, BlockN: c.BlockN, Stages: c.Stages, Cluster: 1, Group: 1, Keep: c.Keep, Split: 1}
	if why := g.reject(); why != "" {
		return why
	}
	if shared := g.shared() + (c.slabs()-2)*gemmConsumers*8192; c.Whole && shared > ptx.SharedLimit {
		return fmt.Sprintf("%d bytes of shared memory", shared)
	}
	return ""
}

// slabs is how many slabs of 64 rows and columns a consumer has of a tile.
func (c GroupedWGradConfig) slabs() int { return c.BlockM / 64 / gemmConsumers * c.BlockN / 64 }

// GroupedWGradConfigs returns the candidates for so many rows, cheapest first, and why others are none.
func GroupedWGradConfigs(d GroupedWGradDesc, rows int) (out []GroupedWGradConfig, rejected []string) {
	for _, c := range []GroupedWGradConfig{{128, 256, 4, 1, false}, {256, 128, 4, 1, false}, {128, 192, 5, 1, false}, {128, 128, 6, 1, false}, {128, 64, 8, 1, false},
		{128, 256, 3, 1, true}, {256, 128, 3, 1, true}} {
		if why := c.reject(d); why != "" {
			rejected = append(rejected, c.Name(d)+": "+why)
		} else {
			out = append(out, c)
		}
	}
	sortByCost(out, func(c GroupedWGradConfig) int64 { return GroupedWGradCost(d, c, rows) })
	return out, rejected
}

// GroupedWGradCost estimates the cycles of a product of so many rows, spread evenly over the experts: rounds of tiles,
// each as GEMMCost has it.
func GroupedWGradCost(d GroupedWGradDesc, c GroupedWGradConfig, rows int) int64 {
	tiles := d.Experts * ceil(d.M, c.BlockM) * ceil(d.N, c.BlockN)
	slot, out := tileCost(c.BlockM, c.BlockN, 1)
	return int64(ceil(tiles, multiprocessors)) * (int64(ceil(ceil(rows, d.Experts), tile.Depth))*slot + out)
}

// GroupedWGradFloor is what a product of so many rows cannot do without, which come from so many rows of A and of B.
func GroupedWGradFloor(d GroupedWGradDesc, rows, rowsA, rowsB int) Floor {
	m, n := int64(d.M), int64(d.N)
	c := int64(d.Experts) * m * n
	if d.Accumulate {
		c *= 2
	}
	return Floor{Bytes: 2 * (int64(rowsA)*m + int64(rowsB)*n + c), FLOPs: 2 * int64(rows) * m * n}
}

// raggedOperand is one side of the product in the producer.
type raggedOperand struct {
	tile.Operand
	*tile.Ragged
	plain ptx.TensorMap // of rows that are not gathered
	topK  int
	at    int // in a slot
}

// EmitGroupedWGrad writes the kernel: parameters are A, its pairs [rows] if its rows are gathered, else a map of it, the
// same of B, offsets [experts+1] (int32), and a map of C; C and the step record if it accumulates.
func EmitGroupedWGrad(m *ptx.Module, d GroupedWGradDesc, c GroupedWGradConfig) {
	k := m.Kernel(c.Name(d), 128*(1+gemmConsumers))
	if why := c.reject(d); why != "" {
		k.Fail("%s: %s", c.Name(d), why)
		return
	}
	a := raggedOperand{Operand: tile.Operand{Major: ptx.MNMajor, Rows: c.BlockM}, topK: d.TopKA}
	b := raggedOperand{Operand: tile.Operand{Major: ptx.MNMajor, Rows: c.BlockN}, topK: d.TopKB, at: a.Bytes()}
	matrixA, rowsA := a.params(k, "a")
	matrixB, rowsB := b.params(k, "b")
	offsets, mapC := k.ParamPtr("offsets"), k.TensorMap("c", eachExpert(tile.StoreMap()))
	var gradient, record ptx.Reg
	if d.Accumulate {
		gradient, record = k.ParamPtr("gradient"), k.ParamPtr("record")
	}

	ring := tile.NewRing(k, c.Stages, a.Bytes()+b.Bytes(), 1)
	walk := tile.MatrixWalk{BlockM: c.BlockM, BlockN: c.BlockN, Groups: d.Experts, TilesM: ceil(d.M, c.BlockM), TilesN: ceil(d.N, c.BlockN), Offsets: offsets}
	tid := k.Read(ptx.TidX)
	warpgroup, thread := k.Shr(tid, 7), k.And(tid, 127)
	k.If(k.Eq(tid, 0), func() {
		ring.Init(1+128, gemmConsumers)
		k.PrefetchMap(mapC)
	})
	k.Sync()
	k.WaitPrerequisites()
	k.IfElse(k.Eq(warpgroup, gemmConsumers), func() {
		k.Comment("producers: all copy rows that are gathered or at an end, one loads the others")
		k.DropRegisters(56, 1)
		ring.Start()
		a.Ragged = tile.NewRagged(k, a.Operand, d.M, matrixA, rowsA, thread)
		b.Ragged = tile.NewRagged(k, b.Operand, d.N, matrixB, rowsB, thread)
		leads := k.Eq(thread, 0)
		walk.Each(k, func(t tile.MatrixTile) { raggedSlots(k, ring, t, leads, &a, &b) })
		k.CpAsyncWaitAll()
	}, func() {
		k.Comment("consumers: each its rows of A by all of B")
		k.TakeRegisters(224, gemmConsumers)
		blocks := c.BlockM / 64 / gemmConsumers
		ring.StartConsumer(thread)
		var adds []*tile.Addend
		var matrix ptx.Reg // C of the tile's expert
		if d.Accumulate {
			matrix = k.Var(ptx.U64, "matrix", gradient)
			adds = append(adds, tile.NewAddend(k, matrix, d.M, d.N, 2*d.N, accumulates(k, record)))
		}
		var store *tile.Store
		if c.Whole {
			store = tile.NewWholeStore(k, mapC, gemmConsumers, c.slabs(), adds...)
		} else {
			store = tile.NewStore(k, mapC, gemmConsumers, adds...)
		}
		store.Start(warpgroup, thread)
		main := tile.MainLoop{Ring: ring, A: a.Operand, B: b.Operand, Keep: c.Keep, Generic: true}
		acc := main.Accumulators(k, blocks)
		blockA := k.Mul(warpgroup, blocks)
		walk.Each(k, func(t tile.MatrixTile) {
			row := k.Add(t.Row, k.Shl(blockA, 6))
			if d.Accumulate {
				k.To(matrix).Add(gradient, k.Mul(k.Convert(ptx.U64, t.Group), 2*d.M*d.N))
			}
			store.Fetch(row, t.Col)
			main.Run(k, acc, t.Slots, blockA)
			store.Tile(acc, row, t.Col, t.Group)
		})
		k.LaunchDependents()
		store.Drain()
	})
	k.Exit()
}

// params declares the operand's parameters.
func (o *raggedOperand) params(k *ptx.Kernel, name string) (matrix ptx.Reg, rows tile.Rows) {
	matrix, rows.TopK = k.ParamPtr(name), o.topK
	if o.topK > 0 {
		rows.Pairs = k.ParamPtr(name + "_pairs")
	} else {
		o.plain = k.TensorMap(name+"_map", o.Map(1))
	}
	return matrix, rows
}

// raggedSlots loads the slots of a tile.
func raggedSlots(k *ptx.Kernel, ring *tile.Ring, t tile.MatrixTile, leads ptx.Reg, a, b *raggedOperand) {
	starts := map[*raggedOperand]ptx.Reg{a: t.Row, b: t.Col}
	var gathered, plain []*raggedOperand
	bytes := 0
	for _, o := range []*raggedOperand{a, b} {
		o.Tile(starts[o])
		if o.topK > 0 {
			gathered = append(gathered, o)
			o.Find(t.First, t.End)
		} else {
			plain = append(plain, o)
			bytes += o.Bytes()
		}
	}
	row := k.Var(ptx.U32, "row", t.First)
	k.For("iter", 0, t.Slots, 1, func(ptx.Reg) {
		next := k.Add(row, tile.Depth)
		ring.WaitEmpty()
		slot, full := ring.Slot(), ring.Full()
		if len(plain) == 0 {
			k.When(leads).MbarrierArrive(full)
		} else {
			k.IfElse(k.Le(next, t.End), func() {
				k.If(leads, func() {
					k.MbarrierExpect(full, bytes)
					for _, o := range plain {
						o.Operand.Load(k, o.plain, k.Add(slot, o.at), full, starts[o], row)
					}
				})
			}, func() {
				k.When(leads).MbarrierArrive(full)
				for _, o := range plain {
					o.Find(row, t.End)
					o.Ragged.Load(k.Add(slot, o.at))
				}
			})
		}
		for _, o := range gathered {
			o.Ragged.Load(k.Add(slot, o.at))
		}
		k.CpAsyncArrive(full)
		for _, o := range gathered {
			o.Find(next, t.End)
		}
		k.Assign(row, next)
		ring.Advance()
	})
}

// weightGradient is a grouped weight gradient among the buffers of an operation.
type weightGradient struct {
	GroupedWGradDesc
	rowsA, rowsB   int // of the matrices
	a, b, offsets  Arg // places
	pairsA, pairsB Arg // of gathered rows
	c              Arg
	record         Arg // if Accumulate
}

// launch is the launch by one Config.
func (p weightGradient) launch(c GroupedWGradConfig) Launch {
	l := Launch{Entry: c.Name(p.GroupedWGradDesc), Grid: p.Experts * ceil(p.M, c.BlockM) * ceil(p.N, c.BlockN), Persistent: true, Dependent: true}
	operand := func(at, pairs Arg, topK, rows, cols, block int) {
		l.Args = append(l.Args, at)
		if topK > 0 {
			l.Args = append(l.Args, pairs)
		} else {
			l.Args = append(l.Args, at.matrix(rows, cols, tile.Operand{Major: ptx.MNMajor, Rows: block}.Map(1)))
		}
	}
	operand(p.a, p.pairsA, p.TopKA, p.rowsA, p.M, c.BlockM)
	operand(p.b, p.pairsB, p.TopKB, p.rowsB, p.N, c.BlockN)
	l.Args = append(l.Args, p.offsets, p.c.experts(p.Experts, p.M, p.N, tile.StoreMap()))
	if p.Accumulate {
		l.Args = append(l.Args, p.c, p.record)
	}
	return l
}
