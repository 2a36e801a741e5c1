package interp

import (
	"errors"
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const all = ^uint64(0)

// shuffle executes the vector instructions that are not lanewise: moves between lanes, sizes and register files, and
// comparisons and shifts with an immediate. w is the width of their widest register.
func (m *Machine) shuffle(opcode string, ops []operand.Op, w int) error {
	dst := ops[len(ops)-1]
	imm := uint64(0)
	if c, ok := ops[0].(operand.Constant); ok {
		var err error
		if imm, err = constant(c); err != nil {
			return err
		}
		ops = ops[1:]
	}
	// read fetches the first n bytes of operand i; a failure surfaces at the end.
	var failed error
	read := func(i, n, size int) []uint64 {
		x, err := m.read(ops[i], n, size, all)
		if err != nil {
			failed = err
		}
		return x
	}
	var out []uint64
	size := 4
	switch opcode {
	case "VBROADCASTSS", "VPBROADCASTD":
		x := read(0, 4, 4)
		for range w / 4 {
			out = append(out, x[0])
		}
	case "VUNPCKLPS", "VUNPCKHPS":
		b, a := read(0, w, 4), read(1, w, 4)
		first := 0
		if opcode == "VUNPCKHPS" {
			first = 2
		}
		for lane := first; lane < w/4; lane += 4 {
			out = append(out, a[lane], b[lane], a[lane+1], b[lane+1])
		}
	case "VSHUFPS":
		b, a := read(0, w, 4), read(1, w, 4)
		for lane := 0; lane < w/4; lane += 4 {
			pick := func(x []uint64, i uint64) uint64 { return x[lane+int(imm>>(2*i)&3)] }
			out = append(out, pick(a, 0), pick(a, 1), pick(b, 2), pick(b, 3))
		}
	case "VPERMILPS":
		x := read(0, w, 4)
		for i := range x {
			out = append(out, x[i&^3+int(imm>>(2*(i&3))&3)])
		}
	case "VPERMILPD":
		x := read(0, w, 8)
		size = 8
		for i := range x {
			out = append(out, x[i&^1+int(imm>>i&1)])
		}
	case "VINSERTF128":
		low, x := read(0, 16, 8), read(1, w, 8)
		size, out = 8, x
		copy(out[2*imm:], low)
	case "VEXTRACTF128":
		size, out = 8, read(0, w, 8)[2*imm:2*imm+2]
	case "VEXTRACTF64X4":
		size, out = 8, read(0, w, 8)[4*imm:4*imm+4]
	case "VPSLLD":
		for _, x := range read(0, w, 4) {
			out = append(out, uint64(uint32(x)<<imm))
		}
	case "VCVTPS2PD":
		size = 8
		for _, x := range read(0, w/2, 4) {
			out = append(out, math.Float64bits(float64(f32(x))))
		}
	case "VCVTSD2SS":
		x, upper := read(0, 8, 8), read(1, 16, 4)
		out = append([]uint64{bits32(float32(f64(x[0])))}, upper[1:]...)
	case "VCMPPS":
		b, a := read(0, w, 4), read(1, w, 4)
		for i := range a {
			holds, err := compare(imm, f32(a[i]), f32(b[i]))
			if err != nil {
				return err
			}
			out = append(out, mask32(holds))
		}
	case "VPMOVD2M":
		for _, x := range read(0, w, 4) {
			out = append(out, mask32(x>>31 != 0))
		}
	case "VBLENDMPS":
		b, a := read(0, w, 4), read(1, w, 4)
		k := m.k[ops[2].(reg.Register).ID().Index()]
		for i := range a {
			if k>>i&1 != 0 {
				a[i] = b[i]
			}
		}
		out = a
	case "VMOVD", "VMOVSS":
		if r, ok := ops[0].(reg.Register); ok && r.Kind() == reg.KindGP {
			out = []uint64{m.gp[r.ID().Index()] & math.MaxUint32}
		} else {
			out = read(0, 4, 4)
		}
	case "VMOVSD":
		size, out = 8, read(0, 8, 8)
	default:
		return errors.New("unknown instruction")
	}
	if failed != nil {
		return failed
	}
	if isMask(dst) {
		var k uint64
		for i, x := range out {
			if x != 0 {
				k |= 1 << i
			}
		}
		m.k[dst.(reg.Register).ID().Index()] = k
		return nil
	}
	return m.write(dst, out, size, all)
}

// compare is a predicate of VCMPPS; bit 4, which decides about signals, does not matter here.
func compare(predicate uint64, a, b float32) (bool, error) {
	unordered := a != a || b != b
	switch predicate & 0xf {
	case 0:
		return a == b, nil
	case 1:
		return a < b, nil
	case 2:
		return a <= b, nil
	case 3:
		return unordered, nil
	case 4:
		return a != b || unordered, nil
	case 5:
		return !(a < b), nil
	case 6:
		return !(a <= b), nil
	case 7:
		return !unordered, nil
	case 13:
		return a >= b, nil
	case 14:
		return a > b, nil
	}
	return false, errors.New("unknown predicate")
}
