package device

import (
	"fmt"
	"math"
	"slices"

	"moegen/kernels/ptx"
	"moegen/runtime/checkpoint"
	"moegen/runtime/driver"
	"moegen/runtime/driver/purego"
	"moegen/runtime/host"
	"moegen/runtime/safetensors"
	"moegen/runtime/train"
)

// The toy is a small model written by hand as a program for a GPU. With w the only weight, [V, D] in bf16, and the sums
// over the tokens that have a target:
//
//	x_t = w[token_t]    loss = norm·Σ_t Σ_d x_td    dw[v, d] = norm·#{t: token_t = v}
//	m' = β1·m + (1 − β1)·dw    w' = w − lr·m'    logits[t, v] = x[t, v mod D]
const (
	toyVocab  = 260
	toyHidden = 8
	toySeq    = 8
	toyRows   = 2
	toyTokens = toyRows * toySeq
	toyHead   = 5 // does not divide the tokens
	toyN      = toyVocab * toyHidden
	toyX      = toyTokens * toyHidden
)

// Places in the arena.
const (
	toyW = 8192 * iota
	toyM
	toyTokensAt
	toyTargets
	toyPositions
	toyStarts
	toyRecord
	toyHeadRow
	toyLoss
	toyNorm
	toyXAt
	toyFinal
	toyCos
	toySin
	toyLogits
	toyBytes
)

// The gradients: where a step has one micro-batch they lie where logits do at other times.
const (
	toyGrad      = toyBytes
	toyGradBytes = toyBytes - toyLogits
)

var (
	toyGather = Kernel{Name: "gather_t16", Threads: toyX, Dependent: true}
	toySum    = Kernel{Name: "loss_t16", Threads: 32, Dependent: true}
	toyDW     = Kernel{Name: "scatter_v260_d8", Threads: 32, Persistent: true, Dependent: true}
	toyRoot   = Kernel{Name: "norm_n2080", Threads: 32}
	toySGD    = Kernel{Name: "sgd_n2080", Threads: 256, Dependent: true}
	toyTile   = Kernel{Name: "tile_copy", Threads: toyX, Shared: 272}
	toyRow    = Kernel{Name: "logits", Threads: toyVocab + 28}
	toyBox    = Box{Element: driver.BF16, Box: []int{toyHidden, toyTokens}}
)

func toyParts() train.Parts[Rank] {
	forward := func(r *Rank) {
		r.Launch(&toyGather, 1, At(toyW), At(toyTokensAt), At(toyXAt))
		r.Tap("hidden", 0, toyXAt, safetensors.BF16, toyX)
		r.Launch(&toySum, 1, At(toyXAt), At(toyTargets), At(toyRecord), At(toyLoss))
		r.Tap("topk", 0, toyTokensAt, safetensors.I32, toyTokens)
	}
	return train.Parts[Rank]{
		Setup: func(r *Rank) {
			r.RopeTable(toySeq, 4, []float64{1, 0.1}, 1, safetensors.BF16, toyCos, toySin)
		},
		MicroBatch: func(r *Rank) {
			forward(r)
			r.Launch(&toyDW, toyVocab, At(toyTokensAt), At(toyTargets), At(toyRecord), At(toyGrad))
		},
		Update: func(r *Rank) {
			r.Launch(&toyRoot, 1, At(toyGrad), At(toyNorm), U32(toyN))
			r.Launch(&toySGD, (toyN+255)/256, At(toyW), At(toyM), At(toyGrad), At(toyRecord), U64(toyN))
		},
		Eval: func(r *Rank) {
			forward(r)
			r.Zero(toyFinal, 2*toyX)
			r.Launch(&toyTile, 1, Map(toyXAt, &toyBox, []int64{toyHidden, toyTokens}, []int64{2 * toyHidden}), At(toyFinal))
		},
		Head: func(r *Rank) { r.Launch(&toyRow, toyHead, At(toyFinal), At(toyHeadRow), At(toyLogits)) },
	}
}

