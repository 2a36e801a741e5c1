package ptx

// SharedBytes sets aside bytes of the block's dynamic shared memory at a multiple of align. Regions follow one another
// in the order of the calls; the block's memory begins at a multiple of 1024.
func (k *Kernel) SharedBytes(bytes, align int) Addr {
	if bytes <= 0 || align <= 0 || align&(align-1) != 0 || align > 1024 {
		k.fail("a region of %d bytes at a multiple of %d; the latter is a power of two up to 1024", bytes, align)
		return Addr{Base: Reg{typ: U32}}
	}
	if k.smem.typ == 0 {
		k.smem = k.Declare(U32, "shared")
		k.smem.power = powerOf(1024)
		k.emit("mov.u32", k.smem.name, "smem")
	}
	at := (k.shared + align - 1) &^ (align - 1)
	k.shared = at + bytes
	return k.smem.At(at)
}

// Lea returns the address as a register.
func (k *Kernel) Lea(at Addr) Reg {
	if at.Off == 0 && k.to.typ == 0 {
		return at.Base
	}
	return k.Add(at.Base, at.Off)
}
