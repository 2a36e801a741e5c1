package gpu

import (
	"fmt"
	"slices"

	"moegen/kernels/ptx"
	"moegen/kernels/tile"
	"moegen/kernels/tuned"
)

// GEMM: C[M,N] = A·B in bf16 with float32 accumulation, in the three forms that a linear layer needs:
//
//	NT  C = A[M,K]·B[N,K]ᵀ    forward:           Y[T,N] = X[T,K]·W[N,K]ᵀ
//	NN  C = A[M,K]·B[K,N]     input gradient:    dX[T,K] = dY[T,N]·W[N,K]
//	TN  C = A[K,M]ᵀ·B[K,N]    weight gradient:   dW[N,K] = dY[T,N]ᵀ·X[T,K]
//
// 2·M·N·K operations against 2·(M·K + N·K + M·N) bytes: at the sizes of a layer the tensor cores decide, 4096
// operations a cycle and multiprocessor, about 750 TFLOP/s at the clock that 700 W allow.
//
// One block a multiprocessor, persistent. A producer warpgroup loads tiles of A and B by the copy engine into a ring of
// slots; two consumer warpgroups multiply them with wgmma, each its rows of A by all of B, and write their results through
// shared memory by the copy engine while the producer already loads the next tile. Blocks can work in pairs along M:
// each loads half of B for both, which halves what B costs the second-level cache. Any M, N and K do whose rows are
// multiples of 16 bytes: what lies outside is loaded as zero and not stored.

// Form says which operand is stored in which order.
type Form uint8

// The forms, by how A and B are stored: T where rows of the matrix run along K for A, along N for B.
const (
	NT Form = iota // A [M,K], B [N,K]
	NN             // A [M,K], B [K,N]
	TN             // A [K,M], B [K,N]
)

// String returns the form's name.
func (f Form) String() string { return [...]string{"nt", "nn", "tn"}[f] }

func (f Form) majors() (a, b ptx.Major) {
	a, b = ptx.KMajor, ptx.MNMajor
	if f == NT {
		b = ptx.KMajor
	}
	if f == TN {
		a = ptx.MNMajor
	}
	return a, b
}

// GEMMDesc is what is asked. The kernel itself knows only the form and what is added: sizes are arguments.
type GEMMDesc struct {
	Form    Form
	M, N, K int
	Bias    bool // a vector along N is added
	Add     Add  // and a matrix like C, which may be C
}

// Add says whether a matrix is added to a product, and to what of it: to its sums in float32, before the one rounding to
// bf16, or, a residual, to the product in bf16, where Transformers adds it.
type Add uint8

// The additions. Accumulate is that of a gradient, which the step record switches.
const (
	Nothing Add = iota
	Always
	Residual
	Accumulate
)

// String returns what it adds to a kernel's name.
func (a Add) String() string { return [...]string{"", "_add", "_res", "_acc"}[a] }

// GEMMConfig fixes one kernel.
type GEMMConfig struct {
	BlockM, BlockN int // tile of a block
	Stages         int // slots of the ring
	Cluster        int // 1, or 2 blocks along M that share B
	Group          int // rows of tiles walked together
	Keep           int // 0 or 1 slots whose wgmmas still run when the next begins
	Split          int // parts along K of each tile behind the last full round over the GPU; 1: none is split
}

const gemmConsumers = 2

// Name is the kernel's entry.
func (c GEMMConfig) Name(d GEMMDesc) string {
	name := fmt.Sprintf("gemm_%s_%dx%d_s%d_c%d_g%d_k%d", d.Form, c.BlockM, c.BlockN, c.Stages, c.Cluster, c.Group, c.Keep)
	if c.Split > 1 {
		name += fmt.Sprintf("_p%d", c.Split)
	}
	if d.Bias {
		name += "_bias"
	}
	return name + d.Add.String()
}

func (c GEMMConfig) shared() int {
	return c.Stages*(c.BlockM+c.BlockN)*tile.Depth*2 + gemmConsumers*2*8192 + 16*c.Stages
}

