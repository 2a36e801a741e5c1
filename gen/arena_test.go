package gen

import (
	"encoding/binary"
	"math"
	"testing"

	"moegen/ir"
)

// A plan run launch by launch in one piece of memory, every activation poisoned outside its lifetime, gives
// the bits that the graph gives when every value has memory of its own.
func TestArenaKeepsBits(t *testing.T) {
	for _, m := range []mesh{{1, 1}, {2, 2}, {4, 2}} {
		for _, mode := range Recomputes {
			req := toyRequest(t, m.ranks, mode)
			req.EP = m.ep
			s := newStep(t, req)
			if err := s.run(nil); err != nil {
				t.Fatal(err)
			}
			want := train(t, s, ir.Stored)
			got := world(t, s)
			runPlan(s.plan, got, inOrder)
			for _, name := range written(s) {
				for r := range got {
					if !sameBits(got[r][name].Data, want[r][name].Data) {
						t.Errorf("%v, recompute %s: %s of rank %d has other bits in the arena", m, mode, name, r)
					}
				}
			}
		}
	}
}

func sameBits(a, b []float64) bool {
	for i := range a {
		if a[i] != b[i] && !(math.IsNaN(a[i]) && math.IsNaN(b[i])) {
			return false
		}
	}
	return true
}

// inOrder is the order of a program as a list.
func inOrder(prog *ir.Program) (order []int) {
	for i := range prog.Launches {
		order = append(order, i)
	}
	return order
}

// runPlan runs setup, micro_batch, update and eval over arenas of bytes, their launches in an order, and leaves what they wrote in
// envs.
func runPlan(p *ir.Plan, envs []ir.Env, order func(*ir.Program) []int) {
	arenas := make([][]byte, len(envs))
	for r, env := range envs {
		arenas[r] = make([]byte, p.Bytes)
		for _, b := range p.Buffers {
			if b.Role != ir.Activation && env[b.Name] != nil {
				store(arenas[r], b, env[b.Name])
			}
		}
	}
	for _, prog := range p.Programs {
		if prog.Name == "head" {
			continue
		}
		left := reads(prog)
		for _, i := range order(prog) {
			l := prog.Launches[i]
			in, out := make([][]*ir.Tensor, len(envs)), make([][]*ir.Tensor, len(envs))
			for r := range envs {
				for _, b := range l.In {
					in[r] = append(in[r], load(arenas[r], b))
				}
				for _, b := range l.Out {
					out[r] = append(out[r], ir.NewTensor(b.Type))
				}
			}
			if l.Workspace != nil {
				for r := range envs {
					wipe(arenas[r], l.Workspace)
				}
			}
			n := nodeOf(l)
			if l.Op.Collective() {
				l.Op.EvalRanks(n, in, out)
			} else {
				for r := range envs {
					l.Op.Eval(n, in[r], out[r])
				}
			}
			for _, b := range l.In {
				left[b]--
			}
			for r := range envs {
				for _, b := range l.In {
					if b != nil && b.Role == ir.Activation && left[b] == 0 {
						wipe(arenas[r], b)
					}
				}
				for j, b := range l.Out {
					store(arenas[r], b, out[r][j])
				}
			}
		}
	}
	for r, env := range envs {
		for _, b := range p.Buffers {
			if b.Role != ir.Activation {
				env[b.Name] = load(arenas[r], b)
			}
		}
	}
}

// reads counts how often the launches of a program read a buffer.
func reads(prog *ir.Program) map[*ir.Buffer]int {
	count := map[*ir.Buffer]int{}
	for _, l := range prog.Launches {
		for _, b := range l.In {
			count[b]++
		}
	}
	return count
}

// nodeOf rebuilds the node that a launch came from, for its operation's Eval.
func nodeOf(l *ir.Launch) *ir.Node {
	n := &ir.Node{Op: l.Op, Attrs: l.Attrs}
	for _, b := range l.In {
		var v *ir.Value
		if b != nil {
			v = &ir.Value{Name: b.Name, Type: b.Type}
		}
		n.In = append(n.In, v)
	}
	for _, b := range l.Out {
		n.Out = append(n.Out, &ir.Value{Name: b.Name, Type: b.Type})
	}
	return n
}

func load(arena []byte, b *ir.Buffer) *ir.Tensor {
	if b == nil {
		return nil
	}
	t := ir.NewTensor(b.Type)
	for i := range t.Data {
		at := arena[b.Offset+int64(i)*b.Type.DType.Size():]
		switch b.Type.DType {
		case ir.F32:
			t.Data[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(at)))
		case ir.I32:
			t.Data[i] = float64(int32(binary.LittleEndian.Uint32(at)))
		case ir.F64:
			t.Data[i] = math.Float64frombits(binary.LittleEndian.Uint64(at))
		}
	}
	return t
}

func store(arena []byte, b *ir.Buffer, t *ir.Tensor) {
	for i, x := range t.Data {
		at := arena[b.Offset+int64(i)*b.Type.DType.Size():]
		switch b.Type.DType {
		case ir.F32:
			binary.LittleEndian.PutUint32(at, math.Float32bits(float32(x)))
		case ir.I32:
			binary.LittleEndian.PutUint32(at, uint32(int32(x)))
		case ir.F64:
			binary.LittleEndian.PutUint64(at, math.Float64bits(x))
		}
	}
}

func wipe(arena []byte, b *ir.Buffer) {
	for i := range b.Bytes() {
		arena[b.Offset+i] = 0xff // NaN as float32 and float64
	}
}
