package kernels

import (
	"slices"
	"strings"

	"moegen/ir"
	"moegen/kernels/gpu"
)

// onGPU lists the kernels of the h100 target: the families of package gpu, and what the runtime does itself.
func onGPU() []*Kernel {
	list := []*Kernel{deviceRopeTable, deviceTap}
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

// dtype is the element type of a buffer, as the runtime calls it.
func dtype(b *ir.Buffer) Arg { return Arg{Kind: DType, Value: b.Type.DType} }