// toyProgram is the toy for a device.
func toyProgram(parts train.Parts[Rank], c choice) train.Program {
	bf16 := func(at int64) checkpoint.Array { return checkpoint.Array{At: at, DType: safetensors.BF16} }
	table := []int{toyVocab, toyHidden}
	t := H100(Access{Open: purego.Open, Inspect: purego.Inspect}, Code{PTX: toyKernels(), Cubin: "\x7fELF, which the simulator refuses"}, parts).(*target)
	t.device = c
	return train.Program{
		Manifest: train.Manifest{
			Model: "toy", Architecture: "toy", Config: `{"model_type": "toy", "dtype": "bfloat16"}`, Version: "test", Target: "h100", DType: "bf16",
			Seq: toySeq, MicroBatch: toyRows, Ranks: 1, EP: 1, Vocab: toyVocab, Hidden: toyHidden, Layers: 1, Experts: 1, TopK: 1,
			Parameters: toyN, ActiveParameters: toyN, FLOPsPerToken: toyHidden, ArenaBytes: toyBytes, GradientBytes: toyGradBytes, PeakBytesPerGPU: toyBytes,
			AccumulatingBytesPerGPU: toyBytes + toyGradBytes, PlanHash: "toy",
		},
		Params: []checkpoint.Param{{
			Name: "w", Shape: table, Pieces: []checkpoint.Piece{{Name: "model.embed_tokens.weight", Shape: table}},
			Init: checkpoint.Init{Kind: checkpoint.InitNormal, Std: 1}, Value: bf16(toyW), Grad: bf16(toyGrad),
			State: []checkpoint.State{{Name: "exp_avg", Array: bf16(toyM)}}, Share: toyN,
		}},
		Zeros: []train.Span{{At: toyM, Bytes: 2 * toyN}},
		Layout: train.Layout{
			Tokens: toyTokensAt, Targets: toyTargets, Positions: toyPositions, Starts: toyStarts, Record: toyRecord, Loss: toyLoss, AuxLoss: -1, Choice: -1, PoolUse: -1,
			GradNorm: toyNorm, HeadRow: toyHeadRow, HeadRows: toyHead, Logits: toyLogits, LogitsType: safetensors.BF16,
		},
		Target: t,
	}
}

// toyKernels is the module of the toy.
func toyKernels() string {
	m := ptx.NewModule()
	kernel := func(of Kernel) *ptx.Kernel { return m.Kernel(of.Name, of.Threads) }
	bf16 := func(k *ptx.Kernel, at ptx.Addr) ptx.Reg {
		return k.Convert(ptx.F32, k.Ld(ptx.Global, ptx.BF16, at))
	}
	// at is element i of an array.
	at := func(k *ptx.Kernel, array, i ptx.Reg, width int) ptx.Addr {
		return k.Add(array, k.MulWide(i, width)).At(0)
	}
	number := func(k *ptx.Kernel, record ptx.Reg, i int) ptx.Reg { return k.Ld(ptx.Global, ptx.F32, record.At(4*i)) }

	k := kernel(toyGather)
	w, tokens, x := k.ParamPtr("w"), k.ParamPtr("tokens"), k.ParamPtr("x")
	k.WaitPrerequisites()
	i := k.Read(ptx.TidX)
	token := k.Ld(ptx.Global, ptx.U32, at(k, tokens, k.Shr(i, 3), 4))
	k.St(ptx.Global, at(k, x, i, 2), k.Ld(ptx.Global, ptx.BF16, at(k, w, k.Mad(token, toyHidden, k.And(i, 7)), 2)))
	k.LaunchDependents()
	k.Exit()

	k = kernel(toySum)
	x, targets, record, loss := k.ParamPtr("x"), k.ParamPtr("targets"), k.ParamPtr("record"), k.ParamPtr("loss")
	k.WaitPrerequisites()
	k.If(k.Eq(k.Read(ptx.TidX), 0), func() {
		sum := k.Var(ptx.F32, "sum", 0.0)
		for t := range toyTokens {
			k.If(k.Ge(k.Ld(ptx.Global, ptx.S32, targets.At(4*t)), 0), func() {
				for d := range toyHidden {
					k.To(sum).Add(sum, bf16(k, x.At(2*(toyHidden*t+d))))
				}
			})
		}
		k.St(ptx.Global, loss.At(0), k.Mul(sum, number(k, record, host.RecordLossNorm)))
	})
	k.LaunchDependents()
	k.Exit()

	k = kernel(toyDW)
	tokens, targets, record = k.ParamPtr("tokens"), k.ParamPtr("targets"), k.ParamPtr("record")
	grad := k.ParamPtr("grad")
	k.WaitPrerequisites()
	i = k.Read(ptx.TidX)
	k.For("v", k.Read(ptx.CtaIDX), toyVocab, k.Read(ptx.NCtaIDX), func(v ptx.Reg) {
		k.If(k.Lt(i, toyHidden), func() {
			place := at(k, grad, k.Mad(v, toyHidden, i), 2)
			sum := k.Var(ptx.F32, "sum", 0.0)
			k.If(k.Ne(number(k, record, host.RecordAccumulate), 0.0), func() { k.Assign(sum, bf16(k, place)) })
			for t := range toyTokens {
				has := k.And(k.Eq(k.Ld(ptx.Global, ptx.U32, tokens.At(4*t)), v), k.Ge(k.Ld(ptx.Global, ptx.S32, targets.At(4*t)), 0))
				k.If(has, func() { k.To(sum).Add(sum, number(k, record, host.RecordLossNorm)) })
			}
			k.St(ptx.Global, place, k.Convert(ptx.BF16, sum))
		})
	})
	k.LaunchDependents()
	k.Exit()

	k = kernel(toyRoot)
	grad = k.ParamPtr("grad")
	norm, n := k.ParamPtr("norm"), k.ParamU32("n")
	k.If(k.Eq(k.Read(ptx.TidX), 0), func() {
		sum := k.Var(ptx.F32, "sum", 0.0)
		k.For("i", 0, n, 1, func(i ptx.Reg) {
			g := bf16(k, at(k, grad, i, 2))
			k.To(sum).Fma(g, g, sum)
		})
		k.St(ptx.Global, norm.At(0), k.Sqrt(sum))
	})
	k.Exit()

	k = kernel(toySGD)
	w, moment := k.ParamPtr("w"), k.ParamPtr("m")
	grad, record = k.ParamPtr("grad"), k.ParamPtr("record")
	n = k.ParamU64("n")
	k.WaitPrerequisites()
	i = k.Mad(k.Read(ptx.CtaIDX), 256, k.Read(ptx.TidX))
	k.If(k.Lt(k.Convert(ptx.U64, i), n), func() {
		first := k.Mul(number(k, record, host.RecordGain1), bf16(k, at(k, grad, i, 2)))
		v := k.Convert(ptx.BF16, k.Fma(number(k, record, host.RecordBeta1), bf16(k, at(k, moment, i, 2)), first))
		k.St(ptx.Global, at(k, moment, i, 2), v)
		step := k.Mul(number(k, record, host.RecordLR), k.Convert(ptx.F32, v))
		k.St(ptx.Global, at(k, w, i, 2), k.Convert(ptx.BF16, k.Sub(bf16(k, at(k, w, i, 2)), step)))
	})
	k.LaunchDependents()
	k.Exit()

	k = kernel(toyTile)
	from := k.TensorMap("from", ptx.MapSpec{Elem: ptx.BF16, Box: toyBox.Box})
	to := k.ParamPtr("to")
	tile, barrier := k.SharedBytes(2*toyX, 128), k.SharedBytes(8, 8)
	i = k.Read(ptx.TidX)
	k.If(k.Eq(i, 0), func() {
		k.MbarrierInit(barrier, 1)
		k.FenceBarrierInit()
		k.MbarrierExpect(barrier, 2*toyX)
		k.TMALoad(tile, from, barrier, 0, 0)
	})
	k.Sync()
	k.MbarrierWait(barrier, 0)
	k.St(ptx.Global, at(k, to, i, 2), k.Ld(ptx.Shared, ptx.BF16, k.Add(k.Lea(tile), k.Shl(i, 1)).At(0)))
	k.Exit()

	k = kernel(toyRow)
	x, first, logits := k.ParamPtr("x"), k.ParamPtr("first"), k.ParamPtr("logits")
	i = k.Read(ptx.TidX)
	row := k.Add(k.Ld(ptx.Global, ptx.U32, first.At(0)), k.Read(ptx.CtaIDX))
	k.If(k.And(k.Lt(i, toyVocab), k.Lt(row, toyTokens)), func() {
		value := k.Ld(ptx.Global, ptx.BF16, at(k, x, k.Mad(row, toyHidden, k.And(i, 7)), 2))
		k.St(ptx.Global, at(k, logits, k.Mad(k.Read(ptx.CtaIDX), toyVocab, i), 2), value)
	})
	k.Exit()

	text, err := m.Text()
	if err != nil {
		panic(err)
	}
	return text
}

