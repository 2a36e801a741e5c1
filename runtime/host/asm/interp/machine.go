// Package interp executes functions of the assembler library's intermediate form: the very instructions that are
// printed, registers allocated. Kernels for vector extensions that a machine lacks are thereby tested on it. It knows the
// instructions that the kernels use and reports any other; it reports every access outside of the memory it was
// given, and functions that return with dirty upper halves of the vector registers.
package interp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Address is a place in the memory of a Machine.
type Address uint64

// Machine executes the functions of one file.
type Machine struct {
	functions map[string]*ir.Function
	globals   map[string]Address
	memory    []region

	gp    [16]uint64
	v     [32][64]byte
	k     [8]uint64
	flags flags
	frame Address // of the arguments of the function that runs
}

// region is a stretch of memory, whose bytes are a Go slice's own.
type region struct {
	base  Address
	bytes []byte
}

type flags struct{ zero, sign, carry, overflow bool }

// gap separates regions, so that overruns hit nothing.
const gap = 1 << 20

// New returns a Machine for a compiled file.
func New(f *ir.File) (*Machine, error) {
	m := &Machine{functions: map[string]*ir.Function{}, globals: map[string]Address{}}
	for _, s := range f.Sections {
		switch s := s.(type) {
		case *ir.Function:
			m.functions[s.Name] = s
		case *ir.Global:
			data := make([]byte, s.Size)
			for _, d := range s.Data {
				if err := putConstant(data[d.Offset:], d.Value); err != nil {
					return nil, fmt.Errorf("%s: %w", s.Symbol, err)
				}
			}
			m.globals[s.Symbol.String()] = m.add(data)
		}
	}
	return m, nil
}

func putConstant(dst []byte, c operand.Constant) error {
	bits, err := constant(c)
	if err != nil {
		return err
	}
	for i := range c.Bytes() {
		dst[i] = byte(bits >> (8 * i))
	}
	return nil
}

// constant is the bits of an immediate or datum.
func constant(c operand.Op) (uint64, error) {
	switch c := c.(type) {
	case operand.F32:
		return uint64(math.Float32bits(float32(c))), nil
	case operand.F64:
		return math.Float64bits(float64(c)), nil
	case operand.U8:
		return uint64(c), nil
	case operand.U16:
		return uint64(c), nil
	case operand.U32:
		return uint64(c), nil
	case operand.U64:
		return uint64(c), nil
	case operand.I8:
		return uint64(c), nil
	case operand.I16:
		return uint64(c), nil
	case operand.I32:
		return uint64(c), nil
	case operand.I64:
		return uint64(c), nil
	}
	return 0, fmt.Errorf("no constant: %s", c.Asm())
}

func (m *Machine) add(bytes []byte) Address {
	base := Address(gap)
	if n := len(m.memory); n > 0 {
		last := m.memory[n-1]
		base = (last.base + Address(len(last.bytes)) + 2*gap - 1) / gap * gap
	}
	m.memory = append(m.memory, region{base, bytes})
	return base
}

// Map makes a slice readable and writable and returns where it is; a part of a slice that was mapped before is where it
// is in that slice. An empty slice is at address zero, which is not accessible.
func Map[E float32 | float64 | int32 | int | Address](m *Machine, x []E) Address {
	if len(x) == 0 {
		return 0
	}
	start := unsafe.Pointer(unsafe.SliceData(x))
	for _, r := range m.memory {
		if at := uintptr(start) - uintptr(unsafe.Pointer(&r.bytes[0])); at < uintptr(len(r.bytes)) {
			return r.base + Address(at)
		}
	}
	return m.add(unsafe.Slice((*byte)(start), len(x)*int(unsafe.Sizeof(x[0]))))
}

// at returns n bytes of memory.
func (m *Machine) at(a Address, n int) ([]byte, error) {
	for _, r := range m.memory {
		if a >= r.base && a-r.base < Address(len(r.bytes)) {
			if at := int(a - r.base); at+n <= len(r.bytes) {
				return r.bytes[at : at+n], nil
			}
		}
	}
	return nil, fmt.Errorf("access to %d bytes at %#x, outside of all operands", n, a)
}

// Call runs a function. Arguments are int, bool, float32, Address, and for parameters that are slices or pointers
// slices of float32, float64, int or int32, which are mapped for the call. It returns the function's result, 0 when it has none.
func (m *Machine) Call(name string, args ...any) (float64, error) {
	f := m.functions[name]
	if f == nil {
		return 0, fmt.Errorf("no function %s", name)
	}
	known := len(m.memory)
	defer func() { m.memory = m.memory[:known] }()
	frame := make([]byte, max(8, f.Signature.Bytes()))
	m.frame = m.add(frame)
	for i, arg := range args {
		if err := m.put(frame, f.Signature.Params().At(i), arg); err != nil {
			return 0, fmt.Errorf("%s: argument %d: %w", name, i, err)
		}
	}
	m.scramble()
	if err := m.run(f); err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	result, err := f.Signature.Results().At(0).Resolve()
	if err != nil {
		return 0, nil // nothing returned
	}
	if result.Type.Name() == "float32" {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(frame[result.Addr.Disp:]))), nil
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(frame[result.Addr.Disp:])), nil
}