// reject says why a kernel cannot be, or "".
func (c GEMMConfig) reject() string {
	switch regs := c.BlockM / 64 / gemmConsumers * c.BlockN / 2; {
	case c.BlockM%(64*gemmConsumers) != 0 || c.BlockN%64 != 0 || c.BlockN > 256:
		return "a consumer takes blocks of 64 rows by up to 256 columns, in slabs of 64"
	case regs > 128:
		return fmt.Sprintf("%d accumulators a thread; beyond 128 the rest does not fit 232 registers", regs)
	case c.shared() > ptx.SharedLimit:
		return fmt.Sprintf("%d bytes of shared memory", c.shared())
	case c.Split < 1 || c.Split > 8:
		return "a tile is whole or up to 8 parts"
	case c.Stages < 2 || c.Keep < 0 || c.Keep > 1 || c.Group < 1:
		return "a pipeline has at least two slots, one of them kept at most"
	case c.Cluster != 1 && c.Cluster != 2:
		return "of larger clusters fewer fit: 120 multiprocessors of 132 with 4 blocks"
	case c.Cluster == 2 && c.BlockN%128 != 0:
		return "the halves of B are whole slabs"
	}
	return ""
}

// GEMMConfigs returns the candidates for a product and why others are none: first the one that measurements chose, if there
// are any of a product of as many tiles and slots, then the cheapest.
func GEMMConfigs(d GEMMDesc) (out []GEMMConfig, rejected []string) {
	for _, block := range [][2]int{{128, 128}, {128, 256}, {256, 128}, {128, 192}, {128, 64}} {
		for _, cluster := range []int{2, 1} {
			for _, split := range []int{1, 2, 3, 4} {
				c := GEMMConfig{BlockM: block[0], BlockN: block[1], Cluster: cluster, Group: 8, Keep: 1, Split: split}
				for c.Stages = 7; c.Stages > 2 && c.shared() > ptx.SharedLimit; c.Stages-- {
				}
				why := c.reject()
				if why == "" && split > ceil(d.K, tile.Depth) {
					why = "parts without a slot"
				}
				if why != "" {
					rejected = append(rejected, c.Name(d)+": "+why)
				} else {
					out = append(out, c)
				}
			}
		}
	}
	sortByCost(out, func(c GEMMConfig) int64 { return GEMMCost(d, c) })
	if c, ok := d.measured(); ok {
		out = append([]GEMMConfig{c}, slices.DeleteFunc(out, func(other GEMMConfig) bool { return other == c })...)
	}
	return out, rejected
}

// measured returns what was the quickest for a product of as many tiles and slots on an H100.
func (d GEMMDesc) measured() (c GEMMConfig, ok bool) {
	work := func(m, n, k int) [3]int { return [3]int{ceil(m, 128), ceil(n, 128), ceil(k, tile.Depth)} }
	for _, p := range tuned.H100Products {
		if p.Form == d.Form.String() && work(p.M, p.N, p.K) == work(d.M, d.N, d.K) {
			return GEMMConfig{p.BlockM, p.BlockN, p.Stages, p.Cluster, p.Group, p.Keep, p.Split}, true
		}
	}
	return GEMMConfig{}, false
}

// multiprocessors of an H100 SXM: what the split of work is planned for. The result does not depend on how many there are.
const multiprocessors = 132

// grid returns the tiles along M (in rows of whole clusters) and N, and the first one that is split.
func (c GEMMConfig) grid(d GEMMDesc) (tilesM, tilesN, splitFrom int) {
	tilesM, tilesN = ceil(d.M, c.BlockM*c.Cluster), ceil(d.N, c.BlockN)
	splitFrom = tilesM * tilesN
	if c.Split > 1 {
		splitFrom -= splitFrom % (multiprocessors / c.Cluster)
	}
	return tilesM, tilesN, splitFrom
}

// flags returns how many sums the parts of split tiles share, each with a flag; 0 if no tile is split. Flags are zero
// before the launch; it leaves them so.
func (c GEMMConfig) flags(d GEMMDesc) int {
	tilesM, tilesN, splitFrom := c.grid(d)
	return (tilesM*tilesN - splitFrom) * c.Cluster * gemmConsumers
}

