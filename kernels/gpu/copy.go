package gpu

import (
	"fmt"

	"moegen/kernels/ptx"
)

// copyLoads is how many 16-byte pieces a thread of CopyCase's kernel has under way.
const copyLoads = 4

// CopyBlock is what a block of CopyCase's kernel copies, in bytes.
const CopyBlock = 16 * copyLoads * streamThreads

// CopyCase is a plain copy of bytes, a multiple of CopyBlock, what times of kernels that stream are held against: every byte read and
// written once, launches that overlap, nothing to look up.
func CopyCase(bytes int) Case {
	const name = "copy"
	x := normal(96, 1)
	return Case{
		Name: fmt.Sprintf("copy_%d", bytes),
		Emit: func(m *ptx.Module) {
			k := m.Kernel(name, streamThreads)
			from, to := k.ParamPtr("from"), k.ParamPtr("to")
			k.WaitPrerequisites()
			k.LaunchDependents()
			at := k.MadWide(k.Read(ptx.CtaIDX), CopyBlock, k.MulWide(k.Read(ptx.TidX), 16))
			from, to = k.Add(from, at), k.Add(to, at)
			var pieces [][]ptx.Reg
			for i := range copyLoads {
				pieces = append(pieces, k.LdVec(ptx.Global, ptx.B32, 4, from.At(16*streamThreads*i)))
			}
			for i, v := range pieces {
				k.St(ptx.Global, to.At(16*streamThreads*i), v...)
			}
			k.Exit()
		},
		Buffers:  []Buffer{{"from", ptx.BF16, bytes / 2, x}, {"to", ptx.BF16, bytes / 2, nil}},
		Launches: []Launch{{Entry: name, Grid: bytes / CopyBlock, Dependent: true, Args: []Arg{Place("from"), Place("to")}}},
		Outputs:  []Output{{Buffer: "to", Why: "copied", Want: func(i int) (float64, float64, bool) { return x(i), 0, true }}},
		Floor:    Floor{Bytes: 2 * int64(bytes)},
	}
}

var copyFamily = Family{Name: "copy", Cases: func() []Case {
	return []Case{CopyCase(3 * CopyBlock), large(CopyCase(1024 * CopyBlock)), large(CopyCase(1 << 30))}
}}
