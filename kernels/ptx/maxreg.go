package ptx

import "fmt"

// Registers of a multiprocessor.
const registerFile = 65536

// maxRegs is what the warpgroups of a kernel have asked for.
type maxRegs struct {
	warpgroups int // that have asked
	sum        int // registers a thread, added over them
	largest    int
}

// DropRegisters gives registers back, down to n a thread; all warps of the warpgroup execute it. warpgroups is how many
// do in a block.
func (k *Kernel) DropRegisters(n, warpgroups int) { k.setMaxReg("dec", n, warpgroups) }

// TakeRegisters waits for registers up to n a thread; all warps of the warpgroup execute it. warpgroups is how many do
// in a block.
func (k *Kernel) TakeRegisters(n, warpgroups int) { k.setMaxReg("inc", n, warpgroups) }

// NoSpills gives the kernel as many registers as it needs: by itself ptxas spills a few where one block more would then
// fit a multiprocessor.
func (k *Kernel) NoSpills() { k.noSpills = true }

func (k *Kernel) setMaxReg(direction string, n, warpgroups int) {
	if n < 24 || n > 256 || n%8 != 0 {
		k.fail("%d registers a thread; a multiple of 8 from 24 to 256", n)
	}
	if k.threads%128 != 0 {
		k.fail("a block of %d threads moves registers: it must be whole warpgroups of 128, or it hangs", k.threads)
	}
	k.maxReg.warpgroups += warpgroups
	k.maxReg.sum += n * warpgroups
	if direction == "inc" {
		k.maxReg.largest = max(k.maxReg.largest, n)
	}
	k.emit("setmaxnreg."+direction+".sync.aligned.u32", fmt.Sprint(n))
}

// checkMaxRegs holds the sum against what the block is launched with: ptxas gives a thread as many registers as the
// file has for it, but no more than the largest taken.
func (k *Kernel) checkMaxRegs() {
	m := k.maxReg
	if m.warpgroups == 0 || k.err != nil {
		return
	}
	if m.warpgroups*128 != k.threads {
		k.fail("%d warpgroups set their registers in a block of %d; each must", m.warpgroups, k.threads/128)
		return
	}
	launched := min(m.largest, registerFile/k.threads&^7)
	if m.sum > launched*m.warpgroups {
		k.fail("the warpgroups take %d registers a thread in all; %d of %d are launched", m.sum, m.warpgroups, launched)
	}
}
