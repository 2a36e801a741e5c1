package kernels_test

import (
	"slices"
	"strings"
	"testing"

	"moegen/ir"
	"moegen/kernels"
	"moegen/runtime/host"
)

// The registry is sorted by operation, names only what exists, and names it once.
func TestRegistry(t *testing.T) {
	for _, target := range kernels.Targets() {
		all := kernels.All(target)
		if !slices.IsSortedFunc(all, func(a, b *kernels.Kernel) int {
			return slices.Compare([]string{a.Op}, []string{b.Op})
		}) {
			t.Errorf("%s is not sorted by operation", target)
		}
		seen := map[string]bool{}
		for _, k := range all {
			op, ok := ir.LookupOp(k.Op)
			if !ok {
				t.Errorf("%s computes %s, which is no operation", k.Name, k.Op)
				continue
			}
			if key := k.Name + " " + k.Op; seen[key] {
				t.Errorf("%s stands twice", key)
			} else {
				seen[key] = true
			}
			for _, s := range k.Shares {
				if !slices.Contains(op.InPlace, s) {
					t.Errorf("%s shares result %d and operand %d, which %s does not allow", k.Name, s[0], s[1], k.Op)
				}
			}
		}
	}
}

// Every operation has a kernel on processors, or, if it is of a GPU's optimizer, on GPUs; one that is defined for several types of elements has one for each that
// graphs use: logits and choices are tapped, gradients and sums of squares reduced over ranks.
func TestEveryOperationHasAKernel(t *testing.T) {
	types := map[string][]ir.DType{"tap": {ir.F32, ir.I32}, "all_reduce": {ir.F32, ir.F64}}
	for _, op := range ir.Ops() {
		list := types[op.Name]
		if list == nil {
			list = []ir.DType{ir.F32}
		}
		for _, d := range list {
			attrs := ir.Attrs{{Key: "rows", Value: 1}, {Key: "heads", Value: 2}, {Key: "kv_heads", Value: 1}} // of attention
			n := &ir.Node{Op: op, Attrs: attrs}
			for _, operand := range op.Operands {
				v := &ir.Value{Type: ir.Fixed(d, 16, 16)}
				if strings.HasSuffix(operand, "?") {
					v = nil
				}
				n.In = append(n.In, v)
			}
			if kernels.Select("cpu", n) == nil && (kernels.Computes("cpu", op.Name) || !kernels.Computes("h100", op.Name)) {
				t.Errorf("no kernel for %s of %s", op.Name, d)
			}
		}
	}
}

// The scratch that a plan reserves is what the kernel asks for.
func TestWorkspaces(t *testing.T) {
	dims := []int{1, 2, 15, 16, 17, 31, 32, 33, 127, 128, 129, 1000, 5000}
	check := func(op string, attrs ir.Attrs, in []ir.Type, want int) {
		t.Helper()
		o, _ := ir.LookupOp(op)
		n := &ir.Node{Op: o, Attrs: attrs}
		for _, x := range in {
			n.In = append(n.In, &ir.Value{Type: x})
		}
		k := kernels.Select("cpu", n)
		if k == nil {
			t.Errorf("no kernel for %s of %v %v", op, in, attrs)
		} else if got := k.Workspace(n); got != want {
			t.Errorf("%s of %v %v: workspace of %d, the kernel wants %d", op, in, attrs, got, want)
		}
	}
	matrix := func(rows, cols int) ir.Type { return ir.Fixed(ir.F32, rows, cols) }
	for _, tokens := range dims {
		for _, d := range dims[:len(dims)-1] { // host's attention takes no heads of 5000
			x := matrix(tokens, d)
			check("rms_norm_grad", nil, []ir.Type{x, x}, host.RMSNormGradWorkspace(tokens, d))
			heads := ir.Attrs{{Key: "heads", Value: 3}, {Key: "kv_heads", Value: 1}}
			for _, op := range []string{"qk_norm_grad", "qk_norm_rope_grad", "rope_grad"} {
				qkv := matrix(tokens, 5*d)
				check(op, heads, []ir.Type{qkv, qkv}, host.QKNormRopeGradWorkspace(tokens, d))
			}
			for _, vocab := range []int{1, 77, 5000, 151936} {
				loss := []ir.Type{x, matrix(vocab, d)}
				check("linear_cross_entropy", nil, loss, host.LinearCrossEntropyWorkspace(tokens, d, vocab))
				check("linear_cross_entropy_eval", nil, loss, host.LinearCrossEntropyWorkspace(tokens, d, vocab))
			}
			for _, rows := range []int{1, 3} {
				const heads, kv = 6, 2
				qkv := matrix(rows*tokens, (heads+2*kv)*d)
				attrs := ir.Attrs{{Key: "rows", Value: rows}, {Key: "heads", Value: heads}, {Key: "kv_heads", Value: kv}}
				check("attention", attrs, []ir.Type{qkv}, host.AttentionWorkspace(rows, tokens, heads, kv, d))
				check("attention_grad", attrs, []ir.Type{qkv, qkv}, host.AttentionGradWorkspace(rows, tokens, heads, kv, d))
			}
		}
	}
}
