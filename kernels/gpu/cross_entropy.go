package gpu

import (
	"fmt"
	"math"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Output projection and cross-entropy, forward and backward, without the logits of all tokens:
//
//	z = bf16(x·wᵀ)     loss = norm · Σ_t (log Σ_v exp z_tv − z_t,target)     dz = bf16(norm · (softmax(z) − onehot(target)))
//	dx = dz·w          dw (+)= dzᵀ·x
//
// norm is the step record's; tokens whose target is negative count for nothing. Chunks of tokens go through one
// after the other: the product into the workspace, the loss in place, the two gradients. dw is rounded to bf16 after every
// chunk. The three products decide: 6·T·D·V operations. The loss itself reads a chunk of logits and writes it,
// 4·V bytes a token, its second reading from the second-level cache.

// LossDesc is what is asked.
type LossDesc struct {
	Tokens, Vocab int
	Loss, Grad    bool // which of them

	// Of the output projection.
	Dim   int
	Add   Add // of dw: Nothing or Accumulate
	Bytes int // most that the logits of a chunk take; but a chunk has 128 tokens at least
}

const (
	lossThreads = 512
	lossLogits  = 512 << 20
)

// chunk returns the tokens of a chunk: as few chunks as their logits allow, of equal size, in whole tiles of 128 rows.
func (d LossDesc) chunk() int {
	most := max(d.Bytes/(2*d.Vocab)/128*128, 128)
	chunks := ceil(d.Tokens, most)
	return min(d.Tokens, 128*ceil(ceil(d.Tokens, chunks), 128))
}

// lossesAt is where, behind the logits, the workspace has the tokens' losses in float32.
func (d LossDesc) lossesAt() int { return 256 * ceil(2*d.chunk()*d.Vocab, 256) }

func (d LossDesc) workspace() int { return d.lossesAt() + 4*d.Tokens }

func (d LossDesc) name() string {
	number := map[bool]int{true: 1}
	return fmt.Sprintf("cross_entropy_v%d_loss%d_grad%d", d.Vocab, number[d.Loss], number[d.Grad])
}

// emit writes the kernel of the loss, a block for every token: parameters logits, targets, record, losses if Loss, and
// dlogits, which may be logits, if Grad.
func (d LossDesc) emit(m *ptx.Module) {
	k := m.Kernel(d.name(), lossThreads)
	logits, targets := k.ParamPtr("logits"), k.ParamPtr("targets")
	record := k.ParamPtr("record")
	var losses, dlogits ptx.Reg
	if d.Loss {
		losses = k.ParamPtr("losses")
	}
	if d.Grad {
		dlogits = k.ParamPtr("dlogits")
	}
	scratch := k.SharedBytes(2*4*lossThreads/32, 16)
	k.WaitPrerequisites()
	tid, token := k.Read(ptx.TidX), k.Read(ptx.CtaIDX)
	rowAt := k.MulWide(token, 2*d.Vocab)
	row := k.Add(logits, rowAt)
	var out ptx.Reg
	if d.Grad {
		out = k.Add(dlogits, rowAt)
	}
	target := k.Ld(ptx.Global, ptx.S32, k.Add(targets, k.MulWide(token, 4)).At(0))
	norm := k.Ld(ptx.Global, ptx.F32, record.At(4*ir.RecordLossNorm))
	write := func(loss ptx.Reg) {
		if d.Loss {
			k.When(k.Eq(tid, 0)).St(ptx.Global, k.Add(losses, k.MulWide(token, 4)).At(0), loss)
		}
	}
	k.IfElse(k.Lt(target, 0), func() {
		write(k.Const(ptx.F32, 0))
		if d.Grad {
			zero := k.Const(ptx.B32, 0)
			k.For("piece", tid, d.Vocab/8, lossThreads, func(i ptx.Reg) {
				k.St(ptx.Global, k.Add(out, k.MulWide(i, 16)).At(0), zero, zero, zero, zero)
			})
		}
	}, func() {
		top, sum := d.statistics(k, row, tid, scratch)
		at := k.MulWide(target.As(ptx.U32), 2)
		k.Comment("loss = norm (log(sum) - (z_target - top))")
		above := k.Sub(k.Convert(ptx.F32, k.Ld(ptx.Global, ptx.BF16, k.Add(row, at).At(0))), top)
		write(k.Mul(norm, k.Sub(k.Mul(k.Lg2(sum), math.Ln2), above)))
		if !d.Grad {
			return
		}
		scale := k.Div(norm, sum)
		k.Comment("all have the target's logit before it is overwritten")
		k.Sync()
		k.For("piece", tid, d.Vocab/8, lossThreads, func(i ptx.Reg) {
			piece := k.MulWide(i, 16)
			pairs := k.LdVec(ptx.Global, ptx.BF16x2, 4, k.Add(row, piece).At(0))
			for j, pair := range pairs {
				low, high := k.UnpackBF16(pair)
				pairs[j] = k.PackBF16(k.Mul(scale, exponential(k, low, top)), k.Mul(scale, exponential(k, high, top)))
			}
			k.St(ptx.Global, k.Add(out, piece).At(0), pairs...)
		})
		k.Sync()
		k.If(k.Eq(tid, 0), func() {
			p := k.Mul(scale, exponential(k, k.Add(above, top), top))
			k.St(ptx.Global, k.Add(out, at).At(0), k.Convert(ptx.BF16, k.Sub(p, norm)))
		})
	})
	k.LaunchDependents()
	k.Exit()
}

// exponential is exp(x - top).
func exponential(k *ptx.Kernel, x, top ptx.Reg) ptx.Reg {
	return k.Ex2(k.Mul(k.Sub(x, top), math.Log2E))
}

// statistics returns the largest logit of a row and the sum of the exponentials of how far the others are below it.
func (d LossDesc) statistics(k *ptx.Kernel, row, tid ptx.Reg, scratch ptx.Addr) (top, sum ptx.Reg) {
	k.Comment("the largest of the thread's logits so far, and the sum of exponentials below it")
	top, sum = k.Var(ptx.F32, "top", noLogit), k.Var(ptx.F32, "sum", 0.0)
	k.For("piece", tid, d.Vocab/8, lossThreads, func(i ptx.Reg) {
		var values []ptx.Reg
		for _, pair := range k.LdVec(ptx.Global, ptx.BF16x2, 4, k.Add(row, k.MulWide(i, 16)).At(0)) {
			low, high := k.UnpackBF16(pair)
			values = append(values, low, high)
		}
		next := top
		for _, v := range values {
			next = k.Max(next, v)
		}
		k.To(sum).Mul(sum, exponential(k, top, next))
		k.Assign(top, next)
		for _, v := range values {
			k.To(sum).Add(sum, exponential(k, v, top))
		}
	})
	k.Comment("over the warp, then over the block")
	join := func(otherTop, otherSum ptx.Reg) {
		next := k.Max(top, otherTop)
		k.To(sum).Add(k.Mul(sum, exponential(k, top, next)), k.Mul(otherSum, exponential(k, otherTop, next)))
		k.Assign(top, next)
	}
	for mask := 16; mask > 0; mask /= 2 {
		join(k.ShflXor(top, mask), k.ShflXor(sum, mask))
	}
	k.If(k.Eq(k.And(tid, 31), 0), func() {
		k.St(ptx.Shared, k.Add(k.Lea(scratch), k.Shl(k.Shr(tid, 5), 3)).At(0), top, sum)
	})
	k.Sync()
	k.Assign(top, noLogit)
	k.Assign(sum, 0.0)
	for w := range lossThreads / 32 {
		pair := k.LdVec(ptx.Shared, ptx.F32, 2, scratch.At(8*w))
		join(pair[0], pair[1])
	}
	return top, sum
}

// emitLossSum writes the last kernel, of one block, which adds the tokens' losses: parameters losses and loss.
func (d LossDesc) emitLossSum(m *ptx.Module) {
	k := m.Kernel(d.sumName(), squaresThreads)
	losses, loss := k.ParamPtr("losses"), k.ParamPtr("loss")
	scratch := k.SharedBytes(8*squaresThreads/32, 16)
	k.WaitPrerequisites()
	tid := k.Read(ptx.TidX)
	sum := k.Var(ptx.F64, "sum", 0.0)
	k.For("token", tid, d.Tokens, squaresThreads, func(t ptx.Reg) {
		v := k.Ld(ptx.Global, ptx.F32, k.Add(losses, k.MulWide(t, 4)).At(0))
		k.To(sum).Add(sum, k.Convert(ptx.F64, v))
	})
	addBlock(k, sum, tid, scratch, func(total ptx.Reg) {
		k.St(ptx.Global, loss.At(0), k.Convert(ptx.F32, total))
	})
	k.LaunchDependents()
	k.Exit()
}

func (d LossDesc) sumName() string { return fmt.Sprintf("cross_entropy_sum_t%d", d.Tokens) }

// losses is the launch of the kernel on so many tokens, with the places of its buffers; those that it does not have do not count.
func (d LossDesc) losses(tokens int, logits, targets, record, losses, dlogits Arg) Step {
	args, passes := []Arg{logits, targets, record}, int64(1)
	if d.Loss {
		args = append(args, losses)
	}
	if d.Grad {
		args, passes = append(args, dlogits), 2
	}
	return Step{Launch{Entry: d.name(), Grid: tokens, Dependent: true, Args: args, Floor: Floor{Bytes: int64(2*tokens*d.Vocab) * passes}}, d.emit}
}

// sum is the launch of the last kernel.
func (d LossDesc) sum(losses Arg, loss string) Step {
	return Step{Launch{Entry: d.sumName(), Grid: 1, Dependent: true, Args: []Arg{losses, Place(loss)}}, d.emitLossSum}
}

// projectedLoss names what the output projection and its loss read and write.
type projectedLoss struct{ x, w, targets, record, grad, loss, dx, dw, work string }

func (d LossDesc) steps(b projectedLoss) []Step {
	var steps []Step
	logits, losses := Place(b.work), Place(b.work).from(d.lossesAt())
	for t, chunk := 0, d.chunk(); t < d.Tokens; t += chunk {
		rows := min(chunk, d.Tokens-t)
		x := Place(b.x).from(2 * t * d.Dim)
		forward := product{GEMMDesc: GEMMDesc{Form: NT, M: rows, N: d.Vocab, K: d.Dim}, a: x, b: Place(b.w), c: logits}
		steps = append(steps, forward.steps()...)
		steps = append(steps, d.losses(rows, logits, Place(b.targets).from(4*t), Place(b.record), losses.from(4*t), logits))
		if !d.Grad {
			continue
		}
		dx := product{GEMMDesc: GEMMDesc{Form: NN, M: rows, N: d.Dim, K: d.Vocab}, a: logits, b: Place(b.w), c: Place(b.dx).from(2 * t * d.Dim)}
		dw := product{GEMMDesc: GEMMDesc{Form: TN, M: d.Vocab, N: d.Dim, K: rows, Add: d.Add}, a: logits, b: x, c: Place(b.dw),
			addend: Place(b.grad), record: Place(b.record)}
		if t > 0 {
			dw.Add, dw.addend = Always, Place(b.dw)
		}
		steps = append(append(steps, dx.steps()...), dw.steps()...)
	}
	return append(steps, d.sum(losses, b.loss))
}

func lossDesc(x, w ir.Type, grad, accumulate bool) LossDesc {
	d := LossDesc{Tokens: x.Dim(0), Dim: x.Dim(1), Vocab: w.Dim(0), Loss: true, Grad: grad, Bytes: lossLogits}
	if accumulate {
		d.Add = Accumulate
	}
	return d
}

func lossCovered(n *ir.Node) bool {
	return bfloat(n.In[0], n.In[1]) && lossLimit(n) == ""
}

// lossLimit says what is wrong with the sizes of an output projection; "": nothing.
func lossLimit(n *ir.Node) string {
	for _, size := range []struct {
		name string
		n    int
	}{{"hidden_size", n.In[0].Type.Dim(1)}, {"vocab_size", n.In[1].Type.Dim(0)}} {
		if size.n%8 != 0 {
			return fmt.Sprintf("%s is %d, and must be a multiple of 8", size.name, size.n)
		}
	}
	return ""
}

var linearCrossEntropy = &Kernel{
	Name: "cross_entropy", Op: "linear_cross_entropy", Covers: lossCovered, Limit: lossLimit, Shares: [][2]int{{2, 4}},
	Workspace: func(n *ir.Node) int { return lossDesc(n.In[0].Type, n.In[1].Type, true, n.In[4] != nil).workspace() },
	Steps: func(l *ir.Launch) []Step {
		return lossDesc(l.In[0].Type, l.In[1].Type, true, l.In[4] != nil).steps(
			projectedLoss{In(0), In(1), In(2), In(3), In(4), Out(0), Out(1), Out(2), Work})
	},
}

var linearCrossEntropyEval = &Kernel{
	Name: "cross_entropy", Op: "linear_cross_entropy_eval", Covers: lossCovered, Limit: lossLimit,
	Workspace: func(n *ir.Node) int { return lossDesc(n.In[0].Type, n.In[1].Type, false, false).workspace() },
	Steps: func(l *ir.Launch) []Step {
		return lossDesc(l.In[0].Type, l.In[1].Type, false, false).steps(
			projectedLoss{x: In(0), w: In(1), targets: In(2), record: In(3), loss: Out(0), work: Work})
	},
}

// logitsDesc is the loss of logits that are there.
func logitsDesc(logits *ir.Buffer, loss, grad bool) LossDesc {
	return LossDesc{Tokens: logits.Type.Dim(0), Vocab: logits.Type.Dim(1), Loss: loss, Grad: grad}
}

func logitsCovered(n *ir.Node) bool { return bfloat(n.In[0]) && n.In[0].Type.Dim(1)%8 == 0 }

var crossEntropy = &Kernel{
	Name: "cross_entropy", Op: "cross_entropy", Covers: logitsCovered,
	Workspace: func(n *ir.Node) int { return 4 * n.In[0].Type.Dim(0) },
	Steps: func(l *ir.Launch) []Step {
		d := logitsDesc(l.In[0], true, false)
		return []Step{d.losses(d.Tokens, Place(In(0)), Place(In(1)), Place(In(2)), Place(Work), Arg{}), d.sum(Place(Work), Out(0))}
	},
}

var crossEntropyGrad = &Kernel{
	Name: "cross_entropy", Op: "cross_entropy_grad", Covers: logitsCovered, InPlace: true,
	Steps: func(l *ir.Launch) []Step {
		d := logitsDesc(l.In[0], false, true)
		return []Step{d.losses(d.Tokens, Place(In(0)), Place(In(1)), Place(In(2)), Arg{}, Place(Out(0)))}
	},
}