// workspace returns the bytes of the flags, which come first, and of all scratch of split tiles.
func (c GEMMConfig) workspace(d GEMMDesc) (flags, all int) {
	n := c.flags(d)
	flags = ceil(4*n, 256) * 256
	return flags, flags + 4*n*c.BlockM/gemmConsumers*c.BlockN
}

// clearCost is the cycles of a small launch; cacheRate the bytes a cycle that a multiprocessor gets from the second-level
// cache when all ask at once.
const clearCost, cacheRate = 2500, 48

// GEMMCost estimates the cycles of a product: rounds of tiles over the multiprocessors, each slot as long as the larger of
// its tensor-core time (4096 operations a cycle; wgmma with few columns is bound by 128 bytes a cycle of shared memory) and
// its loads, and the last tile's way out. In every round of parts of tiles each part waits for those before it, which pass
// on their sums, 4 bytes an element there and back, behind a launch that clears their flags.
func GEMMCost(d GEMMDesc, c GEMMConfig) int64 {
	tilesM, tilesN, splitFrom := c.grid(d)
	clusters := multiprocessors / c.Cluster
	slots := int64(ceil(d.K, tile.Depth))
	steps := slots * int64(ceil(splitFrom, clusters))
	slot, last := tileCost(c.BlockM, c.BlockN, c.Cluster)
	out := int64(ceil(splitFrom, clusters)+1) * last
	if rest := tilesM*tilesN - splitFrom; rest > 0 {
		rounds := int64(ceil(rest*c.Split, clusters))
		steps += rounds * (slots + int64(c.Split) - 1) / int64(c.Split)
		out += rounds*int64((c.Split-1)*c.BlockM*c.BlockN*2*4/cacheRate) + clearCost
	}
	return steps*slot + out
}

// tileCost is the cycles of a slot, and those of a tile's way out.
func tileCost(blockM, blockN, cluster int) (slot, out int64) {
	perWgmma := max(blockN/2, (2048+32*blockN)/128) // cycles of one wgmma alone on the multiprocessor
	math := int64(tile.Steps * blockM / 64 * perWgmma)
	load := int64((blockM + blockN/cluster) * tile.Depth * 2 / cacheRate)
	return max(math, load), int64(blockM * blockN * 2 / 64)
}

// GEMMFloor is what a product cannot do without.
func GEMMFloor(d GEMMDesc) Floor {
	m, n, k := int64(d.M), int64(d.N), int64(d.K)
	bytes := 2 * (m*k + n*k + m*n)
	if d.Bias {
		bytes += 2 * n
	}
	if d.Add != Nothing {
		bytes += 2 * m * n
	}
	return Floor{Bytes: bytes, FLOPs: 2 * m * n * k}
}

