package gpu

import (
	"fmt"
	"math"

	"moegen/kernels/ptx"
	"moegen/kernels/tile"
)

// Grouped GEMM with gathered rows, the first product of a mixture of experts:
//
//	C[r] = A[index[r]] · B[e]ᵀ   for offsets[e] <= r < offsets[e+1]
//
// A [tokens, K], B [experts, N, K], C [rows, N] in bf16, float32 accumulation. A token's row is read where it lies, so
// nobody copies rows into the order of the experts. How many rows an expert has is on the device only: experts without
// rows cost a look, ragged ends are padded with zeros inside the tile and not stored. 2·R·N·K operations; A's rows are
// read again for every column of tiles, B once for every tile of rows, mostly from the second-level cache.
//
// The structure is GEMM's; only the producer (a whole warpgroup copies A by cp.async, one thread of it loads B by the copy
// engine), the walk over tiles and the stores differ.

// GroupedGEMMDesc is what is asked. All sizes but the number of rows are the kernel's.
type GroupedGEMMDesc struct {
	Experts, N, K int
}

// GroupedGEMMConfig fixes one kernel.
type GroupedGEMMConfig struct {
	BlockM, BlockN int
	Stages         int
	Keep           int // as in GEMMConfig
}

// Name is the kernel's entry.
func (c GroupedGEMMConfig) Name(d GroupedGEMMDesc) string {
	return fmt.Sprintf("grouped_gemm_e%d_n%d_k%d_%dx%d_s%d_k%d", d.Experts, d.N, d.K, c.BlockM, c.BlockN, c.Stages, c.Keep)
}

func (c GroupedGEMMConfig) reject(d GroupedGEMMDesc) string {
	if d.K%8 != 0 || d.N%8 != 0 {
		return "rows that are no multiple of 16 bytes"
	}
	return GEMMConfig{BlockM: c.BlockM, BlockN: c.BlockN, Stages: c.Stages, Cluster: 1, Group: 1, Keep: c.Keep, Split: 1}.reject()
}

// GroupedGEMMConfigs returns the candidates, the preferred first, and why others are none.
func GroupedGEMMConfigs(d GroupedGEMMDesc) (out []GroupedGEMMConfig, rejected []string) {
	for _, c := range []GroupedGEMMConfig{{128, 256, 4, 1}, {128, 192, 5, 1}, {128, 128, 6, 1}, {256, 128, 4, 1}} {
		if why := c.reject(d); why != "" {
			rejected = append(rejected, c.Name(d)+": "+why)
		} else {
			out = append(out, c)
		}
	}
	return out, rejected
}

// GroupedGEMMFloor is what a product of so many rows cannot do without, which come from so many different tokens and
// reach so many experts.
func GroupedGEMMFloor(d GroupedGEMMDesc, rows, tokens, reached int) Floor {
	n, k := int64(d.N), int64(d.K)
	return Floor{Bytes: 2 * (int64(tokens)*k + int64(reached)*n*k + int64(rows)*n), FLOPs: 2 * int64(rows) * n * k}
}

// EmitGroupedGEMM writes the kernel: parameters are A, index [rows] and offsets [experts+1] (int32), a map of B and C.
func EmitGroupedGEMM(m *ptx.Module, d GroupedGEMMDesc, c GroupedGEMMConfig) {
	k := m.Kernel(c.Name(d), 128*(1+gemmConsumers))
	if why := c.reject(d); why != "" {
		k.Fail("%s: %s", c.Name(d), why)
		return
	}
	a, b := tile.Operand{Major: ptx.KMajor, Rows: c.BlockM}, tile.Operand{Major: ptx.KMajor, Rows: c.BlockN}
	matrix, index, offsets := k.ParamPtr("a"), k.ParamPtr("index"), k.ParamPtr("offsets")
	mapB, out := k.TensorMap("b", groupedMap(b)), k.ParamPtr("c")

	ring := tile.NewRing(k, c.Stages, a.Bytes()+b.Bytes(), 1)
	store := tile.NewRowStore(k, out, d.N, gemmConsumers)
	walk := tile.GroupWalk{BlockM: c.BlockM, BlockN: c.BlockN, Groups: d.Experts, TilesN: ceil(d.N, c.BlockN), Offsets: offsets}
	tid := k.Read(ptx.TidX)
	warpgroup, thread := k.Shr(tid, 7), k.And(tid, 127)
	leads := k.Eq(thread, 0)
	iters := k.Const(ptx.U32, ceil(d.K, tile.Depth))
	k.If(k.Eq(tid, 0), func() {
		ring.Init(1+128, gemmConsumers)
		k.PrefetchMap(mapB)
	})
	k.Sync()
	k.WaitPrerequisites()
	k.IfElse(k.Eq(warpgroup, gemmConsumers), func() {
		k.Comment("producers: all copy rows of A, one loads B")
		k.DropRegisters(56, 1)
		ring.Start()
		gather := tile.NewGather(k, a, d.K, matrix, index, thread)
		walk.Each(k, func(t tile.GroupTile) {
			gather.Rows(t.Row, t.End)
			kk := k.VarMultiple(tile.Depth, "k", 0)
			k.For("iter", 0, iters, 1, func(ptx.Reg) {
				ring.WaitEmpty()
				slot, full := ring.Slot(), ring.Full()
				k.If(leads, func() {
					k.MbarrierExpect(full, b.Bytes())
					b.Load(k, mapB, k.Add(slot, a.Bytes()), full, t.Col, kk, t.Group)
				})
				gather.Load(slot, kk, full)
				k.To(kk).Add(kk, tile.Depth)
				ring.Advance()
			})
		})
		k.CpAsyncWaitAll()
	}, func() {
		k.Comment("consumers: each its rows of A by all of B")
		k.TakeRegisters(224, gemmConsumers)
		blocks := c.BlockM / 64 / gemmConsumers
		ring.StartConsumer(thread)
		store.Start(warpgroup, thread)
		main := tile.MainLoop{Ring: ring, A: a, B: b, Keep: c.Keep, GenericA: true}
		acc := main.Accumulators(k, blocks)
		blockA := k.Mul(warpgroup, blocks)
		walk.Each(k, func(t tile.GroupTile) {
			main.Run(k, acc, iters, blockA)
			for i := range acc {
				store.Tile(acc[i], k.Add(t.Row, k.Shl(k.Add(blockA, i), 6)), t.End, t.Col)
			}
		})
		k.LaunchDependents()
	})
	k.Exit()
}

