package arith

import "encoding/binary"

// Elem is an operand type of the tensor core.
type Elem uint8

const (
	ElemBF16 Elem = iota
	ElemF16
	ElemTF32 // in 32 bits, of which the low 13 are ignored
	ElemE4M3
	ElemE5M2
)

// Bytes is the size of an element.
func (t Elem) Bytes() int {
	switch t {
	case ElemTF32:
		return 4
	case ElemE4M3, ElemE5M2:
		return 1
	}
	return 2
}

// K is the length of the dot products of one instruction: 32 bytes of operand.
func (t Elem) K() int { return 32 / t.Bytes() }

// Operand is one operand of a tensor-core step, decoded: A as [rows][k], B as [columns][k], k of Elem.K elements.
// It may be reused: nothing is allocated when it has held as many rows before.
type Operand struct {
	elem   Elem
	negate uint32  // sign bit to flip, in float32
	groups []group // a row is one group, or two of 16 for the 8-bit types
	per    int     // groups in a row
	top    []int   // by row: the largest exponent; special for rows that hold an infinity or NaN
}

// group is 16 elements, zeros where the type has fewer in a step.
type group struct {
	value [16]float64 // exact
	exp   [4]uint64   // exponents as 16-bit lanes, element k in lane k/4 of word k%4: expBias + exponent, 0 for zero
}

const (
	expBias = 1024 // two zeros, or a zero and any number, add up to less than the sum for any two numbers
	noExp   = -expBias
	special = 1 << 13
)

// Reset prepares for so many rows of type t, all zero. negate flips every sign that is loaded (imm-scale -1).
func (o *Operand) Reset(t Elem, rows int, negate bool) {
	o.elem, o.negate, o.per = t, 0, (t.K()+15)/16
	if negate {
		o.negate = signBit
	}
	if rows*o.per > cap(o.groups) {
		o.groups = make([]group, rows*o.per)
	}
	if rows > cap(o.top) {
		o.top = make([]int, rows)
	}
	o.groups, o.top = o.groups[:rows*o.per], o.top[:rows]
	clear(o.groups)
	for i := range o.top {
		o.top[i] = noExp
	}
}

// Rows is the number of rows.
func (o *Operand) Rows() int { return len(o.top) }

// Load decodes elements k, k+1, … of a row from consecutive little-endian elements. An element is loaded once after Reset.
func (o *Operand) Load(row, k int, b []byte) {
	size, least := o.elem.Bytes(), o.elem.leastExponent()
	for ; len(b) >= size; b, k = b[size:], k+1 {
		f := o.elem.float32(b)
		if f<<1 == 0 {
			continue
		}
		e := max(int(f>>23&255)-127, least)
		if e == 128 {
			e = special
		}
		g := &o.groups[row*o.per+k>>4]
		g.value[k&15] = value(f ^ o.negate)
		g.exp[k&3] |= uint64(expBias+e) << (k >> 2 & 3 * 16)
		o.top[row] = max(o.top[row], e)
	}
}

// LoadWord decodes the elements of a register, the lowest first, as k, k+1, … of a row.
func (o *Operand) LoadWord(row, k int, u uint32) {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], u)
	o.Load(row, k, b[:])
}

// float32 gives the first element of b as float32 bits: exact.
func (t Elem) float32(b []byte) uint32 {
	switch t {
	case ElemBF16:
		return uint32(binary.LittleEndian.Uint16(b)) << 16
	case ElemF16:
		return F32FromF16(binary.LittleEndian.Uint16(b))
	case ElemTF32:
		return binary.LittleEndian.Uint32(b) &^ 0x1FFF
	case ElemE4M3:
		return F32FromF16(E4M3.widen(b[0]))
	}
	return F32FromF16(E5M2.widen(b[0]))
}

// leastExponent is the exponent of the type's subnormals.
func (t Elem) leastExponent() int {
	switch t {
	case ElemBF16, ElemTF32:
		return -126
	case ElemE4M3:
		return -6
	}
	return -14
}
