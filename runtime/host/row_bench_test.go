package host

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

// Benchmarks of the row-wise kernels at the shapes of Qwen3-30B-A3B and 1024 tokens, operands larger than a cache. MB/s
// counts each operand's bytes once, read or written: beside BenchmarkCopy's it says how close a kernel is to memory speed.
const (
	benchT, benchD, benchE, benchK, benchF, benchH, benchG, benchP = 1024, 2048, 128, 8, 768, 32, 4, 128
	benchQ                                                         = (benchH + 2*benchG) * benchP
)

// rates runs f on every path, on all cores.
func rates(b *testing.B, elements int, f func(p *Pool)) {
	before := activeISA
	defer func() { activeISA = before }()
	p := NewPool(runtime.GOMAXPROCS(0))
	defer p.Close()
	for _, activeISA = range supportedISAs() {
		b.Run(activeISA.String(), func(b *testing.B) {
			b.SetBytes(int64(4 * elements))
			for b.Loop() {
				f(p)
			}
		})
	}
}

func BenchmarkCopy(b *testing.B) {
	const n = 8 * benchT * benchD
	x, y := normal(1, n), make([]float32, n)
	rates(b, 2*n, func(p *Pool) { Copy(p, x, y) })
}

func BenchmarkAdd(b *testing.B) {
	const n = 4 * benchT * benchD
	x, y, z := normal(1, n), normal(2, n), make([]float32, n)
	rates(b, 3*n, func(p *Pool) { Add(p, x, y, z) })
}

func BenchmarkRMSNorm(b *testing.B) {
	const t = 8 * benchT
	x, w, y, rstd := normal(1, t*benchD), normal(2, benchD), make([]float32, t*benchD), make([]float32, t)
	rates(b, 2*t*benchD, func(p *Pool) { RMSNorm(p, t, benchD, 1e-6, x, w, y, rstd) })
}

func BenchmarkRMSNormGrad(b *testing.B) {
	const t = 4 * benchT
	x, w, dy, residual := normal(1, t*benchD), normal(2, benchD), normal(3, t*benchD), normal(4, t*benchD)
	rstd, dx, dw, ws := filled(t, 1), make([]float32, t*benchD), make([]float32, benchD), make([]float32, RMSNormGradWorkspace(t, benchD))
	rates(b, 4*t*benchD, func(p *Pool) { RMSNormGrad(p, t, benchD, dy, x, w, rstd, residual, false, dx, dw, ws) })
}

func qkBench(t int) (in qkInput) {
	in = qkInput{qkv: normal(1, t*benchQ), wq: normal(2, benchP), wk: normal(3, benchP), positions: make([]int32, t)}
	in.cos, in.sin = normal(4, t*benchP/2), normal(5, t*benchP/2)
	for i := range in.positions {
		in.positions[i] = int32(i)
	}
	return in
}

func BenchmarkQKNormRope(b *testing.B) {
	const t = 2 * benchT
	in, y := qkBench(t), make([]float32, t*benchQ)
	rates(b, 2*t*benchQ, func(p *Pool) {
		QKNormRope(p, t, benchH, benchG, benchP, benchP, 1e-6, in.qkv, in.wq, in.wk, in.cos, in.sin, in.positions, y)
	})
}

func BenchmarkQKNormRopeGrad(b *testing.B) {
	const t = 2 * benchT
	in, dy, dqkv := qkBench(t), normal(7, t*benchQ), make([]float32, t*benchQ)
	dwq, dwk, ws := make([]float32, benchP), make([]float32, benchP), make([]float32, QKNormRopeGradWorkspace(t, benchP))
	rates(b, 3*t*benchQ, func(p *Pool) {
		QKNormRopeGrad(p, t, benchH, benchG, benchP, benchP, 1e-6, dy, in.qkv, in.wq, in.wk, in.cos, in.sin, in.positions,
			false, dqkv, dwq, dwk, ws)
	})
}

func BenchmarkRouter(b *testing.B) {
	const t = 4 * benchT
	logits, idx, w := normal(1, t*benchE), make([]int32, t*benchK), make([]float32, t*benchK)
	rates(b, t*benchE, func(p *Pool) { Router(p, t, benchE, benchK, true, logits, idx, w) })
}

func BenchmarkRouterStats(b *testing.B) {
	const t = 4 * benchT
	logits, idx, stats := normal(1, t*benchE), make([]int32, t*benchK), make([]float32, 2*benchE)
	rates(b, t*benchE, func(p *Pool) { RouterStats(p, t, benchE, benchK, logits, idx, stats) })
}

