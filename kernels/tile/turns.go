package tile

import "moegen/kernels/ptx"

// Turns lets warpgroups of different blocks add accumulators into one sum in float32, in an order that does not depend on
// who comes first: a flag counts who has added, and everybody waits for his turn. Sums lie in global memory in the order
// of the registers, 16 bytes a thread, so nothing is rearranged. Flags are zero before a launch and after it.
//
// Blocks must take their work in an order in which everybody waits for earlier work only.
type Turns struct {
	Flags ptx.Reg // u32 for every sum
	Sums  ptx.Reg // float32, 128 threads' accumulators for every sum

	Thread  ptx.Reg // in the warpgroup
	Leads   ptx.Reg // whether it is the one that minds the flag
	Barrier ptx.Reg // of the warpgroup
}

// Add adds acc to a sum as number turn, 0 first; the last has the whole sum in acc and runs write.
// Who is first and last touches no memory here.
func (t Turns) Add(k *ptx.Kernel, sum, turn, last ptx.Reg, acc []ptx.Reg, write func()) {
	flag := k.MadWide(sum, 4, t.Flags)
	mine := k.Add(k.MadWide(sum, 4*128*len(acc), t.Sums), k.MulWide(t.Thread, 16))
	others := k.Ne(turn, 0)
	k.If(others, func() {
		k.If(t.Leads, func() {
			k.Loop(func(l ptx.Loop) {
				added := k.Ld(ptx.Access{Space: ptx.GlobalSpace, Order: ptx.Acquire, Scope: ptx.GPU}, ptx.U32, flag.At(0))
				l.Break(k.Eq(added, turn))
			})
		})
		k.SyncNamed(t.Barrier, 128)
		for n := 0; n < len(acc); n += 4 {
			for i, v := range k.LdVec(ptx.Global, ptx.F32, 4, mine.At(n/4*2048)) {
				k.To(acc[n+i]).Add(v, acc[n+i])
			}
		}
	})
	k.IfElse(last, func() {
		write()
		k.Comment("zero for the next launch; who adds alone has no flag")
		k.When(k.And(t.Leads, others)).St(ptx.Global, flag.At(0), k.Const(ptx.U32, 0))
	}, func() {
		for n := 0; n < len(acc); n += 4 {
			k.St(ptx.Global, mine.At(n/4*2048), acc[n:n+4]...)
		}
		k.SyncNamed(t.Barrier, 128)
		k.When(t.Leads).St(ptx.Access{Space: ptx.GlobalSpace, Order: ptx.Release, Scope: ptx.GPU}, flag.At(0), k.Add(turn, 1))
	})
}
