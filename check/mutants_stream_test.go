package check

// Cases of kernels that go over memory once: rows by index, all of them and fewer than there is room for; both halves of a
// gate; sums over choices some of which have no row; tokens that are sorted before they are summed.
const (
	permuted = "gather permute_21_gather_d64_s2_n_v8"
	weighted = "gather grad_30_gather_d72_s3_w_n_v8"
	gated    = "swiglu 30of33_swiglu_f72_n_v8"
	slopes   = "swiglu 17of21_swiglu_grad_f64_n_v8"
	combined = "unpermute 5of8_unpermute_d16_t11_w_n_v8_b8"
	experts  = "swiglu_unpermute_grad 21of30_swiglu_unpermute_grad_f72_v8"
	weights  = "unpermute_wgrad 9_unpermute_wgrad_d264_t3_v8_b3"
	tokens   = "embedding_grad few_70x24_of_20"
	idle     = "add 64_0_add_bf16_a_v8"
	slice    = "slice 3_slice_4of5_d7_v1"
	residual = "rmsnorm_grad 23x1000_r2_g2_p4_add_a"
)

var streamMutants = []mutant{
	{"rows are copied that are not there", permuted, `ld\.global\.nc\.u32 (%r\d+), \[%rd\d+\];`, "mov.u32 $1, 21;", 1, "untouched", false},
	{"choices are taken for tokens", weighted, `div\.u32 (%r\d+), (%r\d+), 3;`, "mov.u32 $1, $2;", 0, "bounds", false},
	{"a token's weight is taken for a choice's", weighted, `(mul\.wide\.u32 %rd\d+, )%r\d+(, 4;\s+add\.u64 %rd\d+, %rd5)`, "${1}%i$2", 0, "value", false},
	{"a part of a row is left out", permuted, `add\.u32 %i, %i, (%r\d+);`, "add.u32 %i, $1, $1;", 0, "undefined", false},
	{"gate stands in for up", gated, `\[(%rd\d+)\+144\]`, "[$1]", 0, "value", false},
	{"both gradients go to the same place", slopes, `(st\.global\.v4\.b32 \[%rd\d+)\+128\]`, "$1]", 0, "undefined", false},
	{"choices without a row are read", combined, `@%p\d+ (ld\.global\.L1::no_allocate\.L2::256B\.v4)`, "$1", 0, "bounds", false},
	{"choices without a row add what a register held", combined, `mov\.b32 %piece_?\d*_?[0-3], 0;`, "", 0, "undefined", false},
	{"zeros are not written", experts, `st\.global\.v4\.b32`, "// st.global.v4.b32", 1, "undefined", false},
	{"zeros come when they like", experts, `griddepcontrol\.wait;`, "", 2, "race", false},
	{"every lane writes the sum", experts, `@%p\d+ (st\.global\.f32)`, "$1", 0, "race", true},
	{"a quarter of the lanes is summed", weights, `(shfl\.sync\.bfly\.b32 %r\d+, %f\d+), 16, 31, -1;`, "$1, 8, 31, -1;", 0, "value", false},
	{"tokens are placed before all are counted", tokens, `bar\.sync 0;`, "", 1, "undefined", false},
	{"counts go before they are summed", tokens, `bar\.sync 0;`, "", 2, "race", true},
	{"tokens of one id have one place", tokens, `popc\.b32 (%r\d+), %r\d+;`, "mov.u32 $1, 0;", 0, "race", false},
	{"rows are summed before zeros and places are there", tokens, `griddepcontrol\.wait;`, "", 2, "race", false},
	{"padding is trained", tokens, `setp\.ne\.u32 (%p\d+), (%r\d+), 3;`, "setp.ne.u32 $1, $2, 9;", 0, "value", false},
	{"what an overwritten gradient held is read", idle, `setp\.neu(\.f32 .*, 0f00000000;)`, "setp.equ$1", 0, "undefined", false},
	{"rows behind the last are read", slice, `@%p\d+ (ld\.global\.L1)`, "$1", 0, "bounds", false},
	{"the residual is left out", residual, `fma\.rn\.f32 (%f\d+, %rstd, %f\d+), %r\d+;`, "fma.rn.f32 $1, 0f00000000;", 0, "value", false},
	{"a gradient is overwritten that adds up", residual, `setp\.neu(\.f32 .*, 0f00000000;)`, "setp.equ$1", 0, "value", false},
}
