package interp

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A lanewise instruction computes each element of its destination from the elements at the same place of its sources.
// Sources come in the order of Go's assembler, the reverse of the manuals'; fused instructions have the destination
// as their last source. Elements are bits: 32 of them in map floats, 64 in doubles.
type lanewise func(x []uint64) uint64

func f32(x uint64) float32         { return math.Float32frombits(uint32(x)) }
func f64(x uint64) float64         { return math.Float64frombits(x) }
func bits32(x float32) uint64      { return uint64(math.Float32bits(x)) }
func mask32(set bool) uint64       { return map[bool]uint64{true: 0xffffffff}[set] }
func fused(a, b, c uint64) uint64  { return bits32(FMA(f32(a), f32(b), f32(c))) }
func negated(x uint64) uint64      { return x ^ 1<<31 }
func larger(a, b float32) float32  { return map[bool]float32{true: b, false: a}[b > a] } // second of the manual when unordered or equal
func smaller(a, b float32) float32 { return map[bool]float32{true: b, false: a}[b < a] }

var floats = map[string]lanewise{
	"VADDPS":       func(x []uint64) uint64 { return bits32(f32(x[1]) + f32(x[0])) },
	"VSUBPS":       func(x []uint64) uint64 { return bits32(f32(x[1]) - f32(x[0])) },
	"VMULPS":       func(x []uint64) uint64 { return bits32(f32(x[1]) * f32(x[0])) },
	"VDIVPS":       func(x []uint64) uint64 { return bits32(f32(x[1]) / f32(x[0])) },
	"VMAXPS":       func(x []uint64) uint64 { return bits32(larger(f32(x[0]), f32(x[1]))) },
	"VMINPS":       func(x []uint64) uint64 { return bits32(smaller(f32(x[0]), f32(x[1]))) },
	"VSQRTPS":      func(x []uint64) uint64 { return bits32(float32(math.Sqrt(float64(f32(x[0]))))) }, // exact: 2·24+2 ≤ 53
	"VFMADD231PS":  func(x []uint64) uint64 { return fused(x[0], x[1], x[2]) },
	"VFNMADD231PS": func(x []uint64) uint64 { return fused(negated(x[0]), x[1], x[2]) },
	"VFMADD213PS":  func(x []uint64) uint64 { return fused(x[1], x[2], x[0]) },
	"VFMSUB213PS":  func(x []uint64) uint64 { return fused(x[1], x[2], negated(x[0])) },
	"VFNMADD213PS": func(x []uint64) uint64 { return fused(negated(x[1]), x[2], x[0]) },
	"VANDPS":       func(x []uint64) uint64 { return x[0] & x[1] },
	"VORPS":        func(x []uint64) uint64 { return x[0] | x[1] },
	"VXORPS":       func(x []uint64) uint64 { return x[0] ^ x[1] },
	"VPADDD":       func(x []uint64) uint64 { return uint64(uint32(x[0] + x[1])) },
	"VPCMPGTD":     func(x []uint64) uint64 { return mask32(int32(x[1]) > int32(x[0])) },
	"VBLENDVPS":    func(x []uint64) uint64 { return map[bool]uint64{true: x[1], false: x[2]}[x[0]>>31 != 0] },
	"VMOVUPS":      func(x []uint64) uint64 { return x[0] },
	"VMOVAPS":      func(x []uint64) uint64 { return x[0] },
}

var doubles = map[string]lanewise{
	"VADDPD":      func(x []uint64) uint64 { return math.Float64bits(f64(x[1]) + f64(x[0])) },
	"VMULPD":      func(x []uint64) uint64 { return math.Float64bits(f64(x[1]) * f64(x[0])) },
	"VFMADD231PD": func(x []uint64) uint64 { return math.Float64bits(math.FMA(f64(x[0]), f64(x[1]), f64(x[2]))) },
	"VMOVUPD":     func(x []uint64) uint64 { return x[0] },
}

// readsDestination holds for the instructions whose destination is their last source.
func readsDestination(opcode string) bool {
	return len(opcode) > 4 && (opcode[:4] == "VFMA" || opcode[:4] == "VFNM" || opcode[:4] == "VFMS")
}

// FMA is a·b + c, rounded once. The product of two float32 is exact in float64; their sum with c is rounded to odd there,
// which a second rounding to float32 cannot tell from the exact sum (Boldo and Melquiond, 2008).
func FMA(a, b, c float32) float32 {
	p, q := float64(a)*float64(b), float64(c)
	sum := p + q
	q1 := sum - p
	rest := (p - (sum - q1)) + (q - q1)
	if bits := math.Float64bits(sum); rest != 0 && rest == rest && bits&1 == 0 {
		if (rest > 0) == (sum > 0) {
			bits++
		} else {
			bits--
		}
		sum = math.Float64frombits(bits)
	}
	return float32(sum)
}

// isMask tells whether an operand is an opmask register.
func isMask(x operand.Op) bool {
	r, ok := x.(reg.Register)
	return ok && r.Kind() == reg.KindOpmask
}

