package check

// Cases of experts' products with SwiGLU: gate, up and activation stored one after the other by a strip that is used again; a
// gradient of several tiles a row, and those of two and of four slabs a tile in the place of what they are made from; a consumer
// that begins behind the other. What lanes of a warp do to each other the simulator cannot show: it has them in step.
const (
	gatedUp   = "grouped_swiglu ragged_grouped_swiglu_e4_f72_k136_128x128_s3_k1_t2_kept"
	gatedGrad = "grouped_swiglu_grad ragged_grouped_swiglu_grad_e4_f136_k136_128x64_s3_k1_t2"
	inPlace   = "grouped_swiglu_grad all_to_one_grouped_swiglu_grad_e3_f200_k72_128x128_s2_k0_t8"
	slabs     = "grouped_swiglu_grad wide_grouped_swiglu_grad_e2_f264_k72_128x256_s3_k1_t3"
	lagging   = "grouped_swiglu wide_grouped_swiglu_e2_f136_k128_128x256_s4_k1_l1_t1"
)

var expertMutants = []mutant{
	{"up has gate's weights", gatedUp, `add\.u32 (%r\d+), (%r\d+), 72;(\s+add\.u32 %r\d+, %r\d+, 24576;)`, "mov.u32 $1, $2;$3", 0, "value", false},
	{"a row behind an expert's last is stored", gatedUp, `setp\.lt\.u32 (%p\d+, %r\d+, %end_2;)`, "setp.le.u32 $1", 1, "race", false},
	{"gate is stored with the pitch of the activation", gatedUp, `(mad\.wide\.u32 %rd\d+, %r\d+), 288, `, "$1, 144, ", 1, "race", false},
	{"gate and up are read while they are on their way", inPlace, `cp\.async\.wait_group 1;`, "cp.async.wait_group 2;", 0, "race", false},
	{"gate and up of the next slab go where this one's are", slabs, `(cp\.async\.cg\.shared\.global \[%r\d+)\+4096\]`, "$1]", 1, "race", false},
	{"rows that are not there are copied", gatedGrad, `selp\.u32 (%r\d+), (%r\d+), 0, (%p\d+);(\s+cp\.async\.cg\.shared\.global \[%r\d+\+?\d*\], \[%rd\d+\+?\d*\], 16)`, "mov.u32 $1, $2;$4", 0, "bounds", false},
	{"sums go on from tile to tile", gatedGrad, `mov\.f32 %sum0, 0f00000000;`, "", 0, "undefined", false},
	{"half the threads of a row are summed", gatedGrad, `(shfl\.sync\.bfly\.b32 %r\d+, %f\d+), 2, 31, -1;`, "$1, 1, 31, -1;", 0, "value", false},
	{"every thread stores a row's sum", gatedGrad, `and\.pred (%p\d+), (%p\d+), %p19;`, "and.pred $1, $2, $2;", 0, "race", true},
	{"tiles of a row have one place for their sums", gatedGrad, `(mul\.wide\.u32 %rd\d+, %r\d+), 4;(\s+add\.u64 %rd\d+, %rd\d+, %rd\d+;\s+and\.pred)`, "$1, 0;$2", 0, "race", false},
	{"sums are added before they are there", gatedGrad, `griddepcontrol\.wait;`, "", 2, "race", false},
	{"choices without a row have one", gatedGrad, `setp\.ge\.s32 (%p\d+, %r\d+), 0;`, "setp.ge.s32 $1, -1;", 0, "bounds", false},
	{"nobody says that the first consumer has begun", lagging, `bar\.arrive [^;]*;`, "", 0, "deadlock", false},
	{"the second consumer waits at every tile", lagging, `and\.pred (%p\d+), (%p\d+), (%p\d+);(\s+@!%p\d+ bra endif_16;)`, "and.pred $1, $2, $2;$4", 0, "deadlock", false},
}
