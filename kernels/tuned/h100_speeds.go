package tuned

// What an H100 80GB HBM3 at 700 W does at most, as measured.
const (
	H100FLOPs = 750e12  // a second in the tensor cores, bf16 into float32, where the power limit sets the clock
	H100Bytes = 3.02e12 // a second to and from memory, by a copy
	H100Share = 0.8     // of these that a family is taken to reach that was not measured

	// Microseconds between the end of a launch in a graph and the beginning of the next, and the same where the next may begin before
	// the one in front of it has ended.
	H100Gap          = 0.7
	H100DependentGap = 0.45

	// H100Least is how many microseconds the shortest launch takes beside the gap.
	H100Least = 1.3

	// H100BlockFLOPs is what one multiprocessor, and so a block that has it alone, does a second at the clock of NVIDIA's
	// data sheet: 4096 operations a cycle at 1.83 GHz.
	H100BlockFLOPs = 4096 * 1.83e9

	// H100Blocks is how many multiprocessors there are, and so how many blocks of a product run side by side.
	H100Blocks = 132
)

// H100Measured says what H100Speeds come from.
const H100Measured = "calibrated on a rehearsed rank of qwen3-30b-a3b over 8 GPUs, uniform router"

// Speed is what a family of kernels was measured to reach. A launch takes the gap before it, a latency, the time of its arithmetic
// at a share of the tensor cores' speed, and the time of its bytes at a share of memory's: what of the bytes hides behind the arithmetic
// shows in their share.
type Speed struct {
	Family  string
	Tensor  float64 // share of H100FLOPs; 0: no such arithmetic
	Memory  float64 // share of H100Bytes; 0: the bytes hide behind the arithmetic, or are next to none
	Latency float64 // microseconds from its beginning that do not depend on how much there is to do
}

// H100Speeds are sorted by family. They come from one step of one of eight ranks of qwen3-30b-a3b, rehearsed, 4096 tokens, uniform router,
// AdamW's state in bf16, kernels one after another, by a binary's bench on an H100 80GB HBM3 at 700 W, driver 580.159.04, on 2026-11-23.
// One step has one figure a family, so where a family has two to find the other was measured with its kernels alone: how products of
// experts slow down when 128 experts of 256 rows replace 16 of 2048, whose weights are eight times as many, gives the shares of their bytes
// (grouped products 0.35 of a µs for each µs of bytes beside 1.07 for each of arithmetic; weight gradients 0.52 beside 1.00), and RMSNorm
// of 4096 and of 32768 rows its latency. What takes all parameters, large and small, is taken to have a latency of 2 µs. A
// share of memory above 1 is that of kernels that find part of their operands in the second-level cache, one of the tensor cores that of
// kernels that pad less than is expected. To measure again: what moegen plan --timeline --measured --json has of a family is, in microseconds,
// launches · (gap + Latency) + flops / (Tensor · H100FLOPs) + bytes / (Memory · H100Bytes).
var H100Speeds = []Speed{
	{"adamw", 0, 0.934, 2},
	{"all_reduce", 0, 0.624, 2},
	{"attention", 0.804, 0, 0},
	{"attention_grad", 0.501, 0, 0},
	{"attention_grad_q", 0, 0.664, 0},
	{"attention_grad_stats", 0, 0.728, 0},
	{"clip_scale", 0, 0, 1.8},
	{"combine", 0, 0.886, 1},
	{"cross_entropy", 0, 0.635, 0},
	{"cross_entropy_sum", 0, 0, 3.5},
	{"dispatch", 0, 0.621, 1},
	{"dispatch_plan_count", 0, 0, 2.5},
	{"dispatch_plan_place", 0, 0, 4.1},
	{"embedding_grad_order", 0, 1.032, 0},
	{"embedding_grad_sum", 0, 0.713, 0},
	{"gather", 0, 0.718, 0},
	{"gemm_clear", 0, 0, 1.3},
	{"gemm_nn", 0.963, 0, 2},
	{"gemm_nt", 0.956, 0, 2},
	{"gemm_tn", 0.895, 0, 2},
	{"grouped_gemm_nn", 1.050, 3.15, 0},
	{"grouped_gemm_nt", 1.053, 3.22, 0},
	{"grouped_wgrad", 0.872, 1.68, 0},
	{"qk_norm_rope", 0, 0.942, 0},
	{"qk_norm_rope_grad", 0, 1.136, 0},
	{"qk_norm_rope_grad_sum", 0, 0, 2.7},
	{"rmsnorm", 0, 1, 0.5},
	{"rmsnorm_grad", 0, 1.110, 1},
	{"rmsnorm_grad_sum", 0, 0, 2},
	{"route_count", 0, 0, 4.6},
	{"route_place", 0, 0, 4.3},
	{"route_scan", 0, 0, 3.1},
	{"router", 0, 0, 3.6},
	{"router_grad", 0, 0, 4.6},
	{"sum_squares", 0, 1.010, 2},
	{"sum_squares_parts", 0, 0, 1.6},
	{"swiglu", 0, 0.990, 0},
	{"swiglu_unpermute_grad", 0, 0.931, 0},
	{"unpermute", 0, 0.879, 0},
	{"world_barrier", 0, 0, 2.2},
	{"zero", 0, 0, 1.4},
}
