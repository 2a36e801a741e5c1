package gen

import (
	"encoding/binary"
	"math"
	"testing"

	"moegen/ir"
)

// A plan run launch by launch in one piece of memory, everything poisoned outside its lifetime, gradients too where a step has one
// micro-batch, gives the bits that the graph gives when every value has memory of its own.
func TestArenaKeepsBits(t *testing.T) {
	for _, m := range []mesh{{1, 1}, {2, 2}, {4, 2}} {
		for _, mode := range Recomputes {
			req := toyRequest(t, m.ranks, mode)
			req.EP = m.ep
			s := newStep(t, req)
			if err := s.run(nil); err != nil {
				t.Fatal(err)
			}
			for _, several := range []bool{false, true} {
				samePlanned(t, s, several, inOrder)
			}
		}
	}
}

// samePlanned compares what the plan of a step leaves behind with what its graphs do, in a step of one micro-batch or in the second
// of several.
func samePlanned(t *testing.T, s *step, several bool, order func(*ir.Program) []int) {
	t.Helper()
	start := func() []ir.Env {
		envs := world(t, s)
		for _, env := range envs {
			env["record"].Data[ir.RecordAccumulate] = 0
			if several {
				env["record"].Data[ir.RecordAccumulate] = 1
			}
		}
		return envs
	}
	want, got := trainFrom(t, s, start(), ir.Stored), start()
	runPlan(s.plan, got, several, order)
	for _, name := range written(s) {
		for r := range got {
			if !sameBits(got[r][name].Data, want[r][name].Data) {
				t.Fatalf("%d ranks, recompute %s, several micro-batches %t: %s of rank %d has other bits in the arena", len(got), s.req.Recompute, several, name, r)
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
func runPlan(p *ir.Plan, envs []ir.Env, several bool, order func(*ir.Program) []int) {
	m := newMemory(p, envs, several)
	for _, prog := range p.Programs {
		if prog.Name == "head" {
			continue
		}
		if prog.Name == "micro_batch" && !several {
			m.forget(ir.Gradient)
		}
		left := reads(prog)
		for _, i := range order(prog) {
			m.launch(prog.Launches[i], left)
		}
		for r, env := range envs {
			for _, b := range p.Buffers {
				if b.Role != ir.Activation && (b.Role != ir.Gradient || prog.Name == "update") {
					env[b.Name] = m.load(r, b)
				}
			}
		}
		if prog.Name == "update" && !several {
			m.forget(ir.Gradient)
		}
	}
}

// ranksMemory is the arenas of all ranks, in steps of one micro-batch or of several.
type ranksMemory struct {
	plan    *ir.Plan
	several bool
	arenas  [][]byte
}

// newMemory fills arenas with what there is from outside, zeros between the members of groups, and poison elsewhere.
func newMemory(p *ir.Plan, envs []ir.Env, several bool) *ranksMemory {
	m := &ranksMemory{plan: p, several: several}
	bytes := p.Bytes
	if several {
		bytes += p.Gradients
	}
	for r, env := range envs {
		m.arenas = append(m.arenas, make([]byte, bytes))
		m.wipe(r, &ir.Buffer{Type: ir.Fixed(ir.I32, int(bytes/4))})
		for _, b := range p.Buffers {
			if b.IsGroup() {
				m.store(r, b, ir.NewTensor(b.Type))
			}
		}
		for _, b := range p.Buffers {
			if b.Role != ir.Activation && env[b.Name] != nil && !b.IsGroup() {
				m.store(r, b, env[b.Name])
			}
		}
	}
	return m
}

// forget poisons all buffers of a role, but not what lies between them.
func (m *ranksMemory) forget(role ir.Role) {
	for r := range m.arenas {
		for _, b := range m.plan.Buffers {
			if b.Role == role && !b.IsGroup() {
				m.wipe(r, b)
			}
		}
	}
}

// launch runs a launch on all ranks. left counts the reads of activations that are yet to come.
func (m *ranksMemory) launch(l *ir.Launch, left map[*ir.Buffer]int) {
	in, out := make([][]*ir.Tensor, len(m.arenas)), make([][]*ir.Tensor, len(m.arenas))
	for r := range m.arenas {
		for _, b := range l.In {
			in[r] = append(in[r], m.load(r, b))
		}
		for _, b := range l.Out {
			out[r] = append(out[r], ir.NewTensor(b.Type))
		}
		if l.Workspace != nil {
			m.wipe(r, l.Workspace)
		}
	}
	n := nodeOf(l)
	if l.Op.Collective() {
		l.Op.EvalRanks(n, in, out)
	} else {
		for r := range in {
			l.Op.Eval(n, in[r], out[r])
		}
	}
	for _, b := range l.In {
		left[b]--
	}
	for r := range m.arenas {
		for _, b := range l.In {
			if b != nil && b.Role == ir.Activation && left[b] == 0 {
				m.wipe(r, b)
			}
		}
		for j, b := range l.Out {
			m.store(r, b, out[r][j])
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

// bytes is where a buffer of a rank lies, and what is behind it.
func (m *ranksMemory) bytes(r int, b *ir.Buffer) []byte {
	if m.several {
		return m.arenas[r][b.Offset:]
	}
	return m.arenas[r][m.plan.Folded(b):]
}

func (m *ranksMemory) load(r int, b *ir.Buffer) *ir.Tensor {
	if b == nil {
		return nil
	}
	t := ir.NewTensor(b.Type)
	from := m.bytes(r, b)
	for i := range t.Data {
		at := from[int64(i)*b.Type.DType.Size():]
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

func (m *ranksMemory) store(r int, b *ir.Buffer, t *ir.Tensor) {
	to := m.bytes(r, b)
	for i, x := range t.Data {
		at := to[int64(i)*b.Type.DType.Size():]
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

func (m *ranksMemory) wipe(r int, b *ir.Buffer) {
	to := m.bytes(r, b)
	for i := range b.Bytes() {
		to[i] = 0xff // NaN as float32 and float64
	}
}
