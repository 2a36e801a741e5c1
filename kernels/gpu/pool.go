package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Received rows in a pool, as ir's dispatch_keep and dispatch_restore define it. Rows that arrive are written twice, while the wire
// is what decides; what comes back is read from the pool, and between the same barriers the ranks fetch from each other what
// found no room there. How much of the pool is taken has a place of its own at every layer: the blocks of a launch read
// one and, all alike, leave the other.

// PoolDesc is a dispatch whose rows a pool has room for.
type PoolDesc struct {
	DispatchDesc
	Rows int // of the pool
}

func (d PoolDesc) name(what string, c ExchangeConfig) string {
	return fmt.Sprintf("dispatch_%s_%s_d%d_t%d_r%d_p%d%s", what, d.Elem, d.Cols, d.Tokens, d.Ranks, d.Rows, c.mark())
}

// KeepFloor is what so many received rows move that find room.
func KeepFloor(d PoolDesc, received int) Floor {
	return Floor{Bytes: int64(received * (3*d.rowBytes() + 4))}
}

// RestoreFloor is what so many rows move that found room.
func RestoreFloor(d PoolDesc, received int) Floor {
	return Floor{Bytes: int64(received * 2 * d.rowBytes())}
}

// EmitKeep writes the kernel: parameters are the world, x, source, received, y, the pool, its use before, its use behind, and the slot.
func EmitKeep(m *ptx.Module, d PoolDesc, c ExchangeConfig) {
	k := m.Kernel(d.name("keep", c), c.threads())
	at, x, source, received, y := k.ParamPtr("world"), k.ParamPtr("x"), k.ParamPtr("source"), k.ParamPtr("received"), k.ParamPtr("y")
	pool, use, behind, slot := k.ParamPtr("pool"), k.ParamPtr("use"), k.ParamPtr("behind"), k.ParamPtr("slot")
	move := d.mover(k, c)
	k.WaitPrerequisites()
	rows := k.Ld(fixed, ptx.U32, received.At(0))
	taken, refused := k.Ld(fixed, ptx.U32, use.At(0)), k.Ld(fixed, ptx.U32, use.At(4))
	end := k.Add(taken, rows)
	fits := k.Le(end, d.Rows)
	k.If(k.Eq(k.Or(k.Read(ptx.CtaIDX), k.Read(ptx.TidX)), 0), func() {
		k.Comment("all blocks come to the same; one says so")
		k.St(ptx.Global, behind.At(0), k.Select(fits, end, taken))
		k.St(ptx.Global, behind.At(4), k.Select(fits, refused, k.Add(refused, 1)))
		k.St(ptx.Global, slot.At(0), k.Select(fits, taken, k.Const(ptx.U32, 1<<32-1)))
	})
	move(rows, d.sent(k, at, x, source), target{rows: y}, target{k.Add(pool, k.MulWide(taken, d.rowBytes())), &fits})
	k.LaunchDependents()
	k.Exit()
}

// EmitRestore writes the kernel: parameters are the world, x, source, received, the pool, the slot and y.
func EmitRestore(m *ptx.Module, d PoolDesc, c ExchangeConfig) {
	k := m.Kernel(d.name("restore", c), c.threads())
	at, x, source, received := k.ParamPtr("world"), k.ParamPtr("x"), k.ParamPtr("source"), k.ParamPtr("received")
	pool, slot, y := k.ParamPtr("pool"), k.ParamPtr("slot"), k.ParamPtr("y")
	move := d.mover(k, c)
	k.WaitPrerequisites()
	rows, first := k.Ld(fixed, ptx.U32, received.At(0)), k.Ld(fixed, ptx.U32, slot.At(0))
	k.IfElse(k.Ge(first.As(ptx.S32), 0), func() {
		move(rows, d.inRow(k, k.Add(pool, k.MulWide(first, d.rowBytes()))), target{rows: y})
	}, func() {
		move(rows, d.sent(k, at, x, source), target{rows: y})
	})
	k.LaunchDependents()
	k.Exit()
}

// keep is the launch that receives rows and keeps them.
func (d PoolDesc) keep(c ExchangeConfig, floor Floor, x, source, received, y, pool, use, behind, slot string) Step {
	return d.fetching("keep", c, EmitKeep, floor, World, x, source, received, y, pool, use, behind, slot)
}

// restore is the launch that has them again.
func (d PoolDesc) restore(c ExchangeConfig, floor Floor, x, source, received, pool, slot, y string) Step {
	return d.fetching("restore", c, EmitRestore, floor, World, x, source, received, pool, slot, y)
}

func (d PoolDesc) fetching(what string, c ExchangeConfig, emit func(*ptx.Module, PoolDesc, ExchangeConfig), floor Floor, places ...string) Step {
	s := Step{
		Launch: Launch{Entry: d.name(what, c), Grid: d.grid(c), Persistent: true, Dependent: true, Floor: floor},
		Emit:   func(m *ptx.Module) { emit(m, d, c) },
	}
	for _, p := range places {
		s.Args = append(s.Args, Place(p))
	}
	return s
}

// poolDesc is that of a launch, whose operand 4 is the pool.
func poolDesc(l *ir.Launch) PoolDesc {
	x := l.In[0].Type
	return PoolDesc{DispatchDesc{Elem: elemOf[x.DType], Cols: x.Dim(1), Tokens: x.Dim(0), Ranks: ranksOf(l.In[3].Type)}, l.In[4].Type.Dim(0)}
}

var poolOpen = &Kernel{
	Name: "pool", Op: "pool_open",
	Steps: func(l *ir.Launch) []Step { return []Step{zeroing(Place(Out(1)), int(l.Out[1].Bytes()))} },
}

var dispatchKeep = &Kernel{
	Name: "pool", Op: "dispatch_keep", Shares: [][2]int{{1, 4}},
	Covers: func(n *ir.Node) bool { return crosses(n.Out[0], n.In[3]) && n.In[4].Type.Dim(0) < 1<<31 },
	Steps: func(l *ir.Launch) []Step {
		d := poolDesc(l)
		configs, _ := d.configs("dispatch_keep")
		return exchange(d.keep(configs[0], KeepFloor(d, l.Out[0].Type.Shape[0].Expected), In(0), In(1), In(2), Out(0), In(4), In(5), Out(2), Out(3)))
	},
}

var dispatchRestore = &Kernel{
	Name: "pool", Op: "dispatch_restore",
	Covers: func(n *ir.Node) bool { return crosses(n.Out[0], n.In[3]) && n.In[4].Type.Dim(0) < 1<<31 },
	Steps: func(l *ir.Launch) []Step {
		d := poolDesc(l)
		configs, _ := d.configs("dispatch_restore")
		return exchange(d.restore(configs[0], RestoreFloor(d, l.Out[0].Type.Shape[0].Expected), In(0), In(1), In(2), In(4), In(5), Out(0)))
	},
}
