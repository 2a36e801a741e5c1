package host

// Indices into the step record: float32 values that change from step to step. They are an input of every
// program, so that nothing of a step is a constant of the plan. ir has the same list.
const (
	RecordLR         = iota // learning rate of this step
	RecordBeta1             // AdamW β1
	RecordBeta2             // AdamW β2
	RecordEps               // AdamW ε
	RecordDecay             // decoupled weight decay
	RecordBias1             // 1 − β1^t
	RecordBias2             // 1 − β2^t
	RecordMaxNorm           // clip gradients to this global norm; 0: do not clip
	RecordLossNorm          // 1 / number of target tokens of the whole step, over ranks and micro-batches
	RecordAuxNorm           // coefficient of the auxiliary loss / number of micro-batches of the step
	RecordAccumulate        // 0: the micro-batch overwrites the gradients; 1: it adds to them
	RecordGain1             // 1 − β1, rounded from float64: float32 1 − 0.999 would be off by 1e-5
	RecordGain2             // 1 − β2, likewise
	RecordStep              // this step, counted from 1: a whole number below 2^24
	RecordSeed              // whole number below 2^24 that stochastic rounding depends on
	RecordRank              // the rank's number
	RecordLen        = 16
)
