package gpu

import (
	"fmt"

	"moegen/ir"
	"moegen/kernels/ptx"
)

// Who sends which tokens where. Every rank reads the choices of experts of all ranks of its group, idx [T,K], and works out its
// part: there is no other message. Ranks are counted within the group; expert e lives on rank e/L, L = Experts/Ranks.
//
// Tokens come in units of one rank's planBlock neighbours, in the order of ranks, then tokens. A first launch counts in
// every unit the tokens that go to each rank; a second adds up the counts of the units in front and numbers a unit's tokens, so that
//
//	received        tokens that come here
//	source[i]       rank·T + token of received token i
//	position[t,d]   where on rank d this rank's token t stands, −1 where it does not go
//	idx_local[i,j]  local expert of choice j of received token i, −1 where another rank has it and behind the last token
//
// A rank that runs alone is sent its own tokens: what would go to rank d comes back as if from rank d, so that expert e is local
// expert e mod L for all of them.
//
// Floor: the choices are read once, the results written once; it is latency that counts.

// PlanDesc is what is asked.
type PlanDesc struct {
	Tokens, TopK   int // of a rank
	Experts, Ranks int // of a group
}

const (
	planBlock = 256
	planWarps = planBlock / 32
)

func (d PlanDesc) blocks() int { return ceil(d.Tokens, planBlock) } // of a rank
func (d PlanDesc) units() int  { return d.Ranks * d.blocks() }
func (d PlanDesc) local() int  { return d.Experts / d.Ranks }

func (d PlanDesc) name(kernel string) string {
	return fmt.Sprintf("dispatch_plan_%s_t%d_k%d_e%d_r%d", kernel, d.Tokens, d.TopK, d.Experts, d.Ranks)
}

// choices is what a row of idx is read by.
func (d PlanDesc) choices() piece { return pieceOf(ptx.S32, d.TopK) }

// PlanFloor is what the kernels move for so many received tokens.
func PlanFloor(d PlanDesc, received int) Floor {
	rows := d.Ranks * d.Tokens
	return Floor{Bytes: int64(4 * (2*rows*d.TopK + d.Tokens*d.Ranks + received + 1))}
}

// A planUnit is a block's work: a unit's tokens, one a thread.
type planUnit struct {
	PlanDesc
	k                        *ptx.Kernel
	number, rank, token, tid ptx.Reg
	there                    ptx.Reg   // whether there is a token for the thread
	chosen                   []ptx.Reg // its experts
	to                       ptx.Reg   // a bit for each rank that it goes to; 0 without a token
}

// each deals the units to the blocks of the grid. All threads of a block take part in all that a unit does.
func (d PlanDesc) each(k *ptx.Kernel, group *set, idx ptx.Reg, body func(u *planUnit)) {
	tid, p := k.Read(ptx.TidX), d.choices()
	k.For("unit", k.Read(ptx.CtaIDX), d.units(), k.Read(ptx.NCtaIDX), func(number ptx.Reg) {
		u := &planUnit{PlanDesc: d, k: k, number: number, tid: tid}
		u.rank = k.Div(number, d.blocks())
		u.token = k.Mad(k.Sub(number, k.Mul(u.rank, d.blocks())), planBlock, tid)
		u.there = k.Lt(u.token, d.Tokens)
		row := k.Add(group.peer(u.rank, idx), k.MulWide(u.token, 4*d.TopK))
		u.to = k.Var(ptx.U32, "to", 0)
		for j := 0; j < d.TopK; j += p.n {
			for _, e := range p.loadIf(k, u.there, theirs, row.At(4*j)) {
				e = e.As(ptx.U32)
				u.chosen = append(u.chosen, e)
				k.To(u.to).Or(u.to, k.Shl(k.Const(ptx.U32, 1), k.Div(e, d.local())))
			}
		}
		k.To(u.to).Select(u.there, u.to, 0)
		body(u)
	})
}

// goes says for which lanes a token goes to rank r.
func (u *planUnit) goes(r int) (lane, all ptx.Reg) {
	lane = u.k.Ne(u.k.And(u.to, 1<<r), 0)
	return lane, u.k.Ballot(lane)
}

