package golden

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

// The rule, by element type. A program may err factor times as much as Transformers does itself, and where
// Transformers was lucky, floor. A norm over n elements is itself uncertain, so limits grow by the share
// few/√n. A tensor counts as having at least the share small of the root mean square of its group: an expert
// that no token reached has gradient zero, of which no error is a share. In bfloat16 rounding may send the
// share close of a layer's tokens to other experts, and if it does, all other limits are astray times as wide:
// an expert sees but a few tokens here.
var (
	factor = map[string]float64{"f32": 2, "bf16": 1.5}
	floor  = map[string]float64{"f32": 1e-6, "bf16": 1e-3}
	stray  = map[string]float64{"f32": 0, "bf16": 0.02}
)

const (
	astray = 5.0
	few    = 4.0
	small  = 1e-3
)

// Row is the comparison of one tensor. Errors are relative to the root mean square of the reference; of
// indices Error is the share of tokens that differ.
type Row struct {
	Share   float64 // of the limit that is used; infinite for a tensor that is missing, misshapen or not finite
	Name    string
	Error   float64 // root mean square of the difference
	Limit   float64
	Largest float64 // largest difference of an element
}

// Report is the comparison of all tensors that were asked for, worst first.
type Report struct {
	DType string
	Rows  []Row
}

// OK reports whether something was compared and all of it is within its limits.
func (r Report) OK() bool { return len(r.Rows) > 0 && r.Rows[0].Share <= 1 }

// String shows the worst tensors and a verdict.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%14s %9s %9s %9s  tensor\n", "share of limit", "error", "limit", "max error")
	failed := 0
	for i, row := range r.Rows {
		if row.Share > 1 {
			failed++
		}
		if i < 12 {
			fmt.Fprintf(&b, "%14.2f %9.2e %9.2e %9.2e  %s\n", row.Share, row.Error, row.Limit, row.Largest, row.Name)
		}
	}
	fmt.Fprintf(&b, "%d of %d tensors within their limits (%s)", len(r.Rows)-failed, len(r.Rows), r.DType)
	return b.String()
}

// Compare holds what a program computed against the reference, by the names of Expected. dtype is f32 or bf16.
// only are the groups that are compared (logits, loss, grad, param20, hidden, ...), all when none is named. An
// expected tensor that out lacks is a failure.
func Compare(c *Case, out map[string]Tensor, dtype string, only ...string) Report {
	limit, rms := c.limits(dtype), c.groups()
	report, strayed := Report{DType: dtype}, false
	for name, want := range c.Expected {
		err, largest := math.Inf(1), math.Inf(1)
		if got, ok := out[name]; ok && slices.Equal(got.Shape, want.Shape) {
			err, largest = difference(name, got.Data, want, rms[group(name)])
		}
		strayed = strayed || group(name) == "topk" && 0 < err && err <= limit[name]
		if len(only) == 0 || slices.Contains(only, group(name)) {
			report.Rows = append(report.Rows, Row{Name: name, Error: err, Limit: limit[name], Largest: largest})
		}
	}
	for i := range report.Rows {
		row := &report.Rows[i]
		if strayed && group(row.Name) != "topk" {
			row.Limit *= astray
		}
		if row.Error != 0 {
			row.Share = row.Error / row.Limit // infinite where the limit is 0
		}
	}
	slices.SortFunc(report.Rows, func(a, b Row) int {
		if a.Share != b.Share {
			if a.Share > b.Share {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return report
}

// group is logits, loss, aux_loss, losses, grad_norms, grad, param20, hidden, router or topk.
func group(name string) string {
	first, _, _ := strings.Cut(name, ".")
	return first
}

var number = regexp.MustCompile(`\.\d+`)

// family names the tensors of one kind: the same in other layers and of other experts.
func family(name string) string { return number.ReplaceAllString(name, ".*") }

// limits is the limit of each tensor, from Transformers' own error there, or that of its family if larger.
func (c *Case) limits(dtype string) map[string]float64 {
	squares, members := map[string]float64{}, map[string]float64{}
	for name, e := range c.errors {
		squares[family(name)] += e[dtype][0] * e[dtype][0]
		members[family(name)]++
	}
	limit := map[string]float64{}
	for name, e := range c.errors {
		own := math.Max(e[dtype][0], math.Sqrt(squares[family(name)]/members[family(name)]))
		elements := float64(len(c.Expected[name].Data))
		limit[name] = (factor[dtype]*own + floor[dtype]) * (1 + few/math.Sqrt(elements))
		if group(name) == "topk" {
			limit[name] = stray[dtype]
		}
	}
	return limit
}

// groups is the root mean square over all elements of each group.
func (c *Case) groups() map[string]float64 {
	squares, elements := map[string]float64{}, map[string]float64{}
	for name, t := range c.Expected {
		for _, x := range t.Data {
			squares[group(name)] += x * x
		}
		elements[group(name)] += float64(len(t.Data))
	}
	for g := range squares {
		squares[g] = math.Sqrt(squares[g] / elements[g])
	}
	return squares
}

// difference returns the root mean square and the largest of the differences, relative to the reference.
func difference(name string, got []float64, want Tensor, groupRMS float64) (rms, largest float64) {
	if group(name) == "topk" {
		wrong := misrouted(got, want)
		return wrong, wrong
	}
	squares, reference := 0.0, 0.0
	for i, x := range want.Data {
		d := math.Abs(got[i] - x)
		if math.IsNaN(d) || math.IsInf(d, 0) {
			return math.Inf(1), math.Inf(1)
		}
		squares, reference = squares+d*d, reference+x*x
		largest = math.Max(largest, d)
	}
	n := float64(len(want.Data))
	scale := math.Max(math.Max(math.Sqrt(reference/n), small*groupRMS), 1e-300)
	return math.Sqrt(squares/n) / scale, largest / scale
}

// misrouted is the share of tokens that go to other experts.
func misrouted(got []float64, want Tensor) float64 {
	k := want.Shape[len(want.Shape)-1]
	wrong := 0
	for t := 0; t < len(want.Data); t += k {
		if !slices.Equal(got[t:t+k], want.Data[t:t+k]) {
			wrong++
		}
	}
	return float64(wrong*k) / float64(len(want.Data))
}
