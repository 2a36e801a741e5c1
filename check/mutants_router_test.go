package check

// Cases of the router and of what follows from its choices, of the loss and of the optimizer.
const (
	chosen   = "router 9x8_top2_renormtrue"
	sorted   = "route spread_5000_to_40"
	counted  = "router_stats 33x128_top8"
	loss     = "cross_entropy 5x1000"
	longLoss = "cross_entropy 2x9000"
	update   = "adamw adamw_split_n5_2501_step3"
	squares  = "sum_squares 2501"
)

var routerMutants = []mutant{
	{"an expert is chosen twice", chosen, `selp\.u32 (%r\d+), 0, (%r\d+), %p3;`, "mov.u32 $1, $2;", 0, "value", false},
	{"tokens past the end", chosen, `@!%p0 bra endif_1;`, "", 1, "bounds", false},
	{"lanes without an expert read one", chosen, `@!%p1 bra endif_2;`, "", 1, "bounds", false},
	{"lanes without a choice write one", chosen, `@%p6 (st\.global\.f32)`, "$1", 0, "bounds", false},

	{"choices of one expert get one row", sorted, `popc\.b32 (%r\d+), %r61;`, "mov.u32 $1, 0;", 0, "race", false},
	{"first rows come before all choices are counted", sorted, `bar\.sync 0;`, "", 5, "race", false},
	{"a counter stays", sorted, `add\.u32 (%r\d+), %slot, (%r\d+);`, "mov.u32 $1, %slot;", 0, "undefined", false},
	{"experts of the first warp do not count", sorted, `selp\.u32 (%r\d+), (%r\d+), 0, %p8;`, "mov.u32 $1, 0;", 1, "race", false},
	{"rows are placed before there are first ones", sorted, `griddepcontrol\.wait;`, "", 3, "race", false},

	{"choices are counted without atomics", counted, `red\.shared\.add\.u32`, "st.shared.u32", 0, "race", false},
	{"counts begin with what was there", counted, `st\.shared\.u32 \[%r\d+\], %r\d+;`, "", 1, "undefined", false},
	{"warps' sums are added before they are there", counted, `bar\.sync 0;`, "", 2, "undefined", false},

	{"the target's logit is read when its gradient is there", loss, `bar\.sync 0;`, "", 2, "race", true},
	{"the target counts before its row is written", loss, `bar\.sync 0;`, "", 3, "race", false},
	{"a sum stays when a larger logit comes", longLoss, `mul\.rn\.f32 %sum, %sum, %f\d+;`, "", 0, "value", false},
	{"rows without a target keep their logits", loss, `st\.global\.v4\.b32 \[%rd\d+\], \{%r3, %r3, %r3, %r3\};`, "", 0, "value", false},

	{"moments are cut off", update, `and\.b32 (%r\d+), %r\d+, 65535;`, "mov.b32 $1, 0;", 0, "value", false},
	{"low bits without their sign", update, `shr\.s32 (%r\d+), (%low\d+), 16;`, "shr.u32 $1, $2, 16;", 0, "value", false},
	{"weights are cut off", update, `add\.u32 (%r\d+), (%r\d+), 32768;`, "mov.u32 $1, $2;", 0, "value", false},
	{"weights past the end", update, `@!%p43 bra endif_3;`, "", 0, "bounds", false},

	{"half the lanes are not added", squares, `(shfl\.sync\.bfly\.b32 %r\d+, %r\d+), 16, 31, -1;`, "$1, 8, 31, -1;", 0, "value", false},
	{"warps are added before they are there", squares, `bar\.sync 0;`, "", 1, "race", false},
	{"parts are added before they are there", squares, `griddepcontrol\.wait;`, "", 2, "race", false},
	{"the last element is another's", squares, `(ld\.global\.b16 %h9, \[%rd15)\+8\];`, "$1];", 0, "value", false},
}
