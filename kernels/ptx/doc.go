// Package ptx writes GPU kernels as PTX text.
//
// A Module holds kernels; a Kernel is written by calling one method an instruction group:
//
//	m := ptx.NewModule()
//	k := m.Kernel("axpy", 256)
//	x, y, a, n := k.ParamPtr("x"), k.ParamPtr("y"), k.ParamF32("a"), k.ParamU32("n")
//	i := k.Mad(k.Read(ptx.CtaIDX), 256, k.Read(ptx.TidX))
//	k.If(k.Lt(i, n), func() {
//		at := k.MulWide(i, 4)
//		px, py := k.Add(x, at).At(0), k.Add(y, at).At(0)
//		k.Comment("y = a x + y")
//		k.St(ptx.Global, py, k.Fma(a, k.Ld(ptx.Global, ptx.F32, px), k.Ld(ptx.Global, ptx.F32, py)))
//	})
//	k.Exit()
//	text, err := m.Text()
//
// Registers are virtual and typed: a method returns a fresh one, or writes the one that To named. Operands are
// registers or Go constants. When and Unless guard the next instruction with a predicate. If, For and Loop are the
// kernel's control flow; a Go loop around the same calls unrolls.
//
// The first mistake of a kernel (a type, an alignment, a rule of the hardware) is kept with the file and line that
// made it, later calls do nothing, and Text returns it. Printing is deterministic and ASCII.
//
// What the hardware punishes without a word of the assembler cannot be written here: the address of a tensor map is
// always converted with cvta.param; start coordinates of tensor copies must be provably multiples of 16 bytes and
// their shared addresses of 128 (Reg carries the power of two that divides it); a kernel that moves registers between
// warpgroups has whole ones and asks for no more than there are; accumulators of wgmma begin as a mov of zero; a
// remote arrive carries no .release.cluster; shared memory is dynamic; arithmetic on floats names its rounding.
package ptx
