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
			second := normals(4, 0.1, x)
			for i, v := range second.data {
				second.data[i] = math.Abs(v)
			}
			cases = append(cases, deviceCase{in: []operand{normals(1, 1, x), normals(2, 1, x), normals(3, 0.1, x), second,
				fill(ir.Fixed(ir.F32, 1), 1, func(int) float64 { return 0.75 }), stepRecord(false)}, attrs: alone})
		}
		return cases
	}()},
	{op: "adamw_master", results: []deviceTolerance{bitwise, bitwise, bitwise, bitwise}, cases: exactCases("", 1, 2)},
	{op: "adamw_split", results: []deviceTolerance{bitwise, bitwise, bitwise, bitwise}, cases: exactCases("low", 1, 9)},
	{op: "sum_squares", results: []deviceTolerance{{rel: 0x1p-17, why: "at most 128 additions in a row in float32"}},
		cases: func() (cases []deviceCase) {
			before := fill(ir.Fixed(ir.F64, 1), 1, func(int) float64 { return 3.25 })
			for _, n := range []int{1, 250, 70001} {
				x := normals(1, 1, ir.Fixed(ir.BF16, n))
				cases = append(cases, deviceCase{name: "first", attrs: alone, in: []operand{x, {}, {}}},
					deviceCase{name: "after", attrs: alone, in: []operand{x, before, {}}})
			}
			return cases
		}()},
	{op: "clip_scale", results: []deviceTolerance{scalar, scalar}, cases: []deviceCase{
		{name: "clipped", in: []operand{stepRecord(false), sumOf(30.5), sumOf(77)}},
		{name: "short", in: []operand{stepRecord(false), sumOf(0.25)}},
		{name: "never", in: []operand{fill(recordType, 1, func(int) float64 { return 0 }), sumOf(30.5), sumOf(77)}},
	}},
}

// alone says that no other rank holds what a rank holds.
var alone = ir.Replicas{Parts: 1, Stride: 1}.Attrs()

var updated = deviceTolerance{rel: bf16Rounding, acc: 0x1p-18, why: "a rounding to bf16 of a few operations in float32"}

var scalar = deviceTolerance{rel: 0x1p-22, why: "a few operations in float32"}

var recordType = ir.Fixed(ir.F32, ir.RecordLen)

func sumOf(x float64) operand {
	return fill(ir.Fixed(ir.F64, 1), 1, func(int) float64 { return x })
}

// bitwise is the tolerance of operations that are defined to the bit.
var bitwise = deviceTolerance{why: "the same arithmetic"}

// exactCases has the operands of optimizers with an exact weight, at these steps; low: with the weight's low bits.
func exactCases(low string, steps ...int) (cases []deviceCase) {
	for _, n := range []int{7, 1000, 4099} {
		for _, step := range steps {
			x, f := ir.Fixed(ir.BF16, n), ir.Fixed(ir.F32, n)
			exact, moments := normals(3, 1, f), f
			attrs := alone
			if low != "" {
				moments, attrs = x, append(ir.Attrs{{Key: "stream", Value: 1<<32 - 5}}, alone...)
				exact = fill(ir.Fixed(ir.I16, n), n, func(i int) float64 { return float64(i*7919%65536 - 32768) })
			}
			second := normals(5, 0.1, moments)
			for i, v := range second.data {
				second.data[i] = math.Abs(v)
			}
			record := stepRecord(false)
			record.data[ir.RecordStep], record.data[ir.RecordSeed], record.data[ir.RecordRank] = float64(step), 1<<24-3, 5
			cases = append(cases, deviceCase{attrs: attrs, in: []operand{normals(1, 1, x), normals(2, 1, x), exact, normals(4, 0.1, moments), second,
				fill(ir.Fixed(ir.F32, 1), 1, func(int) float64 { return 0.7 }), record}})
		}
	}
	return cases
}