// benchRouting spreads the pairs over all experts.
func benchRouting(p *Pool, t int) routing {
	return newRouting(p, t, benchK, benchE, func(r *rand.Rand) int32 { return r.Int32N(benchE) })
}

func BenchmarkRoute(b *testing.B) {
	x := benchRouting(nil, 2*benchT)
	rates(b, 3*len(x.idx), func(p *Pool) { Route(p, x.t, x.k, x.l, x.idx, x.offsets, x.pairs, x.slots) })
}

func BenchmarkPermute(b *testing.B) {
	x := benchRouting(nil, benchT)
	in, y := normal(1, benchT*benchD), make([]float32, benchT*benchK*benchD)
	rates(b, len(in)+len(y), func(p *Pool) { Permute(p, benchK, benchD, x.offsets, x.pairs, in, y) })
}

func BenchmarkUnpermute(b *testing.B) {
	x := benchRouting(nil, benchT)
	in, residual, y := normal(1, benchT*benchK*benchD), normal(2, benchT*benchD), make([]float32, benchT*benchD)
	rates(b, len(in)+2*len(y), func(p *Pool) { Unpermute(p, benchT, benchK, benchD, nil, x.slots, x.w, in, residual, y) })
}

func BenchmarkSwiGLU(b *testing.B) {
	const n = benchT * benchK * benchF
	gu, a := normal(1, 2*n), make([]float32, n)
	rates(b, 3*n, func(p *Pool) { SwiGLU(p, benchF, nil, gu, a) })
}

func BenchmarkSwiGLUUnpermuteGrad(b *testing.B) {
	const n = benchT * benchK * benchF
	x := benchRouting(nil, benchT)
	gu, da, dgu, aw, dw := normal(1, 2*n), normal(2, n), make([]float32, 2*n), make([]float32, n), make([]float32, benchT*benchK)
	rates(b, 6*n, func(p *Pool) {
		SwiGLUUnpermuteGrad(p, benchT, benchK, benchF, x.offsets, x.pairs, x.w, gu, da, dgu, aw, dw)
	})
}

func BenchmarkEmbeddingGrad(b *testing.B) {
	const v, t = 16384, 4 * benchT
	tokens, dy, dtable := make([]int32, t), normal(1, t*benchD), make([]float32, v*benchD)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range tokens {
		tokens[i] = r.Int32N(v)
	}
	rates(b, len(dy)+len(dtable), func(p *Pool) { EmbeddingGrad(p, t, benchD, v, -1, tokens, dy, false, dtable) })
}

func BenchmarkSumSquares(b *testing.B) {
	const n = 8 * benchT * benchD
	x, sum := normal(1, n), make([]float64, 1)
	rates(b, n, func(p *Pool) { SumSquares(p, x, true, sum) })
}

func BenchmarkAdamW(b *testing.B) {
	const n = 4 * benchT * benchD
	grad, value, m, v := normal(1, n), normal(2, n), make([]float32, n), make([]float32, n)
	record := make([]float32, RecordLen)
	record[RecordLR], record[RecordEps], record[RecordBias1], record[RecordBias2] = 1e-4, 1e-8, 1, 1
	record[RecordBeta1], record[RecordBeta2], record[RecordGain1], record[RecordGain2] = 0.9, 0.999, 0.1, 0.001
	rates(b, 7*n, func(p *Pool) { AdamW(p, 1, 1, []float32{1}, record, grad, value, m, v) })
}

// A row of the length that attention and the router have: first-level cache, so the arithmetic alone.
func BenchmarkExpShifted(b *testing.B) {
	x, y := normal(1, 512), make([]float32, 512)
	rates(b, len(x), func(*Pool) { expShifted(y, x, 4) })
}

// Four ranks share this machine's cores; 16 MiB a rank.
func BenchmarkAllReduce(b *testing.B) {
	const ranks, n = 4, 4 << 20
	m := openMachine(b, ranks, 4*n)
	b.SetBytes(ranks * 4 * n * 2)
	for b.Loop() {
		m.Run(func(r *Rank) { AllReduce(r, r.F32(0, n)) })
	}
}

func BenchmarkBarrier(b *testing.B) {
	m := openMachine(b, 2, 4096)
	m.Run(func(r *Rank) {
		for range b.N {
			r.Barrier()
		}
	})
}
