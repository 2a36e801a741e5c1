package tuned

// What an H100 80GB HBM3 at 700 W does at most, as measured.
const (
	H100FLOPs  = 750e12  // a second in the tensor cores, bf16 into float32, where the power limit sets the clock
	H100Bytes  = 3.02e12 // a second to and from memory, by a copy
	H100Launch = 1.0     // microseconds of a launch in a graph beside what it does
	H100Share  = 0.8     // of these that a family is taken to reach that was not measured

	// H100BlockFLOPs is what one multiprocessor, and so a block that has it alone, does a second at the clock of NVIDIA's
	// data sheet: 4096 operations a cycle at 1.83 GHz.
	H100BlockFLOPs = 4096 * 1.83e9
)

// H100Measured says what H100Speeds come from.
const H100Measured = "calibrated on qwen3-30b-a3b's first 4 layers, 4096 tokens, alone"

// Speed is what a family of kernels was measured to reach.
type Speed struct {
	Family  string
	Share   float64 // of the ceiling that binds it
	Latency float64 // microseconds that a launch of it takes at least beside H100Launch
}

// H100Speeds are sorted by family. All come from one measurement, by a binary's bench, of qwen3-30b-a3b's first 4 layers with all
// their experts on an H100 80GB HBM3 at 700 W, driver 580.159.04, on 2026-11-23: a step of 4096 tokens with AdamW's state in
// bf16, kernels one after another. A share above 1 is that of kernels that find part of their operands in the second-level
// cache; a latency is given instead of a share where kernels do next to nothing. To measure again, see what moegen plan
// --timeline --measured --json has of a family: its share is ceiling_ms / (measured_ms - launches · H100Launch / 1000).
var H100Speeds = []Speed{
	{"adamw", 0.950, 0},
	{"attention", 0.828, 0},
	{"attention_grad", 0.520, 0},
	{"attention_grad_q", 0.666, 0},
	{"attention_grad_stats", 0.769, 0},
	{"clip_scale", 1, 1.0},
	{"cross_entropy", 0.634, 0},
	{"cross_entropy_sum", 1, 2.6},
	{"embedding_grad_order", 1.046, 0},
	{"embedding_grad_sum", 0.738, 0},
	{"gather", 0.756, 0},
	{"gemm_clear", 1, 1.7},
	{"gemm_nn", 0.994, 0},
	{"gemm_nt", 0.996, 0},
	{"gemm_tn", 0.925, 0},
	{"grouped_gemm_nn", 0.908, 0},
	{"grouped_gemm_nt", 0.935, 0},
	{"grouped_wgrad", 0.440, 0},
	{"qk_norm_rope", 0.899, 0},
	{"qk_norm_rope_grad", 0.956, 0},
	{"qk_norm_rope_grad_sum", 1, 3.2},
	{"rmsnorm", 1.062, 0},
	{"rmsnorm_grad", 1.144, 0},
	{"rmsnorm_grad_sum", 1, 1.6},
	{"route_count", 1, 2.7},
	{"route_place", 1, 4.3},
	{"route_scan", 1, 1.3},
	{"router", 1, 2.7},
	{"router_grad", 1, 3.6},
	{"sum_squares", 0.990, 0},
	{"sum_squares_parts", 1, 1.0},
	{"swiglu", 1.033, 0},
	{"swiglu_unpermute_grad", 0.952, 0},
	{"unpermute", 1.045, 0},
	{"zero", 1, 0.7},
}
