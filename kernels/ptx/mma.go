package ptx

import (
	"fmt"
	"strings"
)

// Mma is one step of a warp's tensor core, acc += a·b, of 16 rows, 8 columns and 16 values of k, for BF16 or F16, in
// place. With g = lane/4 and q = lane mod 4: register i of a has row g + 8·(i mod 2) and values 2q + 8·(i/2) and the next;
// register i of b values 2q + 8i and the next of column g; acc row g + 8·(i/2), column 2q + i mod 2.
func (k *Kernel) Mma(t Type, acc [4]Reg, a [4]Reg, b [2]Reg) {
	if t != BF16 && t != F16 {
		k.fail("no mma of %s", t)
	}
	d := k.list(F32, acc[:])
	k.emit(fmt.Sprintf("mma.sync.aligned.m16n8k16.row.col.f32.%s.%s.f32", t, t), d, k.list(B32, a[:]), k.list(B32, b[:]), d)
}

// MmaTF32 is Mma of 8 values of k in float32 whose low 13 bits are ignored. Register i of a has row g + 8·(i mod 2), value
// q + 4·(i/2); register i of b value q + 4i of column g.
func (k *Kernel) MmaTF32(acc [4]Reg, a [4]Reg, b [2]Reg) {
	d := k.list(F32, acc[:])
	k.emit("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", d, k.list(B32, a[:]), k.list(B32, b[:]), d)
}

// LdMatrix reads n (1, 2 or 4) matrices of 8 rows of 8 16-bit elements from shared memory. Lane 8m + r gives the address
// of row r of matrix m; register m of a lane holds elements 2q and 2q+1 of row g of matrix m, or if transposed rows 2q
// and 2q+1 of column g.
func (k *Kernel) LdMatrix(n int, transposed bool, row Addr) []Reg {
	k.composite("LdMatrix")
	out := make([]Reg, n)
	for i := range out {
		out[i] = k.fresh(B32, 0)
	}
	k.emit("ldmatrix.sync.aligned.m8n8."+k.matrices(n, transposed)+".shared.b16", k.list(B32, out), k.mem(row, 32))
	return out
}

// StMatrix is the inverse of LdMatrix.
func (k *Kernel) StMatrix(transposed bool, row Addr, values ...Reg) {
	k.emit("stmatrix.sync.aligned.m8n8."+k.matrices(len(values), transposed)+".shared.b16", k.mem(row, 32), k.list(B32, values))
}

func (k *Kernel) matrices(n int, transposed bool) string {
	if n != 1 && n != 2 && n != 4 {
		k.fail("%d matrices; 1, 2 or 4", n)
	}
	if transposed {
		return fmt.Sprintf("x%d.trans", n)
	}
	return fmt.Sprintf("x%d", n)
}

// Transpose8 transposes a matrix of 8 rows of 8 16-bit elements that is spread over the warp as LdMatrix leaves it.
func (k *Kernel) Transpose8(a Reg) Reg {
	t := k.typeOf(a)
	return k.define(B32, 0, "movmatrix.sync.aligned.m8n8.trans.b16", k.src(B32, a)).untyped(t)
}

func (k *Kernel) list(t Type, regs []Reg) string {
	names := make([]string, len(regs))
	for i, r := range regs {
		names[i] = k.src(t, r)
	}
	return "{" + strings.Join(names, ", ") + "}"
}