// EmitGEMM writes the kernel: parameters are maps of A, B and C, the slots along K, and the tiles along M (in rows of
// whole clusters) and N; if tiles are split, the first one that is, the sums and their flags; if something is added, M and
// N, the vector, the matrix and the step record.
func EmitGEMM(m *ptx.Module, d GEMMDesc, c GEMMConfig) {
	k := m.Kernel(c.Name(d), 128*(1+gemmConsumers))
	if why := c.reject(); why != "" {
		k.Fail("%s: %s", c.Name(d), why)
		return
	}
	k.Cluster(c.Cluster)
	majorA, majorB := d.Form.majors()
	a, b := tile.Operand{Major: majorA, Rows: c.BlockM}, tile.Operand{Major: majorB, Rows: c.BlockN}
	mapA, mapB := k.TensorMap("a", a.Map(1)), k.TensorMap("b", b.Map(c.Cluster))
	mapC := k.TensorMap("c", tile.StoreMap())
	walk := tile.Walk{BlockM: c.BlockM, BlockN: c.BlockN, Cluster: c.Cluster, Group: c.Group, Split: c.Split}
	walk.Slots, walk.TilesM, walk.TilesN = k.ParamU32("slots"), k.ParamU32("tiles_m"), k.ParamU32("tiles_n")
	var turns tile.Turns
	if c.Split > 1 {
		walk.SplitFrom = k.ParamU32("split_from")
		turns.Sums, turns.Flags = k.ParamPtr("sums"), k.ParamPtr("flags")
	}
	adds := newAdditions(k, d)

	ring := tile.NewRing(k, c.Stages, a.Bytes()+b.Bytes(), c.Cluster)
	tid := k.Read(ptx.TidX)
	warpgroup := k.Shr(tid, 7)
	k.If(k.Eq(tid, 0), func() {
		ring.Init(1, gemmConsumers)
		k.PrefetchMap(mapA)
		k.PrefetchMap(mapB)
		k.PrefetchMap(mapC)
	})
	syncCluster(k, c.Cluster)
	k.WaitPrerequisites()
	k.IfElse(k.Eq(warpgroup, gemmConsumers), func() {
		k.Comment("producer: one thread loads A and B for every slot")
		k.DropRegisters(40, 1)
		k.If(k.Eq(tid, 128*gemmConsumers), func() {
			ring.Start()
			var rank ptx.Reg
			if c.Cluster > 1 {
				rank = k.Read(ptx.ClusterCtaRank)
			}
			walk.Each(k, func(t tile.Tile) {
				kk := k.VarMultiple(tile.Depth, "k", k.Mul(t.First, tile.Depth))
				k.For("iter", 0, t.Slots, 1, func(ptx.Reg) {
					ring.WaitEmpty()
					slot, full := ring.Slot(), ring.Full()
					k.MbarrierExpect(full, a.Bytes()+b.Bytes())
					a.Load(k, mapA, slot, full, t.Row, kk)
					if c.Cluster > 1 {
						b.LoadShare(k, mapB, k.Add(slot, a.Bytes()), full, t.Col, kk, rank, c.Cluster)
					} else {
						b.Load(k, mapB, k.Add(slot, a.Bytes()), full, t.Col, kk)
					}
					k.To(kk).Add(kk, tile.Depth)
					ring.Advance()
				})
			})
			if c.Cluster > 1 {
				ring.Drain()
			}
		})
	}, func() {
		k.Comment("consumers: each its rows of A by all of B")
		k.TakeRegisters(232, gemmConsumers)
		blocks := c.BlockM / 64 / gemmConsumers
		thread := k.And(tid, 127)
		ring.StartConsumer(thread)
		store := tile.NewStore(k, mapC, gemmConsumers, adds.addends()...)
		store.Start(warpgroup, thread)
		main := tile.MainLoop{Ring: ring, A: a, B: b, Keep: c.Keep}
		acc := main.Accumulators(k, blocks)
		blockA := k.Mul(warpgroup, blocks)
		turns.Thread, turns.Leads, turns.Barrier = thread, k.Eq(thread, 0), k.Add(warpgroup, 1)
		walk.Each(k, func(t tile.Tile) {
			row := k.Add(t.Row, k.Shl(blockA, 6))
			if c.Split == 1 {
				store.Fetch(row, t.Col)
				main.Run(k, acc, t.Slots, blockA)
				store.Tile(acc, row, t.Col)
				return
			}
			main.Run(k, acc, t.Slots, blockA)
			var all []ptx.Reg
			for _, a := range acc {
				all = append(all, a.Regs...)
			}
			turns.Add(k, k.Mad(t.Number, gemmConsumers, warpgroup), t.Part, t.Last, all, func() {
				store.Fetch(row, t.Col)
				store.Tile(acc, row, t.Col)
			})
		})
		k.LaunchDependents()
		store.Drain()
	})
	k.Exit()
}

// syncCluster lets everybody see the barriers that one thread has made.
func syncCluster(k *ptx.Kernel, cluster int) {
	if cluster == 1 {
		k.Sync()
		return
	}
	k.ClusterArrive(false)
	k.ClusterWait()
}

func ceil(a, b int) int { return (a + b - 1) / b }
