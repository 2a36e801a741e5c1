package kernels_test

import (
	"slices"
	"testing"

	"moegen/kernels/tuned"
)

// exchanging has kernels that fetch from other ranks do so as a list says, until the test ends.
func exchanging(t *testing.T, how []tuned.Exchange) {
	before := tuned.H100Exchanges
	t.Cleanup(func() { tuned.H100Exchanges = before })
	tuned.H100Exchanges = how
}

// inBulk has them do it by the copy engine where they can.
func inBulk(t *testing.T) {
	var how []tuned.Exchange
	for _, kernel := range []string{"all_gather", "combine", "dispatch", "dispatch_keep", "dispatch_restore", "reduce_scatter"} {
		how = append(how, tuned.Exchange{Kernel: kernel, Warps: 4, Slots: 6, Blocks: 2})
	}
	exchanging(t, how)
}

// What the copy engine fetches is right wherever threads are.
func TestDeviceRanksInBulk(t *testing.T) {
	inBulk(t)
	var ops []rankOp
	for _, o := range rankOps {
		if slices.ContainsFunc(tuned.H100Exchanges, func(e tuned.Exchange) bool { return e.Kernel == o.op }) {
			ops = append(ops, o)
		}
	}
	if len(ops) != len(tuned.H100Exchanges) {
		t.Fatalf("%d operations of %d", len(ops), len(tuned.H100Exchanges))
	}
	testRanks(t, ops)
}

// bulkMutants are rankMutants of kernels that fetch in bulk: the barriers, what the copy engine sees, the rings.
var bulkMutants = []rankMutant{
	{"nobody waits for operands", "dispatch", "spread bf16[21 72] of 3", "", "", "first", "race"},
	{"nobody waits before operands are overwritten", "dispatch", "spread bf16[21 72] of 3", "", "", "last", "race"},
	{"nobody waits for parts of sums", "reduce_scatter", "bf16[2048] of 4 in 2 by 2, alone -1", "", "", "first", "undefined"},
	{"parts are overwritten that others fetch", "all_gather", "bf16[9000] of 8 in 8 by 1, alone -1", "", "", "last", "race"},
	{"a flag is read without acquiring", "combine", "spread bf16[21 72] of 3", `ld\.acquire\.sys`, "ld.relaxed.sys", "", "race"},
	{"a flag is raised without releasing", "combine", "spread bf16[21 72] of 3", `st\.release\.sys`, "st.relaxed.sys", "", "race"},
	{"a row leaves before it has come", "dispatch", "spread bf16[21 72] of 3", `(wait_\d+:\s+mbarrier.*\s+)@!%p\d+ bra wait_\d+;`, "$1", "", "race"},
	{"a slot is filled while its row leaves", "dispatch", "many bf16[300 72] of 2", `wait_group\.read 2;`, "wait_group.read 6;", "", "race"},
	{"the block ends before its rows have left", "dispatch", "spread bf16[21 72] of 3", `cp\.async\.bulk\.wait_group 0;`, "", "", "inflight"},
	{"rows are in no group", "dispatch", "many bf16[300 72] of 2", `@%p\d+ cp\.async\.bulk\.commit_group;`, "", "", "race"},
	{"the phase of a ring never changes", "dispatch", "many bf16[300 72] of 2", `@%p\d+ xor\.b32 %parity, %parity, 1;`, "", "", "deadlock"},
	{"rows ahead are not looked up", "dispatch", "many bf16[300 72] of 2", `@%p\d+ (ld\.global\.nc\.u32 %number_3)`, "// $1", "", "value"},
	{"more bytes are awaited than come", "dispatch", "spread bf16[21 72] of 3", `(expect_tx.*), 144;`, "$1, 160;", "", "deadlock"},
	{"rows are kept that find no room", "dispatch_keep", "spread bf16[21 72] full=true of 3", `setp\.le\.u32 (%p\d+, %r\d+), \d+;`, "setp.le.u32 $1, 1000;", "", "bounds"},
	{"a slot is empty after one warp of four", "combine", "many bf16[300 72] of 2", `(mbarrier\.init.*), 4;`, "$1, 1;", "", "race"},
	{"a slot is filled before it is empty", "combine", "many bf16[300 72] of 2", `(wait_6:\s+mbarrier.*\s+)@!%p\d+ bra wait_6;`, "$1", "", "race"},
	{"a slot is read before it is full", "combine", "many bf16[300 72] of 2", `(wait_9:\s+mbarrier.*\s+)@!%p\d+ bra wait_9;`, "$1", "", "undefined"},
	{"rows of ranks that have none are added", "combine", "spread bf16[21 72] of 3", `setp\.ge\.s32 (%p\d+), %ahead, 0;`, "setp.ge.s32 $1, %ahead, -1;", "", "bounds"},
	{"all ranks have as much as the first", "combine", "spread bf16[21 72] of 3", `(ld\.shared\.u32 %r\d+, \[%r\d+)\+[48]\];`, "$1];", "", "undefined"},
	{"a short item is taken for a whole one", "reduce_scatter", "bf16[5000] of 2 in 2 by 1, alone -1", `min\.u32 (%r\d+), %r\d+, 128;`, "mov.u32 $1, 128;", "", "bounds"},
}

// Every planted bug is found, by the check that the table names.
func TestRankMutantsInBulk(t *testing.T) {
	inBulk(t)
	testMutants(t, bulkMutants)
}
