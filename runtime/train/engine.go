package train

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime/debug"

	"moegen/runtime/checkpoint"
	"moegen/runtime/data"
	"moegen/runtime/host"
	"moegen/runtime/safetensors"
)

// engine is a program on its machine: what the commands do with a model, in tokens and losses.
type engine struct {
	program Program
	machine Machine
	tokens  int  // of a rank's micro-batch
	last    Part // that ran
}

// run runs a part. Gradients may only be added to what the last part left, and only they are there for an update: any other part
// uses their memory.
func (e *engine) run(part Part) error {
	if part == Update && e.last != MicroBatch {
		panic("BUG: an update without gradients")
	}
	e.last = part
	return failed(e.machine.Run(part))
}

// startFrom starts a program with the weights of a checkpoint folder, or with random ones where dir is "".
func startFrom(program Program, dir string, seed uint64) (*engine, error) {
	fill := func(memory checkpoint.Memory) error { return checkpoint.Fill(program.Params, memory, seed) }
	if dir != "" {
		c, err := openCheckpoint(program, dir)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		fill = func(memory checkpoint.Memory) error { return c.Load(program.Params, memory) }
	}
	e, err := start(program)
	if err != nil {
		return nil, err
	}
	if err := fill(e.memory()); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

// openCheckpoint opens a checkpoint folder of the model that the program was built for.
func openCheckpoint(program Program, dir string) (*checkpoint.Checkpoint, error) {
	c, err := checkpoint.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := matchConfig(dir, program.Manifest.Config, c.Config()); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// start takes the memory of a program, all of it, and sets it up.
func start(program Program) (*engine, error) {
	m := program.Manifest
	// What was parsed on the way here is garbage by now. It goes back to the system before the arenas come, so that
	// the process peaks at its plan.
	debug.FreeOSMemory()
	machine, err := program.Target.Open(&program)
	if err != nil {
		return nil, failed(err)
	}
	if err := machine.Run(Setup); err != nil {
		machine.Close()
		return nil, failed(err)
	}
	e := &engine{program: program, machine: machine, tokens: m.MicroBatch * m.Seq}
	if err := e.choose(func(int, int) int32 { return -1 }); err != nil {
		machine.Close()
		return nil, err
	}
	return e, nil
}

// choose says which expert choice j of token t is, t counted over all ranks, in all layers from now on; -1: the router's own.
// It does nothing in a program whose router always chooses.
func (e *engine) choose(expert func(t, j int) int32) error {
	at, m := e.program.Layout.Choice, &e.program.Manifest
	if at < 0 {
		return nil
	}
	choice := make([]int32, e.tokens*m.TopK)
	for rank := range m.Ranks {
		for i := range choice {
			choice[i] = expert(rank*e.tokens+i/m.TopK, i%m.TopK)
		}
		if err := put(e, rank, at, choice); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) close() { e.machine.Close() }

// microBatch runs forward and backward. It returns the cross-entropy (sum over the batch's targets times
// the record's norm) and the auxiliary loss before its coefficient, 0 in a program that has none.
func (e *engine) microBatch(b data.Batch, r record) (loss, aux float64, err error) {
	if err := e.feed(b, r); err != nil {
		return 0, 0, err
	}
	if r[host.RecordAccumulate] != 0 && (e.last != MicroBatch || !e.program.Accumulates) {
		panic("BUG: gradients are added to others that are not there")
	}
	if err := e.run(MicroBatch); err != nil {
		return 0, 0, err
	}
	if loss, err = e.loss(); err != nil {
		return 0, 0, err
	}
	if at := e.program.Layout.AuxLoss; at >= 0 {
		aux, err = e.number(0, at)
	}
	return loss, aux, err
}

// replayed returns how many layers of the last micro-batch found no room in the pool of received rows, over all ranks: what these
// had received was sent to them again in backward.
func (e *engine) replayed() (layers int, err error) {
	at := e.program.Layout.PoolUse
	if at < 0 {
		return 0, nil
	}
	for rank := range e.program.Manifest.Ranks {
		var use [2]int32 // rows kept, layers without room
		if err := e.machine.Read(rank, safetensors.Bytes(use[:]), at); err != nil {
			return 0, failed(err)
		}
		layers += int(use[1])
	}
	return layers, nil
}

// update applies the gradients and returns their norm before clipping.
func (e *engine) update(r record) (float64, error) {
	for rank := range e.program.Manifest.Ranks {
		own := r.of(rank)
		if err := put(e, rank, e.program.Layout.Record, own[:]); err != nil {
			return 0, err
		}
	}
	if err := e.run(Update); err != nil {
		return 0, err
	}
	return e.number(0, e.program.Layout.GradNorm)
}

// eval runs the forward pass and returns the sum of the cross-entropy over the batch's targets, in nats.
func (e *engine) eval(b data.Batch) (float64, error) {
	if err := e.feed(b, record{host.RecordLossNorm: 1}); err != nil {
		return 0, err
	}
	if err := e.run(Eval); err != nil {
		return 0, err
	}
	return e.loss()
}

// feed writes every rank's part of a batch and the record into its arena.
func (e *engine) feed(b data.Batch, r record) error {
	l := e.program.Layout
	for rank := range e.program.Manifest.Ranks {
		from, to := rank*e.tokens, (rank+1)*e.tokens
		err := errors.Join(
			put(e, rank, l.Tokens, b.Tokens[from:to]),
			put(e, rank, l.Targets, b.Targets[from:to]),
			put(e, rank, l.Positions, b.Positions[from:to]),
			put(e, rank, l.Starts, b.Starts[from:to]),
			put(e, rank, l.Record, r[:]))
		if err != nil {
			return err
		}
	}
	return nil
}

// put copies values into a rank's arena.
func put[E int32 | float32](e *engine, rank int, off int64, values []E) error {
	return failed(e.machine.Write(rank, off, safetensors.Bytes(values)))
}

// number reads a float32 of a rank's arena.
func (e *engine) number(rank int, off int64) (float64, error) {
	var x [1]float32
	err := e.machine.Read(rank, safetensors.Bytes(x[:]), off)
	return float64(x[0]), failed(err)
}

// loss adds up the ranks' losses in the order of the ranks, so that the sum is the same on every run.
func (e *engine) loss() (float64, error) {
	total := 0.0
	for rank := range e.program.Manifest.Ranks {
		part, err := e.number(rank, e.program.Layout.Loss)
		if err != nil {
			return 0, err
		}
		total += part
	}
	return total, nil
}

// logits computes the logits of the last eval, on all ranks at the same time: those of the tokens first,
// first+1, ... of every rank, as many as there are, at most Layout.HeadRows and rows. use must not keep them.
func (e *engine) logits(first, rows int, use func(rank int, logits []float32) error) error {
	l, vocab := e.program.Layout, e.program.Manifest.Vocab
	for rank := range e.program.Manifest.Ranks {
		if err := put(e, rank, l.HeadRow, []int32{int32(first)}); err != nil {
			return err
		}
	}
	if err := e.run(Head); err != nil {
		return err
	}
	values := make([]float32, min(rows, l.HeadRows, e.tokens-first)*vocab)
	raw := safetensors.Bytes(values)
	if l.LogitsType != safetensors.F32 {
		raw = make([]byte, len(values)*l.LogitsType.Bytes())
	}
	for rank := range e.program.Manifest.Ranks {
		if err := e.machine.Read(rank, raw, l.Logits); err != nil {
			return failed(err)
		}
		if l.LogitsType != safetensors.F32 {
			safetensors.Decode(l.LogitsType, raw, values)
		}
		if err := use(rank, values); err != nil {
			return err
		}
	}
	return nil
}

// memory is the arenas as checkpoints see them.
func (e *engine) memory() checkpoint.Memory {
	return checkpoint.Memory{Ranks: e.program.Manifest.Ranks, EP: e.program.Manifest.EP, Alone: e.program.Rehearsed, Arena: e.machine}
}

// record is what changes from step to step, in the order of host's Record constants.
type record [host.RecordLen]float32

// optimizer is what AdamW needs beside the learning rate, in torch's terms.
type optimizer struct {
	beta1, beta2, eps float64
	decay             float64 // decoupled, of every parameter
	clip              float64 // largest global gradient norm; 0: no clipping
	seed              uint64  // of stochastic rounding
}

// record returns the record of a step, counted from 1, with the learning rate lr, whose micro-batches have
// so many target tokens in all. auxCoef is the coefficient of the auxiliary loss.
func (o optimizer) record(step int, lr float64, targets, microBatches int, auxCoef float64) record {
	var r record
	r[host.RecordLR] = float32(lr)
	r[host.RecordBeta1] = float32(o.beta1)
	r[host.RecordBeta2] = float32(o.beta2)
	r[host.RecordEps] = float32(o.eps)
	r[host.RecordDecay] = float32(o.decay)
	r[host.RecordGain1] = float32(1 - o.beta1)
	r[host.RecordGain2] = float32(1 - o.beta2)
	r[host.RecordBias1] = float32(1 - math.Pow(o.beta1, float64(step)))
	r[host.RecordBias2] = float32(1 - math.Pow(o.beta2, float64(step)))
	r[host.RecordMaxNorm] = float32(o.clip)
	r[host.RecordLossNorm] = float32(1 / float64(targets))
	r[host.RecordAuxNorm] = float32(auxCoef / float64(microBatches))
	r[host.RecordStep] = float32(min(step, 1<<24-1))
	r[host.RecordSeed] = float32(rand.NewPCG(o.seed, 0).Uint64() >> 40)
	return r
}

// of returns the record of a rank.
func (r record) of(rank int) record {
	r[host.RecordRank] = float32(rank)
	return r
}

// accumulate returns the record of a micro-batch that adds to the gradients, or overwrites them.
func (r record) accumulate(add bool) record {
	if add {
		r[host.RecordAccumulate] = 1
	}
	return r
}
