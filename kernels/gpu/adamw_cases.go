package gpu

import (
	"fmt"
	"maps"
	"math"

	"moegen/ir"
	"moegen/kernels/ptx"
)

var adamWFamily = Family{Name: "adamw", Cases: func() (cases []Case) {
	for _, profile := range []string{"bf16", "split", "master"} {
		d := AdamWDesc{Profile: profile, Of: ir.Replicas{Parts: 1, Stride: 1}}
		cases = append(cases, adamWCase(d, 2501, 3), adamWCase(d, 5, 3), adamWCase(d, 8192, 3), large(adamWCase(d, 1<<28, 3)))
	}
	last, middle := ir.Replicas{Parts: 4, Stride: 2}, ir.Replicas{Parts: 3, Stride: 4} // of which rank 6 is numbers 3 and 1
	return append(cases, adamWCase(AdamWDesc{Profile: "split", Of: last}, 1003, 3), adamWCase(AdamWDesc{Profile: "split", Of: middle}, 1003, 3),
		adamWCase(AdamWDesc{Profile: "master", Of: last}, 1003, 1), adamWCase(AdamWDesc{Profile: "bf16", Of: middle}, 6007, 3))
}}

// adamWRank is the rank whose part is updated.
const adamWRank = 6

// adamWRecord is a step record; but for the moments' rates every number of it must be rounded.
var adamWRecord = map[int]float64{
	ir.RecordLR: 1e-3, ir.RecordBeta1: 0.875, ir.RecordGain1: 0.125, ir.RecordBeta2: 0.96875, ir.RecordGain2: 0.03125,
	ir.RecordEps: 0x1p-20, ir.RecordDecay: 0.1, ir.RecordBias1: 0.3, ir.RecordBias2: 0.07, ir.RecordSeed: 12345, ir.RecordRank: adamWRank,
}

// adamWCase is a step of n weights, of which the operation's own Eval says what becomes of each.
func adamWCase(d AdamWDesc, n, step int) Case {
	const stream, clip = 0xDEADBEEF, 0.7
	d.Rest = n % 8
	record := maps.Clone(adamWRecord)
	record[ir.RecordStep] = float64(step)
	field := func(i int) float64 { return float64(float32(record[i])) }
	low := func(i int) float64 { return float64(int16(mix(uint64(i) + 35))) }
	fill := map[string]func(i int) float64{
		"w": normal(31, 1), "grad": normal(32, 1), "m": normal(33, 0.1), "low": low,
		"v": func(i int) float64 { return math.Abs(normal(34, 0.1)(i)) },
		"exact": func(i int) float64 {
			return float64(math.Float32frombits(math.Float32bits(float32(normal(31, 1)(i))) + uint32(int32(low(i)))))
		},
	}
	c := Case{
		Name:  fmt.Sprintf("%s_%d_step%d", d.name(), n, step),
		Emit:  d.emit,
		Floor: AdamWFloor(d, n),
		Buffers: []Buffer{{"scale", ptx.F32, 1, func(int) float64 { return float64(float32(clip)) }},
			{"record", ptx.F32, ir.RecordLen, field}},
	}
	if step == 1 {
		fill["exact"] = func(int) float64 { return math.NaN() } // of undefined content, if not zero
	}
	var names []string
	for _, a := range d.arrays() {
		names = append(names, a.name)
		b := Buffer{a.name, a.form.elem(), n, fill[a.name]}
		if a.kept {
			b.Len = ir.Share(n, d.Of.Parts)
		}
		c.Buffers = append(c.Buffers, b)
	}
	s := adamWStep(d, n, names, "scale", "record", stream)
	c.Launches = []Launch{s.Launch}
	solve := d.truth(fill, field, float64(float32(clip)), stream, n)
	first, end := d.Of.Own(d.Of.Number(adamWRank), n)
	result := 0
	for _, a := range d.arrays() {
		if !a.written {
			continue
		}
		o := Output{Buffer: a.name, Why: "the operation is defined to the bit"}
		if d.Profile == "bf16" {
			o.Rel, o.Acc, o.Why = bf16Rel, 0x1p-20, "a rounding to bf16 (2^-8) of a few operations in float32 (2^-24 each)"
		}
		r := result
		o.Want = func(i int) (float64, float64, bool) {
			at := i
			if !a.kept {
				at -= first
			}
			if at < 0 || at >= end-first {
				return 0, 0, false
			}
			return solve(at)[r], 4, true
		}
		c.Outputs = append(c.Outputs, o)
		result++
	}
	return c
}

// truth returns what becomes of a weight of the own part, by the operation's Eval on it alone.
func (d AdamWDesc) truth(fill map[string]func(i int) float64, field func(i int) float64, clip float64, stream, n int) func(i int) []float64 {
	op, ok := ir.LookupOp(map[string]string{"bf16": "adamw", "split": "adamw_split", "master": "adamw_master"}[d.Profile])
	if !ok {
		panic("BUG: no operation for profile " + d.Profile)
	}
	attrs := ir.Replicas{Parts: 1, Stride: 1}.Attrs()
	first, _ := d.Of.Own(d.Of.Number(adamWRank), n)
	return rowCache(func(i int) []float64 {
		tensor := func(values ...float64) *ir.Tensor {
			return &ir.Tensor{Type: ir.Fixed(ir.F32, len(values)), Data: values}
		}
		var in, out []*ir.Tensor
		for _, a := range d.arrays() {
			at := i
			if !a.kept {
				at += first
			}
			in = append(in, tensor(fill[a.name](at)))
		}
		record := make([]float64, ir.RecordLen)
		for j := range record {
			record[j] = field(j)
		}
		node := &ir.Node{Op: op, Attrs: attrs}
		if d.Profile == "split" {
			node.Attrs = append(ir.Attrs{{Key: "stream", Value: streamAt(uint32(stream), uint32(i), field)}}, attrs...)
		}
		var values []float64
		for range op.Results {
			out = append(out, tensor(0))
		}
		op.Eval(node, append(in, tensor(clip), tensor(record...)), out)
		for _, t := range out {
			values = append(values, t.Data[0])
		}
		return values
	})
}

// streamAt returns the stream whose random bits at place 0 are those of a stream at another place.
func streamAt(stream, place uint32, field func(i int) float64) int {
	number := func(i int) uint32 { return uint32(field(i)) }
	key := hash(hash(hash(stream+number(ir.RecordRank))+number(ir.RecordSeed)) + number(ir.RecordStep))
	key += hash(place) - hash(0)
	return int(unhash(unhash(unhash(key)-number(ir.RecordStep))-number(ir.RecordSeed)) - number(ir.RecordRank))
}

// hash is that of the operation, unhash its inverse: the same steps backwards, with factors that are inverse modulo 2^32.
func hash(x uint32) uint32 {
	x = (x ^ x>>16) * 0x7FEB352D
	x = (x ^ x>>15) * 0x846CA68B
	return x ^ x>>16
}

func unhash(x uint32) uint32 {
	x = (x ^ x>>16) * 0x43021123
	x = (x ^ x>>15 ^ x>>30) * 0x1D69E2A5
	return x ^ x>>16
}