// width is the number of bytes of the vectors that an instruction works on: that of its widest register.
func width(ops []operand.Op) int {
	w := 0
	for _, x := range ops {
		if r, ok := x.(reg.Register); ok && r.Kind() == reg.KindVector {
			w = max(w, int(r.Size()))
		}
	}
	return w
}

// vector executes an instruction of the AVX families.
func (m *Machine) vector(in *ir.Instruction) error {
	ops := slices.Clone(in.Operands)
	dst := len(ops) - 1
	if in.Opcode == "VZEROUPPER" {
		for i := range 16 {
			clear(m.v[i][16:])
		}
		return nil
	}
	w := width(ops)
	// An opmask before the destination selects elements; all others keep their value, or become zero.
	active := ^uint64(0)
	if dst > 0 && isMask(ops[dst-1]) && in.Opcode != "VBLENDMPS" {
		active = m.k[ops[dst-1].(reg.Register).ID().Index()]
		ops = slices.Delete(ops, dst-1, dst)
	}
	zeroing := slices.Contains(in.Suffixes, "Z")
	if f, ok := floats[in.Opcode]; ok {
		return m.lanes(in.Opcode, ops, w, 4, active, zeroing, f)
	}
	if f, ok := doubles[in.Opcode]; ok {
		return m.lanes(in.Opcode, ops, w, 8, active, zeroing, f)
	}
	if active != ^uint64(0) {
		return errors.New("this instruction is not known with a mask")
	}
	if in.Opcode == "VMASKMOVPS" {
		mask, err := m.read(ops[1], w, 4, ^uint64(0))
		if err != nil {
			return err
		}
		for i, x := range mask {
			if x>>31 == 0 {
				active &^= 1 << i
			}
		}
		_, loads := ops[0].(operand.Mem)
		return m.lanes("VMOVUPS", []operand.Op{ops[0], ops[2]}, w, 4, active, loads, floats["VMOVUPS"])
	}
	return m.shuffle(in.Opcode, ops, w)
}

// lanes executes a lanewise instruction. Elements that are not active are neither read from nor written to memory.
func (m *Machine) lanes(opcode string, ops []operand.Op, w, size int, active uint64, zeroing bool, f lanewise) error {
	dst := ops[len(ops)-1]
	sources := ops[:len(ops)-1]
	if readsDestination(opcode) {
		sources = ops
	}
	x := make([][]uint64, len(sources))
	for i, s := range sources {
		var err error
		if x[i], err = m.read(s, w, size, active); err != nil {
			return err
		}
	}
	out, args := make([]uint64, w/size), make([]uint64, len(x))
	for lane := range out {
		for i := range x {
			args[i] = x[i][lane]
		}
		out[lane] = f(args)
	}
	if isMask(dst) { // a comparison
		var k uint64
		for lane, v := range out {
			if v != 0 && active>>lane&1 != 0 {
				k |= 1 << lane
			}
		}
		m.k[dst.(reg.Register).ID().Index()] = k
		return nil
	}
	if _, ok := dst.(reg.Register); ok && active != ^uint64(0) {
		old, err := m.read(dst, w, size, ^uint64(0))
		if err != nil {
			return err
		}
		for lane := range out {
			if active>>lane&1 == 0 {
				out[lane] = old[lane]
				if zeroing {
					out[lane] = 0
				}
			}
		}
	}
	return m.write(dst, out, size, active)
}

// read returns w bytes of a register or of memory as elements of the given size.
func (m *Machine) read(x operand.Op, w, size int, active uint64) ([]uint64, error) {
	out := make([]uint64, w/size)
	mem, ok := x.(operand.Mem)
	if !ok {
		v := m.v[x.(reg.Register).ID().Index()][:]
		for i := range out {
			out[i] = element(v[i*size:], size)
		}
		return out, nil
	}
	a, err := m.address(mem)
	for i := range out {
		if active>>i&1 == 0 || err != nil {
			continue
		}
		var b []byte
		if b, err = m.at(a+Address(i*size), size); err == nil {
			out[i] = element(b, size)
		}
	}
	return out, err
}

func element(b []byte, size int) uint64 {
	if size == 4 {
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// write stores elements in memory, the active ones, or in a register, whose rest becomes zero.
func (m *Machine) write(x operand.Op, values []uint64, size int, active uint64) error {
	put := func(b []byte, v uint64) {
		for i := range size {
			b[i] = byte(v >> (8 * i))
		}
	}
	mem, ok := x.(operand.Mem)
	if !ok {
		v := &m.v[x.(reg.Register).ID().Index()]
		*v = [64]byte{}
		for i, e := range values {
			put(v[i*size:], e)
		}
		return nil
	}
	a, err := m.address(mem)
	if err != nil {
		return err
	}
	for i, e := range values {
		if active>>i&1 == 0 {
			continue
		}
		b, err := m.at(a+Address(i*size), size)
		if err != nil {
			return err
		}
		put(b, e)
	}
	return nil
}
