package kernels_test

import (
	"fmt"
	"math"
	"slices"

	"moegen/ir"
)

// updateOps are the operations of the optimizer step.
var updateOps = []deviceOp{
	{op: "adamw", results: []deviceTolerance{updated, updated, updated}, cases: eachPartOf([]int{7, 1000, 4099}, func(x ir.Type, of ir.Replicas) deviceCase {
		own := share(ir.BF16, x, of)
		return deviceCase{in: []operand{normals(1, 1, x), normals(2, 1, own), normals(3, 0.1, own), positive(normals(4, 0.1, own)),
			fill(ir.Fixed(ir.F32, 1), 1, func(int) float64 { return 0.75 }), updateRecord(3)}}
	})},
	{op: "adamw_master", results: []deviceTolerance{bitwise, bitwise, bitwise, bitwise}, cases: exactCases("", 1, 2)},
	{op: "adamw_split", results: []deviceTolerance{bitwise, bitwise, bitwise, bitwise}, cases: exactCases("low", 1, 9)},
	{op: "sum_squares", results: []deviceTolerance{{rel: 0x1p-17, why: "at most 128 additions in a row in float32"}},
		cases: []deviceCase{{name: "1", in: []operand{normals(1, 1, ir.Fixed(ir.BF16, 1)), {}}}, {name: "250", in: []operand{normals(1, 1, ir.Fixed(ir.BF16, 250)), {}}},
			{name: "70001", in: []operand{normals(1, 1, ir.Fixed(ir.BF16, 70001)), {}}}, {name: "after", in: []operand{normals(1, 1, ir.Fixed(ir.BF16, 250)), sumOf(3.25)}}}},
	{op: "pack", results: []deviceTolerance{exact}, cases: []deviceCase{
		{name: "one", attrs: packed(128), in: []operand{normals(1, 1, ir.Fixed(ir.BF16, 5))}},
		{name: "three", attrs: packed(64), in: []operand{normals(1, 1, ir.Fixed(ir.F32, 64)), normals(2, 1, ir.Fixed(ir.F32, 3, 30)), normals(3, 1, ir.Fixed(ir.F32, 1))}},
	}},
	{op: "clip_scale", results: []deviceTolerance{scalar, scalar}, cases: []deviceCase{
		{name: "clipped", in: []operand{stepRecord(false), sumOf(30.5), sumOf(77)}},
		{name: "short", in: []operand{stepRecord(false), sumOf(0.25)}},
		{name: "never", in: []operand{fill(recordType, 1, func(int) float64 { return 0 }), sumOf(30.5), sumOf(77)}},
	}},
}

func packed(unit int) ir.Attrs { return ir.Attrs{{Key: "unit", Value: unit}} }

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

// updateRank is the rank that updates its own part.
const updateRank = 5

// updateRecord is the record of a step of that rank.
func updateRecord(step int) operand {
	record := stepRecord(false)
	record.data[ir.RecordStep], record.data[ir.RecordSeed], record.data[ir.RecordRank] = float64(step), 1<<24-3, updateRank
	return record
}

// eachPartOf returns cases of arrays of so many elements, alone and shared by replicas, so that the own part is a whole one, a short one
// and an empty one.
func eachPartOf(counts []int, of func(x ir.Type, of ir.Replicas) deviceCase) (cases []deviceCase) {
	for _, n := range counts {
		for _, r := range []ir.Replicas{{Parts: 1, Stride: 1}, {Parts: 3, Stride: 4}, {Parts: 2, Stride: 1}, {Parts: 6, Stride: 1}} {
			c := of(ir.Fixed(ir.BF16, n), r)
			c.name += fmt.Sprintf("%d in %d by %d", n, r.Parts, r.Stride)
			c.attrs = append(slices.Clone(c.attrs), r.Attrs()...)
			cases = append(cases, c)
		}
	}
	return cases
}

// share is the type of what a rank keeps for its part of a value.
func share(d ir.DType, x ir.Type, of ir.Replicas) ir.Type {
	return ir.Fixed(d, ir.Share(x.Elements(), of.Parts))
}

func positive(o operand) operand {
	for i, v := range o.data {
		o.data[i] = math.Abs(v)
	}
	return o
}

// exactCases has the operands of optimizers with an exact weight, at these steps; low: with the weight's low bits.
func exactCases(low string, steps ...int) (cases []deviceCase) {
	for _, step := range steps {
		cases = append(cases, eachPartOf([]int{7, 1000, 4099}, func(x ir.Type, of ir.Replicas) deviceCase {
			own := share(ir.F32, x, of)
			c := deviceCase{name: fmt.Sprintf("step %d ", step)}
			exact, moments := normals(3, 1, own), own
			if low != "" {
				moments, c.attrs = share(ir.BF16, x, of), ir.Attrs{{Key: "stream", Value: 1<<32 - 5}}
				exact = fill(share(ir.I16, x, of), own.Elements(), func(i int) float64 { return float64(i*7919%65536 - 32768) })
			}
			c.in = []operand{normals(1, 1, x), normals(2, 1, share(ir.BF16, x, of)), exact, normals(4, 0.1, moments), positive(normals(5, 0.1, moments)),
				fill(ir.Fixed(ir.F32, 1), 1, func(int) float64 { return 0.7 }), updateRecord(step)}
			return c
		})...)
	}
	return cases
}
