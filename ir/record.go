package ir

// Indices into the step record, a float32 input of every program that holds what changes from step to step.
// The runtime has the same list.
const (
	RecordLR         = iota // learning rate of this step
	RecordBeta1             // AdamW β1
	RecordBeta2             // AdamW β2
	RecordEps               // AdamW ε
	RecordDecay             // decoupled weight decay
	RecordBias1             // 1 − β1^t
	RecordBias2             // 1 − β2^t
	RecordMaxNorm           // clip gradients to this global norm; 0: do not clip
	RecordLossNorm          // 1 / number of target tokens of the whole step
	RecordAuxNorm           // coefficient of the auxiliary loss / number of micro-batches of the step
	RecordAccumulate        // 0: gradients are overwritten; 1: added to
	RecordGain1             // 1 − β1, rounded from float64
	RecordGain2             // 1 − β2, likewise
	RecordStep              // this step, counted from 1: a whole number below 2^24
	RecordSeed              // whole number below 2^24 that stochastic rounding depends on
	RecordRank              // the rank's number
	RecordLen        = 16
)

// Record declares the step record, an operand of losses, gradient accumulation and the optimizer.
func (b *Builder) Record() *Value { return b.Outside("record", Input, Fixed(F32, RecordLen)) }
