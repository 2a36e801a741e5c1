package check

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"moegen/runtime/sim"
)

// Cases that are mutated: a ring of three slots with two consumers; pairs of blocks that share one operand; rows shared by
// two warps; two launches, the second of which begins early.
const (
	plain  = "gemm 136x200x200_gemm_nt_128x64_s3_c1_g2_k1"
	paired = "gemm 264x272x72_gemm_nn_128x256_s4_c2_g8_k1"
	rows   = "rmsnorm 7x1000_w4_r2"
	again  = "rmsnorm 7x264_w4_r1_twice"
	split  = "gemm 264x136x328_gemm_tn_128x128_s4_c2_g8_k1_p3"
	added  = "gemm 264x200x201_gemm_tn_128x64_s3_c1_g2_k1_acc_on"
	rowsOf = "grouped_gemm ragged_grouped_gemm_nt_e4_n136_k136_128x64_s3_k1"
	gather = "grouped_gemm ragged_grouped_gemm_nt_e4_n136_k136_128x64_s3_k1_t2"
	ragged = "grouped_wgrad ragged_grouped_wgrad_e4_m136_n72_128x64_s3_k1_t0_t2"
	whole  = "grouped_wgrad whole_on_grouped_wgrad_e2_m264_n136_256x128_s3_k1_t2_t0_w_acc"
	grad   = "rmsnorm_grad 23x1000_r2_g2_p4"
)

// A mutant is a case's text with a bug in it.
type mutant struct {
	name  string
	of    string
	find  string // regular expression
	with  string // replacement, "$1" and so on
	nth   int    // which of the places, from 1; 0: all
	by    string // the check that finds it under the default schedules
	quiet bool   // without the checkers for races, undefined values and exits, schedule 0 gives right values
}

