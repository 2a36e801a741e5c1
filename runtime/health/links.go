package health

import (
	"cmp"
	"slices"
	"strings"
)

// Usable returns the GPUs that programs can use, in the CUDA driver's order.
func (g *GPUs) Usable() []*GPU {
	var list []*GPU
	for i := range g.GPUs {
		if x := &g.GPUs[i]; x.Ordinal >= 0 && !x.Lost {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b *GPU) int { return a.Ordinal - b.Ordinal })
	return list
}

// alike is by how much the fastest of several links may exceed the slowest, and they still count as one: what copies that
// are repeated differ by, and some more.
const alike = 1.1

// Links returns what joins the GPUs that programs can use: one link if it is the same everywhere, else one for every
// pair. Bandwidths are those that were measured, in the slower direction, or else those that the links are made for.
func (g *GPUs) Links() []Link {
	var links []Link
	list := g.Usable()
	for i, a := range list {
		for _, b := range list[i+1:] {
			l := join(a, b)
			if g.Copies != nil {
				l.BytesPerSecond, l.Measured = min(g.Copies[a.Ordinal][b.Ordinal], g.Copies[b.Ordinal][a.Ordinal]), true
			}
			links = append(links, l)
		}
	}
	if len(links) < 2 {
		return links
	}
	one := slices.MinFunc(links, func(a, b Link) int { return cmp.Compare(a.BytesPerSecond, b.BytesPerSecond) })
	for _, l := range links {
		if l.Kind != one.Kind || float64(l.BytesPerSecond) > alike*float64(one.BytesPerSecond) {
			return links
		}
	}
	one.GPUs = nil
	for _, a := range list {
		one.GPUs = append(one.GPUs, a.Ordinal)
	}
	return []Link{one}
}

// join returns the link between two GPUs, with what it is made for.
func join(a, b *GPU) Link {
	l := Link{GPUs: []int{a.Ordinal, b.Ordinal}, Kind: Host}
	l.BytesPerSecond = min(a.PCIe.bytesPerSecond(), b.PCIe.bytesPerSecond())
	if !slices.Contains(a.Peers, b.Ordinal) || !slices.Contains(b.Peers, a.Ordinal) {
		return l
	}
	l.Kind = PCIe
	if n := int64(nvlinks(a, b)); n > 0 {
		l.Kind, l.BytesPerSecond = NVLink, n*min(a.NVLinkBytesPerSecond, b.NVLinkBytesPerSecond)
	}
	return l
}

// nvlinks counts the NVLinks by which a reaches b: those that lead there, or those that lead to switches, as far as
// b has as many.
func nvlinks(a, b *GPU) int {
	direct, switched := 0, [2]int{}
	for _, p := range a.NVLinks {
		if p.Active && !p.Switch && strings.EqualFold(p.Remote, b.Bus) {
			direct++
		}
	}
	for i, g := range []*GPU{a, b} {
		for _, p := range g.NVLinks {
			if p.Active && p.Switch {
				switched[i]++
			}
		}
	}
	return max(direct, min(switched[0], switched[1]))
}

// Topology returns what the machine offers to programs; ok is false without a GPU that they can use. GPUs are taken to be
// alike: the one with the least memory stands for all.
func (g *GPUs) Topology() (t Topology, ok bool) {
	list := g.Usable()
	if len(list) == 0 {
		return t, false
	}
	least := slices.MinFunc(list, func(a, b *GPU) int { return int(a.MemoryBytes>>20) - int(b.MemoryBytes>>20) })
	t = Topology{Nodes: 1, GPUs: len(list), GPU: least.Name, Capability: CapabilityName(least.Capability), MemoryBytes: least.MemoryBytes}
	t.Links = g.Links()
	if slices.ContainsFunc(t.Links, func(l Link) bool { return l.BytesPerSecond == 0 }) {
		t.Links = nil // the machine does not show what joins them
	}
	return t, true
}
