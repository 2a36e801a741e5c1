package train

import (
	"math"
	"runtime/debug"

	"moegen/runtime/checkpoint"
	"moegen/runtime/data"
	"moegen/runtime/host"
)

// engine is a program on its machine: what the commands do with a model, in tokens and losses.
type engine struct {
	program Program
	machine *host.Machine
	tokens  int // of a rank's micro-batch
}

// startFrom starts a program with the weights of a checkpoint folder, or with random ones where dir is "".
func startFrom(program Program, dir string, seed uint64) (*engine, error) {
	if dir == "" {
		e, err := start(program)
		if err == nil {
			checkpoint.Fill(program.Params, e.memory(), seed)
		}
		return e, err
	}
	c, err := openCheckpoint(program, dir)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	e, err := start(program)
	if err != nil {
		return nil, err
	}
	if err := c.Load(program.Params, e.memory()); err != nil {
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
	machine, err := host.Open(host.Config{
		Ranks:        m.Ranks,
		ArenaBytes:   m.ArenaBytes,
		RecordOffset: program.Layout.Record,
	})
	if err != nil {
		return nil, failed(err)
	}
	machine.Run(program.Setup)
	return &engine{program, machine, m.MicroBatch * m.Seq}, nil
}

func (e *engine) close() { e.machine.Close() }

// microBatch runs forward and backward. It returns the cross-entropy (sum over the batch's targets times
// the record's norm) and the auxiliary loss before its coefficient, 0 in a program that has none.
func (e *engine) microBatch(b data.Batch, r record) (loss, aux float64) {
	losses := make([]float32, e.program.Manifest.Ranks)
	auxes := make([]float32, len(losses))
	e.machine.Run(func(rank *host.Rank) {
		e.feed(rank, b, r)
		e.program.MicroBatch(rank)
		losses[rank.ID] = rank.F32(e.program.Layout.Loss, 1)[0]
		if at := e.program.Layout.AuxLoss; at >= 0 {
			auxes[rank.ID] = rank.F32(at, 1)[0]
		}
	})
	return sum(losses), float64(auxes[0])
}

// update applies the gradients and returns their norm before clipping.
func (e *engine) update(r record) float64 {
	norms := make([]float32, e.program.Manifest.Ranks)
	e.machine.Run(func(rank *host.Rank) {
		copy(rank.F32(e.program.Layout.Record, host.RecordLen), r[:])
		e.program.Update(rank)
		norms[rank.ID] = rank.F32(e.program.Layout.GradNorm, 1)[0]
	})
	return float64(norms[0])
}

// eval runs the forward pass and returns the sum of the cross-entropy over the batch's targets, in nats.
func (e *engine) eval(b data.Batch) float64 {
	losses := make([]float32, e.program.Manifest.Ranks)
	e.machine.Run(func(rank *host.Rank) {
		e.feed(rank, b, record{host.RecordLossNorm: 1})
		e.program.Eval(rank)
		losses[rank.ID] = rank.F32(e.program.Layout.Loss, 1)[0]
	})
	return sum(losses)
}

// feed writes a rank's part of a batch and the record into its arena.
func (e *engine) feed(rank *host.Rank, b data.Batch, r record) {
	l, from, to := e.program.Layout, rank.ID*e.tokens, (rank.ID+1)*e.tokens
	copy(rank.I32(l.Tokens, e.tokens), b.Tokens[from:to])
	copy(rank.I32(l.Targets, e.tokens), b.Targets[from:to])
	copy(rank.I32(l.Positions, e.tokens), b.Positions[from:to])
	copy(rank.I32(l.Starts, e.tokens), b.Starts[from:to])
	copy(rank.F32(l.Record, host.RecordLen), r[:])
}

// logits computes the logits of the last eval, on all ranks at the same time: those of the tokens first,
// first+1, ... of every rank, Layout.HeadRows of them or as many as are left. use must not keep them.
func (e *engine) logits(first int, use func(rank int, logits []float32)) {
	l, vocab := e.program.Layout, e.program.Manifest.Vocab
	e.machine.Run(func(rank *host.Rank) {
		rank.I32(l.HeadRow, 1)[0] = int32(first)
		e.program.Head(rank)
		use(rank.ID, rank.F32(l.Logits, l.HeadRows*vocab)[:min(l.HeadRows, e.tokens-first)*vocab])
	})
}

// memory is the arenas as checkpoints see them.
func (e *engine) memory() checkpoint.Memory {
	return checkpoint.Memory{Ranks: e.program.Manifest.Ranks, EP: e.program.Manifest.EP, Bytes: e.machine.Bytes}
}

// sum adds in the order of the ranks, so that it is the same on every run.
func sum(parts []float32) float64 {
	total := 0.0
	for _, part := range parts {
		total += float64(part)
	}
	return total
}

// record is what changes from step to step, in the order of host's Record constants.
type record [host.RecordLen]float32

// optimizer is what AdamW needs beside the learning rate, in torch's terms.
type optimizer struct {
	beta1, beta2, eps float64
	decay             float64 // decoupled, of every parameter
	clip              float64 // largest global gradient norm; 0: no clipping
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
	return r
}

// accumulate returns the record of a micro-batch that adds to the gradients, or overwrites them.
func (r record) accumulate(add bool) record {
	if add {
		r[host.RecordAccumulate] = 1
	}
	return r
}
