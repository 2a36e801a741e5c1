package check

import (
	"fmt"

	"moegen/kernels/gpu"
	"moegen/kernels/ptx"
	"moegen/runtime/driver"
)

// params lays out a launch's parameters. base gives a buffer's address, encode a tensor map's 128 bytes.
func (p *program) params(g gpu.Grid, base func(buffer string) uint64, encode func(*driver.Tensor) (driver.TensorMap, error)) (driver.Params, error) {
	var out driver.Params
	for i, a := range g.Args {
		switch {
		case a.Map != nil:
			m, err := encode(tensor(a, base(a.Buffer)))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", g.Params[i].Name, err)
			}
			out.Map(&m)
		case a.Buffer != "":
			out.U64(base(a.Buffer) + uint64(a.Offset))
		case a.Type.Bytes() == 8:
			out.U64(a.Bits)
		case a.Type.Bytes() == 4:
			out.U32(uint32(a.Bits))
		default:
			panic(fmt.Sprintf("BUG: an argument of type %s", a.Type))
		}
	}
	return out, nil
}

// elements are the driver's numbers of element types.
var elements = map[ptx.Type]driver.Element{ptx.U32: driver.U32, ptx.F16: driver.F16, ptx.F32: driver.F32, ptx.BF16: driver.BF16}

func tensor(a gpu.Arg, base uint64) *driver.Tensor {
	elem, ok := elements[a.Map.Spec.Elem]
	if !ok {
		panic(fmt.Sprintf("BUG: a tensor map of %s", a.Map.Spec.Elem))
	}
	t := &driver.Tensor{Element: elem, Base: driver.Addr(base + uint64(a.Offset)), Box: a.Map.Spec.Box, Swizzle: int(a.Map.Spec.Swizzle)}
	for _, d := range a.Map.Dims {
		t.Dims = append(t.Dims, int64(d))
	}
	for _, s := range a.Map.Strides {
		t.Strides = append(t.Strides, int64(s))
	}
	return t
}

// blocks is how many blocks a launch has on a device that holds resident of them at a time.
func blocks(g gpu.Grid, resident int) int {
	if !g.Persistent {
		return g.Grid
	}
	return driver.Persistent(g.Grid, g.Cluster, resident)
}
