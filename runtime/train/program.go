package train

import (
	"moegen/runtime/checkpoint"
	"moegen/runtime/safetensors"
)

// Program is a generated training program: what the generator knew, as data, and what runs its plan. A generated main
// hands it to Main.
type Program struct {
	Manifest Manifest
	Params   []checkpoint.Param
	Layout   Layout
	Zeros    []Span // of every rank's arena: zero before anything runs
	Target   Target

	// Rehearsed says that one rank runs alone and stands for all, Manifest.Ranks as before: what it would exchange with the
	// others it exchanges with itself. So it computes a model of which expert e is local expert e mod L.
	Rehearsed bool

	// Accumulates says that steps have several micro-batches. Their gradients live on from one to the next, in memory of their own.
	Accumulates bool
}

// Arena returns the size in bytes of a rank's arena. Gradients are its last folded bytes as well, where that is not 0: what is said to
// be at offset bytes + i is folded bytes lower. Else nothing is said to be behind the arena.
func (p *Program) Arena() (bytes, folded int64) {
	if p.Accumulates {
		return p.Manifest.ArenaBytes + p.Manifest.GradientBytes, 0
	}
	return p.Manifest.ArenaBytes, p.Manifest.GradientBytes
}

// PeakBytes returns what a rank takes in all.
func (p *Program) PeakBytes() int64 {
	if p.Accumulates {
		return p.Manifest.AccumulatingBytesPerGPU
	}
	return p.Manifest.PeakBytesPerGPU
}

// Span is a stretch of an arena.
type Span struct{ At, Bytes int64 }

// Layout gives the arena offsets, in bytes and the same on every rank, of what the host reads and writes.
// T = MicroBatch·Seq tokens of a rank.
type Layout struct {
	Tokens    int64 // int32 [T]: token ids
	Targets   int64 // int32 [T]: the token to predict at each position, already shifted; -100: none
	Positions int64 // int32 [T]: position of each token, 0 ≤ p < Seq: the row of the rope table
	Starts    int64 // int32 [T]: first index inside its row that a token attends to (its document's start)
	Record    int64 // float32 [host.RecordLen]: what changes from step to step
	Loss      int64 // float32 [1]: this rank's part of the cross-entropy (sum over its targets · record's norm)
	AuxLoss   int64 // float32 [1]: load-balancing loss before its coefficient, equal on all ranks; -1: none
	PoolUse   int64 // int32 [2]: rows that MicroBatch kept in the pool of received rows, layers that found no room there; -1: none
	GradNorm  int64 // float32 [1]: global norm before clipping, equal on all ranks, written by Update
	HeadRow   int64 // int32 [1]: first row for Head
	HeadRows  int   // rows that one Head computes
	Logits    int64 // [HeadRows, Vocab]: written by Head
	Choice    int64 // int32 [T, TopK]: the experts of every token in all layers; the router chooses where they are -1; -1: none

	LogitsType safetensors.DType // F32 or BF16
}

// Manifest says what a binary was built for. It is embedded in the binary and printed by info and by
// moegen inspect.
type Manifest struct {
	Model                   string  `json:"model"`        // registered name, or the directory's base name
	Architecture            string  `json:"architecture"` // model_type of the config
	Config                  string  `json:"config"`       // the config.json the program was built from, verbatim
	Version                 string  `json:"moegen_version"`
	GoVersion               string  `json:"go_version"`
	PTXAS                   string  `json:"ptxas,omitempty"`          // release of the assembler of the kernels; "": they are there as text alone
	Binding                 string  `json:"driver_binding,omitempty"` // how it reaches GPUs: purego or cgo; "" for none
	Target                  string  `json:"target"`                   // cpu
	DType                   string  `json:"dtype"`                    // f32
	Optimizer               string  `json:"optimizer"`                // what AdamW keeps of a weight: bf16, split or f32
	Seq                     int     `json:"seq"`
	MicroBatch              int     `json:"micro_batch"` // rows a rank
	Ranks                   int     `json:"gpus"`        // ranks, whatever they run on
	EP                      int     `json:"ep"`          // size of the expert-parallel axis
	Vocab                   int     `json:"vocab_size"`
	Hidden                  int     `json:"hidden_size"`
	Layers                  int     `json:"layers"`
	Experts                 int     `json:"experts"`
	TopK                    int     `json:"top_k"`
	AuxCoef                 float64 `json:"router_aux_loss_coef"` // 0: the auxiliary loss is not part of this program
	Parameters              int64   `json:"parameters"`
	ActiveParameters        int64   `json:"active_parameters"`
	FLOPsPerToken           int64   `json:"flops_per_token"`                 // forward and backward
	ArenaBytes              int64   `json:"arena_bytes"`                     // a rank, in steps of one micro-batch
	GradientBytes           int64   `json:"gradient_bytes"`                  // of it, which the arena is longer by in steps of several
	PeakBytesPerGPU         int64   `json:"peak_bytes_per_gpu"`              // the arena, and on GPUs what a rank knows of all ranks
	AccumulatingBytesPerGPU int64   `json:"accumulating_peak_bytes_per_gpu"` // the same in steps of several micro-batches
	PlanHash                string  `json:"plan_hash"`                       // SHA-256 of the plan's text, hex
}
