package arith

import (
	"encoding/binary"
	"math"
)

// Elem is an operand type of the tensor core.
type Elem uint8

const (
	ElemBF16 Elem = iota
	ElemF16
	ElemTF32 // in 32 bits, of which the low 13 are ignored
	ElemE4M3
	ElemE5M2
)

// elems gives, for each Elem: bytes of an element, fraction bits that terms keep under the largest exponent, fraction
// bits of the result in float32.
var elems = [...]struct{ bytes, kept, result int }{
	ElemBF16: {2, 25, 23}, ElemF16: {2, 25, 23}, ElemTF32: {4, 25, 23}, ElemE4M3: {1, 13, 13}, ElemE5M2: {1, 13, 13},
}

// Bytes is the size of an element.
func (t Elem) Bytes() int { return elems[t].bytes }

// K is the length of the dot products of one instruction: 32 bytes of operand.
func (t Elem) K() int { return 32 / elems[t].bytes }

// Operand is one operand of a tensor-core step, decoded: A as [rows][k], B as [columns][k], k of Elem.K elements.
// It may be reused; nothing is allocated when it has held as many rows before.
type Operand struct {
	elem   Elem
	k      int
	negate uint32    // sign bit to flip, in float32
	values []float64 // exact
	exps   []int16   // exponents, significands not normalised; none for zeros
	top    []int16   // by row: the largest exponent; special for rows that hold an infinity or NaN
}

const (
	none    = math.MinInt16 / 2 // sums of two stay below every exponent
	special = math.MaxInt16
	noneMin = -133 // the smallest exponent under which terms are aligned
)

// Reset prepares for so many rows of type t; all must be loaded. negate flips every sign (imm-scale -1).
func (o *Operand) Reset(t Elem, rows int, negate bool) {
	o.elem, o.k, o.negate = t, t.K(), 0
	if negate {
		o.negate = signBit
	}
	if n := rows * o.k; n > cap(o.values) {
		o.values, o.exps = make([]float64, n), make([]int16, n)
	}
	if rows > cap(o.top) {
		o.top = make([]int16, rows)
	}
	o.values, o.exps, o.top = o.values[:rows*o.k], o.exps[:rows*o.k], o.top[:rows]
	for i := range o.top {
		o.top[i] = none
	}
}

// Rows is the number of rows.
func (o *Operand) Rows() int { return len(o.top) }

// Load decodes elements k, k+1, … of a row from consecutive little-endian elements.
func (o *Operand) Load(row, k int, b []byte) {
	switch o.elem.Bytes() {
	case 4:
		for ; len(b) >= 4; b, k = b[4:], k+1 {
			o.set(row, k, binary.LittleEndian.Uint32(b))
		}
	case 2:
		for ; len(b) >= 2; b, k = b[2:], k+1 {
			o.set(row, k, uint32(binary.LittleEndian.Uint16(b)))
		}
	default:
		for _, x := range b {
			o.set(row, k, uint32(x))
			k++
		}
	}
}

// LoadWord decodes the elements of a register, the lowest first, as k, k+1, … of a row.
func (o *Operand) LoadWord(row, k int, u uint32) {
	switch o.elem.Bytes() {
	case 4:
		o.set(row, k, u)
	case 2:
		o.set(row, k, u&0xFFFF)
		o.set(row, k+1, u>>16)
	default:
		for i := range 4 {
			o.set(row, k+i, u>>(8*i)&0xFF)
		}
	}
}

func (o *Operand) set(row, k int, u uint32) {
	f, least := u&^0x1FFF, -126 // the same value as float32; exponent of the type's subnormals
	switch o.elem {
	case ElemBF16:
		f = u << 16
	case ElemF16:
		f, least = F32FromF16(uint16(u)), -14
	case ElemE4M3:
		f, least = F32FromF16(E4M3.widen(uint8(u))), -6
	case ElemE5M2:
		f, least = F32FromF16(E5M2.widen(uint8(u))), -14
	}
	e := none
	switch field := int(f >> 23 & 255); {
	case field == 255:
		e = special
	case f<<1 != 0:
		e = max(field-127, least)
	}
	at := row*o.k + k
	o.values[at] = value(f ^ o.negate)
	o.exps[at] = int16(e)
	o.top[row] = max(o.top[row], int16(e))
}