var mutants = []mutant{
	// The ring: barriers, phases, transactions.
	{"barriers are used before they are there", plain, `bar\.sync 0;`, "", 1, "barrier", false},
	{"no retry when a slot is not full", plain, `(wait_14:\s+mbarrier.*\s+)@!%p\d+ bra wait_14;`, "$1", 0, "race", false},
	{"no retry when a slot is not empty", plain, `(wait_9:\s+mbarrier.*\s+)@!%p\d+ bra wait_9;`, "$1", 0, "race", false},
	{"consumers begin in the other phase", plain, `mov\.u32 %parity_2, 0;`, "mov.u32 %parity_2, 1;", 0, "deadlock", false},
	{"the producer begins in the other phase", plain, `mov\.u32 %parity, 0;`, "mov.u32 %parity, 1;", 0, "deadlock", false},
	{"the producer's phase never changes", plain, `@%p\d+ xor\.b32 %parity, %parity, 1;`, "", 0, "barrier", false},
	{"the consumers' phase never changes", plain, `@%p\d+ xor\.b32 %parity_2, %parity_2, 1;`, "", 0, "race", false},
	{"16 bytes too many expected", plain, `(expect_tx.*), 24576;`, "$1, 24592;", 0, "deadlock", false},
	{"only the bytes of A expected", plain, `(expect_tx.*), 24576;`, "$1, 16384;", 0, "race", false},
	{"a slot is empty after one consumer of two", plain, `(mbarrier\.init.*), 2;`, "$1, 1;", 0, "race", false},
	{"a slot is empty after three consumers of two", plain, `(mbarrier\.init.*), 2;`, "$1, 3;", 0, "deadlock", false},
	{"all threads hand a slot back", plain, `@%p\d+ (mbarrier\.arrive\.shared::cta\.b64)`, "$1", 1, "deadlock", false},
	{"the ring turns one slot early", plain, `setp\.eq\.u32 (%p\d+), %slot, 3;`, "setp.eq.u32 $1, %slot, 2;", 0, "deadlock", false},
	{"a slot that is being read is handed back", plain, `shl\.b32 (%r\d+), %last, 3;`, "shl.b32 $1, %slot_2, 3;", 1, "deadlock", false},

	// wgmma: groups, registers, descriptors.
	{"a slot is handed back one group early", plain, `wait_group\.sync\.aligned 1;`, "wait_group.sync.aligned 2;", 0, "race", true},
	{"accumulators are read one group early", plain, `wait_group\.sync\.aligned 0;`, "wait_group.sync.aligned 1;", 0, "inflight", false},
	{"nobody waits for the products", plain, `wgmma\.wait_group\.sync\.aligned 0;`, "", 0, "inflight", false},
	{"products are in no group", plain, `wgmma\.commit_group\.sync\.aligned;`, "", 0, "race", false},
	{"no wgmma.fence", plain, `wgmma\.fence\.sync\.aligned;`, "", 0, "inflight", false},
	{"swizzle of 64 bytes in a descriptor", plain, `0x4000004000010000`, "0x8000004000010000", 1, "value", false},
	{"half the stride in a descriptor", plain, `0x4000004000010000`, "0x4000002000010000", 1, "value", false},
	{"a step along K is skipped", plain, `add\.u64 (%rd\d+), (%rd\d+), 2;`, "add.u64 $1, $2, 4;", 1, "value", false},
	{"both consumers multiply rows that overlap", plain, `(mul\.lo\.u32 %r\d+, %r\d+), 8192;`, "$1, 4096;", 0, "value", false},
	{"a tile adds to the one before", plain, `(wgmma\.mma_async.*), %p\d+, 1, 1, 0, 0;`, "$1, 1, 1, 1, 0, 0;", 0, "value", false},

	// The way out.
	{"no proxy fence before the store", plain, `fence\.proxy\.async\.shared::cta;`, "", 0, "proxy", true},
	{"the store begins before all have written", plain, `bar\.sync (%r\d+), 128;(\s+add\.u32 .*\s+@%p\d+ cp\.async\.bulk\.tensor)`, "$2", 0, "race", false},
	{"a slab is written before the last store has read it", plain, `wait_group\.read 0;`, "wait_group.read 1;", 0, "race", true},
	{"only one thread knows that the slab is free", plain, `(wait_group\.read 0;\s+)bar\.sync %r\d+, 128;`, "$1", 0, "race", true},
	{"the block ends before its stores", plain, `@%p\d+ cp\.async\.bulk\.wait_group 0;`, "", 0, "inflight", true},
	{"stores are in no group", plain, `@%p\d+ cp\.async\.bulk\.commit_group;`, "", 0, "race", true},
	{"results leave eight columns too far right", plain, `(add\.u32 %r\d+, %r\d+), 0;(\s+@%p\d+ cp\.async\.bulk\.tensor)`, "$1, 8;$2", 0, "undefined", false},

	// Copies in and what hardware refuses.
	{"K advances by half a slot", plain, `add\.u32 %k, %k, 64;`, "add.u32 %k, %k, 32;", 0, "value", false},
	{"a start coordinate that is not a multiple of 16 bytes", plain, `mov\.u32 %k, (\S+);`, "add.u32 %k, $1, 1;", 0, "illegal", false},
	{"a tensor map's address without cvta.param", plain, `cvta\.param\.u64 %rd1, %rd0;`, "mov.u64 %rd1, %rd0;", 0, "misaligned", false},
	{"registers that nobody gave up", plain, `setmaxnreg\.dec\.sync\.aligned\.u32 40;`, "", 0, "deadlock", false},

	// Pairs of blocks.
	{"no cluster barrier before the first copies", paired, `barrier\.cluster\.(arrive|wait);`, "", 0, "barrier", false},
	{"a block ends while its partner still signals it", paired, `(?s)// every slot is handed back.*?endif_4:`, "endif_4:", 0, "bounds", true},
	{"a share reaches one block of two", paired, `mov\.u16 (%h\d+), 3;`, "mov.u16 $1, 1;", 0, "deadlock", false},
	{"both blocks load the same share", paired, `mad\.lo\.u32 (%r\d+), (%r\d+), 128, (%r\d+);`, "mov.u32 $1, $3;", 0, "value", false},
	{"a slot is empty without the partner's consumers", paired, `(mbarrier\.init.*), 4;`, "$1, 2;", 0, "race", false},
	{"the partner is not told that a slot is free", paired, `min\.u32 (%r\d+), (%r\d+), 1;`, "mov.u32 $1, %cluster_ctarank;", 0, "race", true},
	{"half the leading distance in a descriptor", paired, `0x4000004002000000`, "0x4000004001000000", 0, "value", false},
	{"the rank stays in the descriptor's address", paired, `and\.b32 (%r\d+), (%r\d+), 262143;`, "mov.b32 $1, $2;", 0, "race", false},

	// What is added, and sums that blocks share.
	{"a gradient is added although none accumulates", added, `setp\.neu(\.f32 .*, 0f00000000;)`, "setp.equ$1", 0, "value", false},
	{"columns that are not there are added", added, `(setp\.lt\.u32 %p\d+, %r\d+, )%r4;`, "${1}4096;", 0, "race", false},
	{"the next slab's gradient is added", added, `(@%p\d+ ld\.global\.b32 %addend\w+, \[%rd\d+)\+16\];`, "$1+32];", 1, "value", false},
	{"flags are not cleared", split, `st\.global\.u32 \[%rd\d+\], %r\d+;`, "", 1, "undefined", false},
	{"a product does not wait for its flags", split, `griddepcontrol\.wait;`, "", 2, "race", false},
	{"a part is added before its turn", split, `@%p\d+ bra (done_\d+;\s+bra loop)`, "bra $1", 0, "undefined", false},

	// Rows of experts.
	{"a row behind an expert's last is stored", rowsOf, `setp\.lt\.u32 (%p\d+, %r\d+, %end_2;)`, "setp.le.u32 $1", 0, "race", false},
	{"an expert's tiles begin behind its first row", rowsOf, `(mad\.lo\.u32 %r\d+, %r\d+, 128), %start_2;`, "$1, 1;", 1, "race", false},
	{"all experts have the first one's weights", rowsOf, `(\[%rd\d+, \{%k, %r\d+), %r\d+\}\]`, "$1, 0}]", 0, "value", false},
	{"pairs are taken for tokens", gather, `div\.u32 (%r\d+), (%at\w*), 2;`, "mov.u32 $1, $2;", 0, "bounds", false},
	{"rows are full before they are there", gather, `cp\.async\.mbarrier\.arrive\.noinc\.shared::cta\.b64`, "mbarrier.arrive.shared::cta.b64 _,", 0, "race", false},
	{"rows behind an expert's last are summed", ragged, `(selp\.u32 %bytes\w*, %r\d+), 0,`, "$1, 16,", 0, "value", false},
	{"the copy engine loads an expert's last rows", ragged, `setp\.le\.u32 (%p\d+), (%r\d+), %r\d+;`, "setp.le.u32 $1, $2, $2;", 1, "value", false},
	{"an expert without rows gets nothing", ragged, `max\.u32 (%r\d+, %r\d+), 1;`, "max.u32 $1, 0;", 0, "race", false},
	{"columns that are not there are copied", ragged, `and\.b32 (%r\d+), (%bytes\w+), %inside\w+;`, "and.b32 $1, $2, $2;", 0, "bounds", false},
	{"a tile leaves before all have written it", whole, `(fence\.proxy\.async\.shared::cta;\s+)bar\.sync %r\d+, 128;`, "$1", 0, "race", false},
	{"a tile is written while the last one leaves", whole, `@%p\d+ cp\.async\.bulk\.wait_group\.read 0;`, "", 0, "race", true},
	{"the copy engine does not see a whole tile", whole, `(fence\.proxy\.async\.shared::cta;)(\s+bar\.sync %r\d+, 128;)`, "$2", 0, "proxy", true},

	// Rows, tails, shared scratch.
	{"lanes without a last piece write one", rows, `@%p\d+ (st\.global\.v4\.b32)`, "$1", 0, "race", false},
	{"rows past the end are written", rows, `@!%p\d+ bra endif_1;`, "", 0, "bounds", false},
	{"no barrier between two warps' sums", rows, `bar\.sync (%r\d+), 64;`, "", 0, "undefined", false},
	{"a tail that was never cleared", rows, `mov\.b32 %piece_4_0, 0;`, "", 0, "undefined", true},
	{"every thread writes the row's rstd", rows, `@%p\d+ (st\.global\.f32)`, "$1", 0, "race", true},
	{"half the lanes are not summed", rows, `(shfl\.sync\.bfly\.b32 %r\d+, %f\d+), 16, 31, -1;`, "$1, 8, 31, -1;", 0, "value", false},
	{"a shuffle that waits for lanes that are not there", rows, `(@!%p1 bra endif_1;)`, "$1\nsetp.lt.u32 %p1, %r3, 40;\n@!%p1 bra endif_1;", 0, "divergence", false},
	{"scratch off its alignment", rows, `ld\.shared\.f32 (%f\d+), \[(%r\d+)\+4\];`, "ld.shared.f32 $1, [$2+2];", 0, "misaligned", false},
	{"a barrier for one warp of two", rows, `bar\.sync (%r\d+), 64;`, "bar.sync $1, 32;", 0, "undefined", false},
	{"a row is loaded before the launch that writes it has ended", again, `griddepcontrol\.wait;([\s\S]*?%piece_4_3\}.*)`, "$1\ngriddepcontrol.wait;", 0, "race", false},
	{"scratch is used again without its other side", grad, `xor\.b32 %side, %side, 16;`, "", 0, "race", true},
	{"parts are added before they are written", grad, `bar\.sync 0;(\s+mov\.u32 %r\d+, %tid\.x;\s+mov\.u32 %four)`, "$1", 0, "undefined", false},
	{"parts are overwritten before they are added", grad, `(done_5:\s+)bar\.sync 0;`, "$1", 0, "race", true},
	{"parts of two blocks overlap", grad, `(mul\.wide\.u32 %rd\d+, %part), 4000;`, "$1, 3984;", 0, "race", false},
	{"the second kernel does not wait for the first", grad, `griddepcontrol\.wait;`, "", 2, "race", false},
	{"partial sums are read before they are written", grad, `bar\.sync 0;`, "", 3, "undefined", false},
	{"scratch reaches into the parts", grad, `(add\.u32 %r\d+, %shared), 8000;`, "$1, 7996;", 0, "race", false},
}

