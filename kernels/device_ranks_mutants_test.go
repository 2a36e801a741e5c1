package kernels_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"moegen/check"
	"moegen/kernels/gpu"
)

// A rankMutant is a bug in what ranks tell each other, in the text or because a barrier is left out, with the check that finds it.
type rankMutant struct {
	name, op, of string
	find, with   string // regular expression and replacement
	without      string // the "first" barrier or the "last"
	by           string
}

var rankMutants = []rankMutant{
	{"nobody waits for operands", "dispatch", "spread bf16[21 72] of 3", "", "", "first", "undefined"},
	{"nobody waits before operands are overwritten", "dispatch", "spread bf16[21 72] of 3", "", "", "last", "race"},
	{"nobody waits for results", "all_reduce", "bf16[37 72] of 2, alone -1", "", "", "last", "race"},
	{"choices are overwritten that others read", "dispatch_plan", "many  of 2", "", "", "last", "race"},
	{"one look at a flag is enough", "combine", "spread bf16[21 72] of 3", `\n\s+bra loop_\d+;`, "", "", "race"},
	{"a flag is read without acquiring", "combine", "spread bf16[21 72] of 3", `ld\.acquire\.sys`, "ld.relaxed.sys", "", "race"},
	{"a flag is raised without releasing", "combine", "spread bf16[21 72] of 3", `st\.release\.sys`, "st.relaxed.sys", "", "race"},
	{"a flag is raised for the own GPU", "combine", "spread bf16[21 72] of 3", `st\.release\.sys`, "st.release.gpu", "", "race"},
	{"the flag of another rank is raised", "combine", "spread bf16[21 72] of 3", `(mul\.wide\.u32 %rd\d+), %r0, 4;`, "$1, %r1, 4;", "", "deadlock"},
	{"the count of barriers stands still", "dispatch", "spread bf16[21 72] of 3", `(ld\.global\.u32 %r\d+, \[%rd\d+)\+268\];`, "$1+276];", "", "race"},
	{"numbers of tokens do not count those before", "dispatch_plan", "spread  of 3", `and\.b32 (%r\d+), (%r\d+), %r\d+;(\s+popc)`, "mov.b32 $1, $2;$3", "", "race"},
	{"tokens of ranks before are not counted", "dispatch_plan", "spread  of 3", `setp\.ge\.u32 (%p\d+), %before_2, %unit;`, "setp.ge.u32 $1, %before_2, 1;", "", "race"},
	{"alone, all that is sent is sent to the own rank", "dispatch_plan", "spread  alone of 3", `selp\.u32 (%r\d+), %r\d+, (%r\d+), %p0;`, "mov.u32 $1, $2;", "", "race"},
	{"a rank alone waits for others", "all_reduce", "bf16[37 72] of 2, alone 1", `selp\.u32 (%r\d+), %r\d+, (%r\d+), %p\d+;`, "mov.u32 $1, $2;", "", "deadlock"},
	{"rows come from ranks of another group", "dispatch", "groups bf16[11 72] of 4", `rem\.u32 (%r\d+), (%r\d+), 2;`, "mov.u32 $1, $2;", "", "value"},
	{"rows that found no room are fetched before they are there", "dispatch_restore", "spread bf16[21 72] full=true of 3", "", "", "first", "undefined"},
	{"rows are overwritten that others had no room for", "dispatch_restore", "spread bf16[21 72] full=true of 3", "", "", "last", "race"},
	{"rows of another layer are restored", "dispatch_restore", "spread bf16[21 72] full=false of 3", `setp\.ge\.s32 %p0, %r1, 0;`, "${0} mov.u32 %r1, 0;", "", "value"},
	{"what found no room is looked for in the pool", "dispatch_restore", "spread bf16[21 72] full=true of 3", `setp\.ge\.s32 (%p0, %r1), 0;`, "setp.le.s32 $1, 1000;", "", "bounds"},
	{"the pool's use stands still", "dispatch_keep", "spread bf16[21 72] full=false of 3", `selp\.u32 (%r\d+), %r3, (%r1), %p0;`, "mov.u32 $1, $2;", "", "value"},
	{"rows are kept that find no room", "dispatch_keep", "spread bf16[21 72] full=true of 3", `setp\.le\.u32 (%p0, %r3), \d+;`, "setp.le.u32 $1, 1000;", "", "bounds"},
	{"sums are taken before all have their terms", "reduce_scatter", "bf16[2048] of 4 in 2 by 2, alone -1", "", "", "first", "undefined"},
	{"terms are overwritten that others read", "reduce_scatter", "bf16[5000] of 2 in 2 by 1, alone -1", "", "", "last", "race"},
	{"neighbours are taken for replicas", "reduce_scatter", "bf16[2048] of 4 in 2 by 2, alone -1", `div\.u32 (%r\d+), (%r\d+), 2;`, "mov.u32 $1, $2;", "", "bounds"},
	{"everybody adds up the first part", "reduce_scatter", "bf16[5000] of 2 in 2 by 1, alone -1", `mul\.lo\.u32 (%r\d+), %r1, %r\d+;`, "mov.u32 $1, 0;", "", "value"},
	{"the first micro-batch adds to the last step's sums", "reduce_scatter", "bf16[2048] of 4 in 2 by 2, alone -1", `\[(%rd\d+)\+40\]`, "[$1+44]", "", "value"},
	{"what was accumulated is overwritten", "reduce_scatter", "bf16[2048] of 4 in 2 by 2, alone -1", `\[(%rd\d+)\+40\]`, "[$1+60]", "", "value"},
	{"a part is fetched before it is there", "all_gather", "bf16[9000] of 8 in 8 by 1, alone -1", "", "", "first", "undefined"},
	{"parts are overwritten that others fetch", "all_gather", "bf16[9000] of 8 in 8 by 1, alone -1", "", "", "last", "race"},
	{"a flag is raised before a part is seen", "all_gather", "bf16[1003] of 3 in 3 by 1, alone -1", `st\.release\.sys`, "st.relaxed.sys", "", "race"},
	{"everybody fetches the first part", "all_gather", "bf16[1003] of 3 in 3 by 1, alone -1", `rem\.u32 (%r\d+), %r\d+, 3;`, "mov.u32 $1, 0;", "", "value"},
}

