package kernels_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"

	"moegen/ir"
	"moegen/kernels"
	"moegen/runtime/host"
)

// invoke calls the kernel of a launch with the arguments that the registry lists.
func invoke(r *host.Rank, k *kernels.Kernel, l *ir.Launch) {
	function := reflect.ValueOf(hostFunctions[k.Name])
	list := k.Call(l)
	if function.Type().NumIn() != len(list) {
		panic(fmt.Sprintf("%s takes %d arguments, the registry lists %d", k.Name, function.Type().NumIn(), len(list)))
	}
	var args []reflect.Value
	for i, a := range list {
		args = append(args, argument(r, l, a, function.Type().In(i)))
	}
	function.Call(args)
}

func argument(r *host.Rank, l *ir.Launch, a kernels.Arg, want reflect.Type) reflect.Value {
	switch a.Kind {
	case kernels.None:
		return reflect.Zero(want)
	case kernels.Rank:
		return reflect.ValueOf(r)
	case kernels.Pool:
		return reflect.ValueOf(r.Pool)
	case kernels.Operand:
		if l.In[a.Index] == nil {
			return reflect.Zero(want)
		}
		return view(r, l.In[a.Index])
	case kernels.Result:
		return view(r, l.Out[a.Index])
	case kernels.Workspace:
		if l.Workspace == nil {
			return reflect.Zero(want)
		}
		return view(r, l.Workspace)
	case kernels.Accumulate:
		return reflect.ValueOf(r.Accumulate())
	case kernels.Record:
		index := map[string]int{"RecordLossNorm": host.RecordLossNorm, "RecordAuxNorm": host.RecordAuxNorm}
		return view(r, l.In[a.Index]).Index(index[a.Name])
	case kernels.Scalars:
		list := reflect.MakeSlice(want, 0, 2)
		for _, b := range l.In[a.Index:] {
			list = reflect.Append(list, view(r, b).Index(0))
		}
		return list
	default:
		return reflect.ValueOf(a.Value).Convert(want)
	}
}

func view(r *host.Rank, b *ir.Buffer) reflect.Value {
	switch n := b.Type.Elements(); b.Type.DType {
	case ir.I32:
		return reflect.ValueOf(r.I32(b.Offset, n))
	case ir.F64:
		return reflect.ValueOf(r.F64(b.Offset, n))
	default:
		return reflect.ValueOf(r.F32(b.Offset, n))
	}
}

// load and store move a buffer between an arena and numbers.
func load(m *host.Machine, rank int, b *ir.Buffer) []float64 {
	bytes, x := m.Bytes(rank, b.Offset, b.Bytes()), make([]float64, b.Type.Elements())
	for i := range x {
		switch b.Type.DType {
		case ir.I32:
			x[i] = float64(int32(binary.LittleEndian.Uint32(bytes[4*i:])))
		case ir.F64:
			x[i] = math.Float64frombits(binary.LittleEndian.Uint64(bytes[8*i:]))
		default:
			x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(bytes[4*i:])))
		}
	}
	return x
}

func store(m *host.Machine, rank int, b *ir.Buffer, x []float64) {
	bytes := m.Bytes(rank, b.Offset, b.Bytes())
	for i, v := range x {
		switch b.Type.DType {
		case ir.I32:
			binary.LittleEndian.PutUint32(bytes[4*i:], uint32(int32(v)))
		case ir.F64:
			binary.LittleEndian.PutUint64(bytes[8*i:], math.Float64bits(v))
		default:
			binary.LittleEndian.PutUint32(bytes[4*i:], math.Float32bits(float32(v)))
		}
	}
}
