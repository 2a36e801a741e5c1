package kernels

import (
	"slices"
	"strings"

	"moegen/ir"
	"moegen/kernels/gpu"
)

// onGPU lists the kernels of the h100 target: the families of package gpu, and what the runtime does itself.
func onGPU() []*Kernel {
	list := []*Kernel{deviceRopeTable, deviceTap, networkReduceScatter, networkAllGather, networkAllReduce}
	for _, k := range gpu.Kernels() {
		entry := &Kernel{Name: "gpu." + k.Name, Op: k.Op, Covers: k.Covers, Limit: k.Limit, Shares: k.Shares, Apart: !k.InPlace, Steps: k.Steps}
		if k.Workspace != nil {
			entry.Workspace = func(n *ir.Node) int { return (k.Workspace(n) + 3) / 4 }
		}
		list = append(list, entry)
	}
	slices.SortStableFunc(list, func(a, b *Kernel) int { return strings.Compare(a.Op, b.Op) })
	return list
}

// Tables are computed on the host, where cosines are exact to the last bit, and copied once, at start.
var deviceRopeTable = &Kernel{
	Name: "device.Rank.RopeTable", Op: "rope_table",
	Call: func(l *ir.Launch) []Arg {
		a := l.Attrs
		return args(rank, a.Int("seq"), 2*len(a.Floats("inv_freq")), a.Floats("inv_freq"), a.Float("scale"), dtype(l.Out[0]), out(0), out(1))
	},
}

var deviceTap = &Kernel{
	Name: "device.Rank.Tap", Op: "tap",
	Call: func(l *ir.Launch) []Arg {
		a := l.Attrs
		return args(rank, a.Str("name"), differing("layer", a.Int("layer")), in(0), dtype(l.In[0]), l.In[0].Type.Elements())
	},
}

// Arrays that more ranks hold than the kernels can tell apart lie on several nodes. What adds these up and spreads them is no kernel of
// a plan's module: such plans are for looking at, and no program is built from them.
var (
	networkReduceScatter = &Kernel{Name: "network.reduce_scatter", Op: "reduce_scatter", Shares: [][2]int{{0, 1}}, Covers: acrossNodes("parts")}
	networkAllGather     = &Kernel{Name: "network.all_gather", Op: "all_gather", Shares: [][2]int{{0, 0}}, Covers: acrossNodes("parts")}
	networkAllReduce     = &Kernel{Name: "network.all_reduce", Op: "all_reduce", Shares: [][2]int{{0, 0}}, Covers: acrossNodes("ranks")}
)

// acrossNodes reports whether an attribute says that more ranks take part than a node can have.
func acrossNodes(attr string) func(*ir.Node) bool {
	return func(n *ir.Node) bool { return n.Attrs.Int(attr) > gpu.MostRanks }
}

// dtype is the element type of a buffer, as the runtime calls it.
func dtype(b *ir.Buffer) Arg { return Arg{Kind: DType, Value: b.Type.DType} }