// apply plants the bug. It fails the test where the text has no such place any more.
func (m *mutant) apply(t *testing.T, text string) string {
	t.Helper()
	re := regexp.MustCompile(m.find)
	places := re.FindAllStringSubmatchIndex(text, -1)
	if len(places) == 0 || m.nth > len(places) {
		t.Fatalf("%s has %d places like %s", m.of, len(places), m.find)
	}
	var b strings.Builder
	end := 0
	for i, p := range places {
		b.WriteString(text[end:p[0]])
		if m.nth == 0 || m.nth == i+1 {
			b.Write(re.ExpandString(nil, m.with, text, p))
		} else {
			b.WriteString(text[p[0]:p[1]])
		}
		end = p[1]
	}
	b.WriteString(text[end:])
	return b.String()
}

func itemOf(t *testing.T, name string) Item {
	t.Helper()
	kernel, c, _ := strings.Cut(name, " ")
	items, err := Select([]string{kernel}, []string{c}, false)
	if err != nil {
		t.Fatal(err)
	}
	return items[0]
}

// Every planted bug is found, each by the check that the table names, and at least ten of them by a checker alone: they
// leave all values right.
func TestMutants(t *testing.T) {
	quiet := 0
	for _, m := range slices.Concat(mutants, attentionMutants, routerMutants, streamMutants, expertMutants) {
		if m.quiet {
			quiet++
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			item := itemOf(t, m.of)
			text, _, err := item.Case.Build()
			if err != nil {
				t.Fatal(err)
			}
			text = m.apply(t, text)
			by := "nothing"
			r := Run(item, text, Options{Seeds: DefaultSeeds})
			if !r.OK() {
				by = r.Failure.Check
			}
			if by != m.by {
				t.Fatalf("found by %s, not by %s: %+v", by, m.by, r.Failure)
			}
			if !m.quiet {
				return
			}
			_, grids, err := item.Case.Build()
			if err != nil {
				t.Fatal(err)
			}
			blind := &program{Case: item.Case, text: text, grids: grids}
			if _, failure := new(Result).simulate([]*program{blind}, 1, sim.Config{Off: sim.CheckRace | sim.CheckUndefined | sim.CheckExit}); failure != nil {
				t.Errorf("without the checkers: %+v", failure)
			}
		})
	}
	if len(mutants) < 30 || quiet < 10 {
		t.Errorf("%d mutants, %d of them with right values", len(mutants), quiet)
	}
}

// Without a bug the same cases are silent, under many more schedules. Their values are checked elsewhere: here tensor cores
// may compute in plain float32.
func TestSilence(t *testing.T) {
	seeds := 50
	if testing.Short() {
		seeds = 8
	}
	for _, name := range []string{plain, paired, rows, again, grad, gather, ragged} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r := Run(itemOf(t, name), "", Options{Seeds: seeds, config: sim.Config{FastMath: true}}); !r.OK() {
				t.Errorf("%+v", *r.Failure)
			}
		})
	}
}
