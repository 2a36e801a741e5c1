package gen

import (
	"strings"
	"testing"

	"moegen/ir"
)

// What AdamW keeps of the dense parameters and of the experts follows from the optimizer, and so much of it as a rank's part needs;
// random bits are the group's own.
func TestOptimizers(t *testing.T) {
	for _, c := range []struct {
		optimizer, op string
		keeps         string // of either group
	}{
		{"", "adamw_split", "i16 bf16 bf16"}, {"split", "adamw_split", "i16 bf16 bf16"},
		{"bf16", "adamw", "bf16 bf16"}, {"f32", "adamw_master", "f32 f32 f32"},
	} {
		req := toyRequest(t, 2, RecomputeNone)
		req.Target, req.DType, req.Optimizer = "h100", "bf16", c.optimizer
		var update *ir.Graph
		_, err := Plan(req, func(d Dump) {
			if d.Path != "02_shard/update.txt" {
				return
			}
			g, err := ir.Parse(d.Text)
			if err != nil {
				t.Fatal(err)
			}
			update = g
		})
		if update == nil {
			t.Fatalf("%s: no program was made: %v", c.optimizer, err)
		}
		streams := map[int]string{}
		for _, n := range update.Nodes {
			if !strings.HasPrefix(n.Op.Name, "adamw") {
				continue
			}
			weight := n.In[0]
			if n.Op.Name != c.op {
				t.Fatalf("%s: %s is updated by %s, not by %s", c.optimizer, weight.Name, n.Op.Name, c.op)
			}
			var keeps []string
			for _, v := range n.In[2 : len(n.In)-2] {
				keeps = append(keeps, v.Type.DType.String())
				parts := 2 // of the dense parameters, which both ranks hold; the experts are split
				if weight.Param.Expert {
					parts = 1
				}
				if share := ir.Share(weight.Type.Elements(), parts); v.Role != ir.State || v.Type.Elements() != share {
					t.Errorf("%s is %s %s, of which a rank has %d elements", v.Name, v.Role, v.Type, share)
				}
			}
			if got := strings.Join(keeps, " "); got != c.keeps {
				t.Errorf("%s: %s has %s beside it, not %s", c.optimizer, weight.Name, got, c.keeps)
			}
			if c.op != "adamw_split" {
				continue
			}
			if s := n.Attrs.Int("stream"); streams[s] != "" {
				t.Errorf("%s and %s have the same random bits", weight.Name, streams[s])
			} else {
				streams[s] = weight.Name
			}
		}
		// The dense parameters of three layers, the embeddings, which are tied, the last norm; the experts.
		if groups := 3 + 2 + 1; c.op == "adamw_split" && len(streams) != groups {
			t.Errorf("%d groups are updated, want %d", len(streams), groups)
		}
	}
	req := toyRequest(t, 1, RecomputeNone)
	req.Optimizer = "split"
	if _, err := Plan(req, nil); err == nil || err.Error() != `target cpu has no optimizer "split"; use f32` {
		t.Error(err)
	}
}
