package gen

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"moegen/ir"
)

// poolOf returns the pool of a plan's micro-batch, nil without one, and how many launches write and read it.
func poolOf(p *ir.Plan) (pool *ir.Buffer, keep, restore int) {
	for _, l := range p.Programs[1].Launches {
		switch l.Op.Name {
		case "pool_open":
			pool = l.Out[0]
		case "dispatch_keep":
			keep++
			if l.In[4].Offset != pool.Offset || l.Out[1].Offset != pool.Offset {
				panic("BUG: a pool that moves")
			}
		case "dispatch_restore":
			restore++
		}
	}
	return pool, keep, restore
}

// There is one pool, for so many times what the layers with experts are expected to receive, where backward wants that and ranks share
// experts, unless it would have room for all that they can receive.
func TestPool(t *testing.T) {
	const layers = 2
	const expected = 17 // 20 · 5/6, rounded up: of six pairs of four experts one is all elsewhere
	for _, c := range []struct {
		ranks, ep int
		mode      Recompute
		factor    float64
		rows      int // 0: none
	}{
		{2, 2, RecomputeNone, 0, 38}, // 1.1 · 34, rounded up
		{2, 2, RecomputeUp, 1, layers * expected},
		{2, 2, RecomputeAuto, 1.12, 39},
		{2, 2, RecomputeAuto, 1.16, 0}, // 40 rows are all
		{2, 2, RecomputeDispatch, 0, 0},
		{2, 2, RecomputeBlock, 0, 0},
		{2, 1, RecomputeNone, 0, 0},
		{1, 1, RecomputeUp, 0, 0},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			req := toyRequest(t, c.ranks, c.mode)
			req.EP, req.Pool = c.ep, c.factor
			p, err := Plan(req, nil)
			if err != nil {
				t.Fatal(err)
			}
			pool, keep, restore := poolOf(p.Plan)
			if c.rows == 0 {
				if pool != nil || keep+restore > 0 {
					t.Errorf("a pool of %s", pool.Type)
				}
				return
			}
			if pool == nil || pool.Type.Dim(0) != c.rows || keep != layers || restore != layers {
				t.Errorf("pool %+v, %d layers kept and %d restored; want %d rows and %d layers", pool, keep, restore, c.rows, layers)
			}
		})
	}
	req := toyRequest(t, 2, RecomputeUp)
	for _, factor := range []float64{0.5, -1, math.NaN(), math.Inf(1)} {
		req.Pool = factor
		if _, err := Plan(req, nil); err == nil || !strings.Contains(err.Error(), "give a factor of 1 or more") {
			t.Errorf("factor %v: error %v", factor, err)
		}
	}
}