// protocolMutants are bugs in how ranks wait for each other: whatever crosses between them breaks with each.
var protocolMutants = []struct{ name, find, with, without string }{
	{"a flag is raised without releasing", `st\.release\.sys`, "st.relaxed.sys", ""},
	{"a flag is raised for the own GPU", `st\.release\.sys`, "st.release.gpu", ""},
	{"a flag is read without acquiring", `ld\.acquire\.sys`, "ld.relaxed.sys", ""},
	{"a flag is read for the own GPU", `ld\.acquire\.sys`, "ld.acquire.gpu", ""},
	{"nobody waits for operands", "", "", "first"},
	{"buffers are used again too early", "", "", "last"},
}

// Every planted bug in kernels that fetch by threads is found, by the check that the table names.
func TestRankMutants(t *testing.T) {
	exchanging(t, nil)
	testMutants(t, rankMutants)
}

func testMutants(t *testing.T, mutants []rankMutant) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			if by := foundBy(t, m.op, m.of, m.find, m.with, m.without); by != m.by {
				t.Errorf("found by %s, not by %s", by, m.by)
			}
		})
	}
}

// Every exchange depends on every part of the protocol: each bug in it is found in each of them.
func TestProtocolMutants(t *testing.T) {
	for _, x := range []struct{ op, of string }{
		{"dispatch_plan", "many  of 2"},
		{"dispatch", "spread bf16[21 72] of 3"},
		{"dispatch_keep", "spread bf16[21 72] full=false of 3"},
		{"dispatch_restore", "spread bf16[21 72] full=true of 3"},
		{"combine", "spread bf16[21 72] of 3"},
		{"all_reduce", "bf16[37 72] of 2, alone -1"},
		{"reduce_scatter", "bf16[5000] of 2 in 2 by 1, alone -1"},
		{"all_gather", "bf16[9000] of 8 in 8 by 1, alone -1"},
	} {
		for _, m := range protocolMutants {
			t.Run(x.op+"/"+m.name, func(t *testing.T) {
				t.Parallel()
				if by := foundBy(t, x.op, x.of, m.find, m.with, m.without); by != "race" && by != "undefined" {
					t.Errorf("found by %s, not by a checker of memory", by)
				}
			})
		}
	}
}

// foundBy plants a bug in a case of an operation, in its text or by leaving out a barrier, and returns what finds it.
func foundBy(t *testing.T, op, of, find, with, without string) string {
	t.Helper()
	o := rankOps[slices.IndexFunc(rankOps, func(o rankOp) bool { return o.op == op })]
	at := slices.IndexFunc(o.cases, func(c rankCase) bool { return c.name == of })
	if at < 0 {
		t.Fatalf("no case %q", of)
	}
	n := o.cases[at].rank(0).node(o.op)
	k := covering(n)[0]
	item := o.item(o.cases[at], n, k, places(n, k)[0])
	text, _, err := item.Case.Build()
	if err != nil {
		t.Fatal(err)
	}
	if find != "" {
		re := regexp.MustCompile(find)
		if !re.MatchString(text) {
			t.Fatalf("no place like %s", find)
		}
		text = re.ReplaceAllString(text, with)
	}
	if without != "" {
		item.Case.Launches = withoutBarrier(item.Case.Launches, without == "last")
		for i := range item.Case.Peers {
			item.Case.Peers[i].Launches = withoutBarrier(item.Case.Peers[i].Launches, without == "last")
		}
	}
	r := check.Run(item, text, check.Options{Seeds: check.DefaultSeeds})
	if r.OK() {
		return "nothing"
	}
	return r.Failure.Check
}

// withoutBarrier leaves out the first or the last barrier.
func withoutBarrier(list []gpu.Launch, last bool) []gpu.Launch {
	var at []int
	for i, l := range list {
		if strings.HasPrefix(l.Entry, "world_barrier") {
			at = append(at, i)
		}
	}
	i := at[0]
	if last {
		i = at[len(at)-1]
	}
	return slices.Delete(slices.Clone(list), i, i+1)
}
