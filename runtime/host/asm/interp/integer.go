package interp

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"strings"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// execute runs one instruction that does not jump.
func (m *Machine) execute(in *ir.Instruction) error {
	if strings.HasPrefix(in.Opcode, "V") {
		return m.vector(in)
	}
	ops := in.Operands
	switch in.Opcode {
	case "PAUSE", "PREFETCHT0", "PREFETCHT1":
		return nil
	case "LEAQ":
		a, err := m.address(ops[0].(operand.Mem))
		if err != nil {
			return err
		}
		return m.store(ops[1], 8, uint64(a))
	case "MOVQ", "MOVL":
		size := 8
		if in.Opcode == "MOVL" {
			size = 4
		}
		x, err := m.load(ops[0], size)
		if err != nil {
			return err
		}
		return m.store(ops[1], size, x)
	case "CMPB":
		return m.arithmetic("CMP", ops[0], ops[1], 1)
	case "TESTQ", "CMPQ", "ADDQ", "SUBQ", "XORQ", "ANDQ", "SHLQ", "SHRQ":
		return m.arithmetic(strings.TrimSuffix(in.Opcode, "Q"), ops[0], ops[1], 8)
	case "DECQ":
		return m.arithmetic("SUB", operand.Imm(1), ops[0], 8)
	case "INCQ":
		return m.arithmetic("ADD", operand.Imm(1), ops[0], 8)
	}
	return errors.New("unknown instruction")
}

// arithmetic runs b = b op a and sets flags; CMP compares a with b and stores nothing.
func (m *Machine) arithmetic(op string, a, b operand.Op, size int) error {
	x, err := m.load(a, size)
	if err != nil {
		return err
	}
	y, err := m.load(b, size)
	if err != nil {
		return err
	}
	if op == "CMP" {
		x, y = y, x // flags of a − b
	}
	shift := 64 - 8*size
	x, y = x<<shift, y<<shift
	var r uint64
	f := flags{}
	switch op {
	case "ADD":
		var carry uint64
		r, carry = bits.Add64(y, x, 0)
		f.carry, f.overflow = carry != 0, int64((r^x)&(r^y)) < 0
	case "SUB", "CMP":
		var borrow uint64
		r, borrow = bits.Sub64(y, x, 0)
		f.carry, f.overflow = borrow != 0, int64((y^x)&(y^r)) < 0
	case "XOR":
		r = y ^ x
	case "AND", "TEST":
		r = y & x
	case "SHL":
		r = y << x
	case "SHR":
		r = y >> x
	}
	f.zero, f.sign = r == 0, int64(r) < 0
	m.flags = f
	if op == "CMP" || op == "TEST" {
		return nil
	}
	return m.store(b, size, r>>shift)
}

// load reads a general register, memory or an immediate, which is sign-extended.
func (m *Machine) load(x operand.Op, size int) (uint64, error) {
	switch x := x.(type) {
	case reg.Register:
		return m.gp[x.ID().Index()] & (^uint64(0) >> (64 - 8*size)), nil
	case operand.Mem:
		a, err := m.address(x)
		if err != nil {
			return 0, err
		}
		b, err := m.at(a, size)
		if err != nil {
			return 0, err
		}
		var word [8]byte
		copy(word[:], b)
		return binary.LittleEndian.Uint64(word[:]), nil
	case operand.U32:
		return uint64(int64(int32(x))), nil
	}
	return constant(x)
}

// store writes a general register, whose upper half a 32-bit result clears, or memory.
func (m *Machine) store(x operand.Op, size int, value uint64) error {
	if r, ok := x.(reg.Register); ok {
		m.gp[r.ID().Index()] = value
		return nil
	}
	a, err := m.address(x.(operand.Mem))
	if err != nil {
		return err
	}
	b, err := m.at(a, size)
	if err != nil {
		return err
	}
	for i := range b {
		b[i] = byte(value >> (8 * i))
	}
	return nil
}
