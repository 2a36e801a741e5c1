package kernels_test

import (
	"math"

	"moegen/ir"
)

// updateOps are the operations of the optimizer step.
var updateOps = []deviceOp{
	{op: "adamw", results: []deviceTolerance{updated, updated, updated}, cases: func() (cases []deviceCase) {
		for _, n := range []int{7, 1000, 4099} {
			x := ir.Fixed(ir.BF16, n)
			second := fill(x, n, func(i int) float64 { return math.Abs(normals(4, 0.1, x).data[i]) })
			cases = append(cases, deviceCase{in: []operand{normals(1, 1, x), normals(2, 1, x), normals(3, 0.1, x), second,
				fill(ir.Fixed(ir.F32, 1), 1, func(int) float64 { return 0.75 }), stepRecord(false)}})
		}
		return cases
	}()},
	{op: "sum_squares", results: []deviceTolerance{{rel: 0x1p-17, why: "at most 128 additions in a row in float32"}},
		cases: func() (cases []deviceCase) {
			before := fill(ir.Fixed(ir.F64, 1), 1, func(int) float64 { return 3.25 })
			for _, n := range []int{1, 250, 70001} {
				x := normals(1, 1, ir.Fixed(ir.BF16, n))
				cases = append(cases, deviceCase{name: "first", in: []operand{x, {}}}, deviceCase{name: "after", in: []operand{x, before}})
			}
			return cases
		}()},
	{op: "clip_scale", results: []deviceTolerance{scalar, scalar}, cases: []deviceCase{
		{name: "clipped", in: []operand{stepRecord(false), sumOf(30.5), sumOf(77)}},
		{name: "short", in: []operand{stepRecord(false), sumOf(0.25)}},
		{name: "never", in: []operand{fill(recordType, 1, func(int) float64 { return 0 }), sumOf(30.5), sumOf(77)}},
	}},
}

var updated = deviceTolerance{rel: bf16Rounding, acc: 0x1p-18, why: "a rounding to bf16 of a few operations in float32"}

var scalar = deviceTolerance{rel: 0x1p-22, why: "a few operations in float32"}

var recordType = ir.Fixed(ir.F32, ir.RecordLen)

func sumOf(x float64) operand {
	return fill(ir.Fixed(ir.F64, 1), 1, func(int) float64 { return x })
}