// scramble fills registers with what no kernel may rely on: all ones, a NaN in every format.
func (m *Machine) scramble() {
	for i := range m.gp {
		m.gp[i] = ^uint64(0)
	}
	for i := range m.v {
		m.v[i] = [64]byte{}
		for j := range 16 {
			m.v[i][j] = 0xff
		}
	}
	for i := range m.k {
		m.k[i] = ^uint64(0)
	}
}

// put stores an argument in the frame.
func (m *Machine) put(frame []byte, param gotypes.Component, arg any) error {
	var address Address
	var length int
	switch arg := arg.(type) {
	case int:
		return scalar(frame, param, uint64(arg))
	case float32:
		return scalar(frame, param, uint64(math.Float32bits(arg)))
	case bool:
		bit := uint64(0)
		if arg {
			bit = 1
		}
		return scalar(frame, param, bit)
	case Address:
		return scalar(frame, param, uint64(arg))
	case []float32:
		address, length = Map(m, arg), len(arg)
	case []float64:
		address, length = Map(m, arg), len(arg)
	case []int:
		address, length = Map(m, arg), len(arg)
	case []int32:
		address, length = Map(m, arg), len(arg)
	default:
		return fmt.Errorf("unsupported type %T", arg)
	}
	if _, err := param.Base().Resolve(); err != nil {
		return scalar(frame, param, uint64(address)) // a pointer
	}
	return errors.Join(scalar(frame, param.Base(), uint64(address)), scalar(frame, param.Len(), uint64(length)), scalar(frame, param.Cap(), uint64(length)))
}

// scalar stores a value of up to eight bytes.
func scalar(frame []byte, param gotypes.Component, bits uint64) error {
	b, err := param.Resolve()
	if err != nil {
		return err
	}
	for i := range gotypes.Sizes.Sizeof(b.Type) {
		frame[int64(b.Addr.Disp)+i] = byte(bits >> (8 * i))
	}
	return nil
}

// address is the effective address of a memory operand.
func (m *Machine) address(x operand.Mem) (Address, error) {
	if x.Base == reg.FramePointer {
		return m.frame + Address(x.Disp), nil
	}
	a := Address(x.Disp)
	switch {
	case x.Base == reg.StaticBase:
		base, ok := m.globals[x.Symbol.String()]
		if !ok {
			return 0, fmt.Errorf("no data %s", x.Symbol)
		}
		a += base
	case x.Base != nil:
		a += Address(m.gp[x.Base.ID().Index()])
	}
	if x.Index != nil {
		a += Address(m.gp[x.Index.ID().Index()]) * Address(x.Scale)
	}
	return a, nil
}

// run executes a function from its first instruction to RET.
func (m *Machine) run(f *ir.Function) error {
	labels := map[ir.Label]int{}
	for i, n := range f.Nodes {
		if l, ok := n.(ir.Label); ok {
			labels[l] = i
		}
	}
	const most = 100_000_000 // instructions: no test needs as many
	for i, count := 0, 0; ; i, count = i+1, count+1 {
		if i >= len(f.Nodes) || count > most {
			return errors.New("does not return")
		}
		in, ok := f.Nodes[i].(*ir.Instruction)
		if !ok {
			continue
		}
		if in.Opcode == "RET" {
			return m.clean()
		}
		var err error
		if in.IsBranch {
			var taken bool
			if taken, err = m.taken(in.Opcode); taken {
				i = labels[*in.TargetLabel()]
			}
		} else {
			err = m.execute(in)
		}
		if err != nil {
			return fmt.Errorf("node %d, %s %v: %w", i, in.OpcodeWithSuffixes(), in.Operands, err)
		}
	}
}

// clean reports registers whose upper part would slow down the code that runs next.
func (m *Machine) clean() error {
	for i := range 16 {
		for _, b := range m.v[i][16:] {
			if b != 0 {
				return fmt.Errorf("returns with a dirty upper half of vector register %d: VZEROUPPER is missing", i)
			}
		}
	}
	return nil
}

// taken tells whether a jump is taken.
func (m *Machine) taken(opcode string) (bool, error) {
	f := m.flags
	switch opcode {
	case "JMP":
		return true, nil
	case "JE", "JEQ", "JZ":
		return f.zero, nil
	case "JNE", "JNZ":
		return !f.zero, nil
	case "JL", "JLT":
		return f.sign != f.overflow, nil
	case "JGE":
		return f.sign == f.overflow, nil
	case "JLE":
		return f.zero || f.sign != f.overflow, nil
	case "JG", "JGT":
		return !f.zero && f.sign == f.overflow, nil
	case "JB", "JCS", "JLO":
		return f.carry, nil
	case "JAE", "JCC", "JHS":
		return !f.carry, nil
	}
	return false, errors.New("unknown jump")
}