// emitCount writes the first kernel: parameters are the world, idx and counts [units, ranks].
func (d PlanDesc) emitCount(m *ptx.Module) {
	k := m.Kernel(d.name("count"), planBlock)
	at, idx, counts := k.ParamPtr("world"), k.ParamPtr("idx"), k.ParamPtr("counts")
	shared := k.SharedBytes(4*planWarps*d.Ranks, 16)
	k.WaitPrerequisites()
	d.each(k, readWorld(k, at).group(d.Ranks), idx, func(u *planUnit) {
		u.countWarps(shared)
		k.Sync()
		k.If(k.Lt(u.tid, d.Ranks), func() {
			sum := k.Const(ptx.U32, 0)
			for warp := range planWarps {
				sum = k.Add(sum, k.Ld(ptx.Shared, ptx.U32, warpCount(k, shared, u.tid, warp)))
			}
			k.St(ptx.Global, k.Add(counts, k.MulWide(k.Mad(u.number, d.Ranks, u.tid), 4)).At(0), sum)
		})
		k.Sync()
	})
	k.LaunchDependents()
	k.Exit()
}

// warpCount is the word of a rank and a warp.
func warpCount(k *ptx.Kernel, shared ptx.Addr, rank ptx.Reg, warp int) ptx.Addr {
	return k.Add(k.Lea(shared), k.Mul(rank, 4*planWarps)).At(4 * warp)
}

// countWarps counts the tokens of every warp that go to each rank.
func (u *planUnit) countWarps(shared ptx.Addr) {
	k := u.k
	place := k.Add(k.Lea(shared), k.Shl(k.Shr(u.tid, 5), 2))
	first := k.Eq(k.And(u.tid, 31), 0)
	for r := range u.Ranks {
		_, all := u.goes(r)
		k.When(first).St(ptx.Shared, place.At(4*planWarps*r), k.Popc(all))
	}
}

// emitPlace writes the second kernel: parameters are the world, idx, counts, received, source, position and idx_local.
func (d PlanDesc) emitPlace(m *ptx.Module) {
	k := m.Kernel(d.name("place"), planBlock)
	at, idx, counts := k.ParamPtr("world"), k.ParamPtr("idx"), k.ParamPtr("counts")
	received, source, position, idxLocal := k.ParamPtr("received"), k.ParamPtr("source"), k.ParamPtr("position"), k.ParamPtr("idx_local")
	shared := k.SharedBytes(4*planWarps*d.Ranks, 16)
	before := k.SharedBytes(4*(d.Ranks+1), 16)
	k.WaitPrerequisites()
	group := readWorld(k, at).group(d.Ranks)
	alone := group.rehearsed()
	tid := k.Read(ptx.TidX)
	k.Comment("all that come")
	k.If(k.Lt(tid, 32), func() {
		d.sumUnits(k, counts, d.units(), before.At(4*d.Ranks), func(unit ptx.Reg) ptx.Reg {
			return k.Select(alone, k.Div(unit, d.blocks()), group.number)
		})
	})
	k.Sync()
	total := k.Ld(ptx.Shared, ptx.U32, before.At(4*d.Ranks))
	k.When(k.And(k.Eq(tid, 0), k.Eq(k.Read(ptx.CtaIDX), 0))).St(ptx.Global, received.At(0), total)
	p := d.choices()
	d.each(k, group, idx, func(u *planUnit) {
		k.Comment("a warp for each rank adds up what units in front send there")
		k.For("rank", k.Shr(tid, 5), d.Ranks, planWarps, func(r ptx.Reg) {
			d.sumUnits(k, counts, u.number, k.Add(k.Lea(before), k.Shl(r, 2)).At(0), func(unit ptx.Reg) ptx.Reg {
				return k.Select(alone, k.Div(unit, d.blocks()), r)
			})
		})
		u.countWarps(shared)
		k.Sync()
		k.If(k.Lt(tid, d.Ranks), func() {
			next := k.Ld(ptx.Shared, ptx.U32, k.Add(k.Lea(before), k.Shl(tid, 2)).At(0))
			for warp := range planWarps {
				place := warpCount(k, shared, tid, warp)
				n := k.Ld(ptx.Shared, ptx.U32, place)
				k.St(ptx.Shared, place, next)
				next = k.Add(next, n)
			}
		})
		k.Sync()
		lower := k.Sub(k.Shl(k.Const(ptx.U32, 1), k.And(tid, 31)), 1)
		firsts := k.Add(k.Lea(shared), k.Shl(k.Shr(tid, 5), 2))
		target := k.Select(alone, u.rank, group.number)
		here := k.And(u.there, k.Eq(u.rank, target))
		k.Comment("places on all ranks: of its tokens each rank notes its own, alone those that it stands for")
		mine := k.Var(ptx.U32, "mine", 0)
		comes := k.Var(ptx.U32, "comes", 0)
		for r := range d.Ranks {
			goes, all := u.goes(r)
			first := k.Ld(ptx.Shared, ptx.U32, firsts.At(4*planWarps*r))
			place := k.Add(first, k.Popc(k.And(all, lower)))
			is := k.Eq(target, r)
			k.When(is).Assign(mine, place)
			k.When(k.And(is, goes)).Assign(comes, 1)
			notes := k.And(here, k.Or(k.Not(alone), is))
			k.When(notes).St(ptx.Global, k.Add(position, k.MulWide(u.token, 4*d.Ranks)).At(4*r), k.Select(goes, place.As(ptx.S32), -1))
		}
		k.If(k.Ne(comes, 0), func() {
			k.St(ptx.Global, k.Add(source, k.MulWide(mine, 4)).At(0), k.Mad(u.rank, d.Tokens, u.token))
			begin := k.Mul(target, d.local())
			row := k.Add(idxLocal, k.MulWide(mine, 4*d.TopK))
			for j := 0; j < d.TopK; j += p.n {
				var local []ptx.Reg
				for _, e := range u.chosen[j : j+p.n] {
					l := k.Sub(e, begin)
					local = append(local, k.Select(k.Lt(l, d.local()), l.As(ptx.S32), -1))
				}
				k.St(ptx.Global, row.At(4*j), local...)
			}
		})
		k.Sync()
	})
	k.Comment("no experts behind the last token")
	perRow := d.TopK / p.n
	rest := k.Add(idxLocal, k.MulWide(total, 4*d.TopK))
	eachThread(k, k.Mul(k.Sub(k.Const(ptx.U32, d.Ranks*d.Tokens), total), perRow), func(i ptx.Reg) {
		var none []ptx.Reg
		for range p.n {
			none = append(none, k.Const(ptx.S32, -1))
		}
		k.St(ptx.Global, k.Add(rest, k.MulWide(i, p.bytes())).At(0), none...)
	})
	k.LaunchDependents()
	k.Exit()
}