// toyModel is the toy in plain loops, rounded where the kernels round.
type toyModel struct {
	w, m, grad []float32
}

func bf16(x float32) float32 {
	var raw [2]byte
	var y [1]float32
	safetensors.Encode(safetensors.BF16, []float32{x}, raw[:])
	safetensors.Decode(safetensors.BF16, raw[:], y[:])
	return y[0]
}

// x is the hidden states of tokens.
func (t *toyModel) x(tokens []int32) []float32 {
	var x []float32
	for _, token := range tokens {
		x = append(x, t.w[toyHidden*token:][:toyHidden]...)
	}
	return x
}

func (t *toyModel) loss(tokens, targets []int32, norm float32) float32 {
	sum := float32(0)
	for i, x := range t.x(tokens) {
		if targets[i/toyHidden] >= 0 {
			sum += x
		}
	}
	return sum * norm
}

func (t *toyModel) backward(tokens, targets []int32, norm float32, add bool) {
	for v := range toyVocab {
		for d := range toyHidden {
			g := &t.grad[toyHidden*v+d]
			if !add {
				*g = 0
			}
			for i, token := range tokens {
				if int(token) == v && targets[i] >= 0 {
					*g += norm
				}
			}
			*g = bf16(*g)
		}
	}
}

func (t *toyModel) update(record []float32) (norm float32) {
	for i, g := range t.grad {
		norm = float32(math.FMA(float64(g), float64(g), float64(norm))) // exact in float64, rounded once
		first := record[host.RecordGain1] * g
		t.m[i] = bf16(float32(math.FMA(float64(record[host.RecordBeta1]), float64(t.m[i]), float64(first))))
		t.w[i] = bf16(t.w[i] - float32(record[host.RecordLR]*t.m[i]))
	}
	return float32(math.Sqrt(float64(norm)))
}

// want compares two lists of numbers.
func want(what string, got, want []float32) error {
	if !slices.Equal(got, want) {
		for i := range want {
			if len(got) <= i || got[i] != want[i] {
				return fmt.Errorf("%s[%d] is %v, want %v", what, i, got[i:][:1], want[i])
			}
		}
	}
	return nil
}
