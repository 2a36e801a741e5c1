package check

// Cases that are mutated: documents in two rows, tiles of keys that no query of a tile sees; four heads that share keys, three
// blocks of keys in turn; heads of 80 dims, which lanes share unevenly.
const (
	forward  = "attention attention_r2_s200_h4_kv2_d32_n32_g3_documents"
	backward = "attention_grad attention_grad_r2_s300_h4_kv1_d32_g2_documents"
	together = "attention_grad attention_grad_r2_s300_h4_kv1_d32_g2_h3_documents"
	heads    = "qk_norm_rope t5_qk_norm_rope_h6_kv1_d80_c20_w4_u2"
	headsOf  = "qk_norm_rope_grad t5_qk_norm_rope_grad_h6_kv1_d80_c20_w2_u2_p3_dy"
)

var attentionMutants = []mutant{
	// Attention: what queries see, two warpgroups in turn, the way out.
	{"tiles are skipped that some queries see", forward, `redux\.sync\.min\.s32`, "redux.sync.max.s32", 0, "value", false},
	{"a query sees keys behind it", forward, `@!%p\d+ mov\.f32 %s0, 0fFF800000;`, "", 0, "value", false},
	{"scores are read while they are computed", forward, `wait_group\.sync\.aligned 1;`, "wait_group.sync.aligned 2;", 0, "inflight", false},
	{"weights are packed while they are multiplied", forward, `wgmma\.wait_group\.sync\.aligned 0;`, "", 2, "inflight", false},
	{"queries are loaded when one thread has read the last", forward, `(mbarrier\.init.*), 256;`, "$1, 1;", 0, "deadlock", false},
	{"nobody gives the other warpgroup its turn", forward, `bar\.arrive %r\d+, 256;`, "", 0, "deadlock", false},
	{"O leaves before all have written it", forward, `(fence\.proxy\.async\.shared::cta;\s+)bar\.sync %r\d+, 128;`, "$1", 0, "undefined", false},
	{"O is written while the last one leaves", forward, `@%p\d+ cp\.async\.bulk\.wait_group\.read 0;`, "", 0, "race", true},
	{"maps whose rows are one token further", forward, `(\{0, %r\d+, )(%r\d+)(, %r\d+\}\], \[%shared)`, "${1}%key$3", 1, "undefined", false},

	// Its gradient: turns, shares of dQ, dS between warpgroups.
	{"a share is added without seeing those before", backward, `ld\.acquire\.gpu`, "ld.relaxed.gpu", 1, "race", true},
	{"a share is not shown to those behind", backward, `st\.release\.gpu`, "st.relaxed.gpu", 1, "race", true},
	{"heads add to dK and dV without seeing those before", backward, `ld\.acquire\.gpu`, "ld.relaxed.gpu", 2, "race", true},
	{"a turn is over before its share is there", backward, `cp\.async\.bulk\.wait_group 0;`, "", 0, "race", true},
	{"a share is overwritten while it leaves", backward, `cp\.async\.bulk\.wait_group\.read 0;`, "", 0, "race", true},
	{"the copy engine does not see a share", backward, `fence\.proxy\.async\.shared::cta;`, "", 2, "proxy", true},
	{"dS is read before the other warpgroup has written it", backward, `bar\.sync 3, 256;`, "", 0, "race", false},
	{"dS is written while the other warpgroup reads it", backward, `xor\.b32 %side, %side, 16384;`, "", 0, "race", false},
	{"P is packed while it is multiplied", backward, `wgmma\.wait_group\.sync\.aligned 1;`, "wgmma.wait_group.sync.aligned 2;", 3, "inflight", false},

	{"of heads that are under way together a share is added without seeing those before", together, `ld\.acquire\.gpu`, "ld.relaxed.gpu", 1, "race", true},
	{"the first keys that queries see are forgotten", together, `(div\.u32 %r\d+, %r\d+), 128;`, "$1, 4096;", 0, "deadlock", false},

	// Heads: lanes without pieces, partial sums.
	{"lanes without a piece write", heads, `@%p\d+ (st\.global\.v2)`, "$1", 0, "race", false},
	{"half of a head is not summed", heads, `(shfl\.sync\.bfly\.b32 %r\d+, %f\d+), 4, 31, -1;`, "$1, 8, 31, -1;", 1, "value", false},
	{"a token past the end", heads, `@!%p\d+ bra endif_1;`, "", 0, "bounds", false},
	{"warps' parts are added before they are written", headsOf, `bar\.sync 0;`, "", 1, "race", false},
	{"two blocks' parts overlap", headsOf, `(mul\.wide\.u32 %rd\d+, %part), 640;`, "$1, 632;", 0, "race", false},
	{"only one of a warp's heads counts", headsOf, `(shfl\.sync\.bfly\.b32 %r\d+, %dw0), 16, 31, -1;`, "$1, 0, 31, -1;", 0, "value", false},
}