// sumUnits has a warp add up the counts of so many units, each of the rank that of names, and write the sum to shared memory.
func (d PlanDesc) sumUnits(k *ptx.Kernel, counts ptx.Reg, units ptx.Operand, to ptx.Addr, of func(unit ptx.Reg) ptx.Reg) {
	lane := k.And(k.Read(ptx.TidX), 31)
	sum := k.Var(ptx.U32, "sum", 0)
	k.For("before", lane, units, 32, func(unit ptx.Reg) {
		at := k.Add(counts, k.MulWide(k.Mad(unit, d.Ranks, of(unit)), 4))
		k.To(sum).Add(sum, k.Ld(fixed, ptx.U32, at.At(0)))
	})
	all := k.Redux(ptx.AtomAdd, sum)
	k.When(k.Eq(lane, 0)).St(ptx.Shared, to, all)
}

// steps are the launches. counts is scratch, 4·units·ranks bytes.
func (d PlanDesc) steps(idx, received, source, position, idxLocal, counts string) []Step {
	grid := min(d.units(), peerBlocks)
	return []Step{
		{Launch{Entry: d.name("count"), Grid: grid, Persistent: true, Dependent: true, Args: []Arg{Place(World), Place(idx), Place(counts)}}, d.emitCount},
		{Launch{Entry: d.name("place"), Grid: grid, Persistent: true, Dependent: true, Args: []Arg{Place(World), Place(idx), Place(counts),
			Place(received), Place(source), Place(position), Place(idxLocal)}}, d.emitPlace},
	}
}

func planDesc(idx ir.Type, a ir.Attrs) PlanDesc {
	return PlanDesc{Tokens: idx.Dim(0), TopK: idx.Dim(1), Experts: a.Int("experts"), Ranks: a.Int("ranks")}
}

var dispatchPlan = &Kernel{
	Name: "dispatch_plan", Op: "dispatch_plan",
	Covers: func(n *ir.Node) bool { return onRanks(n.Attrs.Int("ranks")) && addressable(n.Out[3]) },
	Workspace: func(n *ir.Node) int {
		d := planDesc(n.In[0].Type, n.Attrs)
		return 4 * d.units() * d.Ranks
	},
	Steps: func(l *ir.Launch) []Step {
		d := planDesc(l.In[0].Type, l.Attrs)
		return exchange(d.steps(In(0), Out(0), Out(1), Out(2), Out(3), Work)...)
	},
}