// groupedMap is B's box: that of one expert.
func groupedMap(b tile.Operand) ptx.MapSpec {
	spec := b.Map(1)
	spec.Box = append(spec.Box, 1)
	return spec
}

// GroupedGEMMLaunch is the launch on the buffers a, index, offsets, b and c. At most rows/BlockM + experts tiles of rows
// can be.
func GroupedGEMMLaunch(d GroupedGEMMDesc, c GroupedGEMMConfig, rows int) Launch {
	b := tile.Operand{Major: ptx.KMajor, Rows: c.BlockN}
	mapB := Arg{Buffer: "b", Map: &Map{Dims: []int{d.K, d.N, d.Experts}, Strides: []int{2 * d.K, 2 * d.K * d.N}, Spec: groupedMap(b)}}
	return Launch{Entry: c.Name(d), Grid: (rows/c.BlockM + d.Experts) * ceil(d.N, c.BlockN), Persistent: true,
		Args: []Arg{Place("a"), Place("index"), Place("offsets"), mapB, Place("c")}}
}

var groupedGEMM = Family{Name: "grouped_gemm", Cases: func() []Case {
	small := GroupedGEMMConfig{BlockM: 128, BlockN: 64, Stages: 3, Keep: 1}
	waits := GroupedGEMMConfig{BlockM: 128, BlockN: 192, Stages: 2, Keep: 0}
	wide := GroupedGEMMConfig{BlockM: 128, BlockN: 256, Stages: 4, Keep: 1}
	even := make([]int, 16)
	for e := range even {
		even[e] = 2048
	}
	return []Case{
		groupedGEMMCase("ragged", GroupedGEMMDesc{4, 136, 136}, small, 50, []int{130, 0, 1, 17}),
		groupedGEMMCase("one", GroupedGEMMDesc{3, 64, 64}, small, 1, []int{0, 1, 0}),
		groupedGEMMCase("all_to_one", GroupedGEMMDesc{3, 200, 72}, waits, 40, []int{0, 0, 160}),
		groupedGEMMCase("wide", GroupedGEMMDesc{2, 264, 128}, wide, 64, []int{64, 70}),
		large(groupedGEMMCase("qwen3_up", GroupedGEMMDesc{16, 1536, 2048}, wide, 32768, even)),
	}
}}

// groupedGEMMCase has so many rows for every expert; tokens are drawn.
func groupedGEMMCase(name string, d GroupedGEMMDesc, c GroupedGEMMConfig, tokens int, rowsOf []int) Case {
	offsets := []int{0}
	var expert []int
	for e, n := range rowsOf {
		offsets = append(offsets, offsets[e]+n)
		for range n {
			expert = append(expert, e)
		}
	}
	rows, reached := offsets[d.Experts], 0
	for _, n := range rowsOf {
		if n > 0 {
			reached++
		}
	}
	a, b := normal(21, 1), normal(22, 1)
	index := func(r int) float64 { return float64(mix(uint64(r)+77) % uint64(tokens)) }
	used := map[float64]bool{}
	for r := range rows {
		used[index(r)] = true
	}
	return Case{
		Name: fmt.Sprintf("%s_%s", name, c.Name(d)),
		Emit: func(m *ptx.Module) { EmitGroupedGEMM(m, d, c) },
		Buffers: []Buffer{{"a", ptx.BF16, tokens * d.K, a}, {"index", ptx.S32, rows, index}, {"offsets", ptx.S32, d.Experts + 1, numbers(offsets)},
			{"b", ptx.BF16, d.Experts * d.N * d.K, b}, {"c", ptx.BF16, rows * d.N, nil}},
		Launches: []Launch{GroupedGEMMLaunch(d, c, rows)},
		Outputs: []Output{{Buffer: "c", Rel: bf16Rel, Acc: tensorCoreAcc(d.K), Why: productWhy,
			Want: func(i int) (value, magnitude float64, ok bool) {
				row, n := i/d.N, i%d.N
				for k := range d.K {
					v := a(int(index(row))*d.K+k) * b((expert[row]*d.N+n)*d.K+k)
					value += v
					magnitude += math.Abs(v)
				}
				return value, magnitude, true
			}}},
		Floor: GroupedGEMMFloor(d, rows, len(used), reached),
	}
}
