package kernels

import "moegen/ir"

// Wire says what joins the ranks of a program: how fast bytes reach a GPU, in bytes a second.
type Wire struct {
	GPUs    int     // of a node; its ranks are consecutive
	Link    float64 // from the other GPUs of its node; 0: in no time
	Network float64 // from other nodes; 0: in no time
}

// micros is how long so many bytes are under way; links and network carry theirs at the same time.
func (w Wire) micros(link, network int64) float64 {
	micros := 0.0
	if w.Link > 0 {
		micros = 1e6 * float64(link) / w.Link
	}
	if w.Network > 0 {
		micros = max(micros, 1e6*float64(network)/w.Network)
	}
	return micros
}

// received returns how many bytes a launch fetches from the other ranks of its node and from other nodes, at the expected numbers of
// rows. What several nodes share is taken to be added up, and spread, inside of each node first, so that every byte
// crosses to a node once.
func (w Wire) received(l *ir.Launch) (link, network int64) {
	switch l.Op.Name {
	case "reduce_scatter", "all_gather":
		return w.shared(l.In[0].Type.Bytes(), ir.Replicas{Parts: l.Attrs.Int("parts"), Stride: l.Attrs.Int("stride")})
	case "all_reduce":
		link, network = w.shared(l.In[0].Type.Bytes(), ir.Replicas{Parts: l.Attrs.Int("ranks"), Stride: 1})
		return 2 * link, 2 * network
	case "dispatch_plan":
		return w.exchanged(l.Cost.Sent, l.Attrs.Int("ranks"))
	case "dispatch", "dispatch_keep":
		return w.exchanged(l.Cost.Sent, l.In[3].Type.Dim(1))
	case "combine":
		return w.exchanged(l.Cost.Sent, l.In[1].Type.Dim(1))
	}
	return 0, 0
}

// shared splits what a replica fetches of an array of so many bytes, in order to add up its part or to have all of it.
func (w Wire) shared(bytes int64, of ir.Replicas) (link, network int64) {
	inside := int64(min(max(w.GPUs/of.Stride, 1), of.Parts)) // replicas in a node
	nodes := int64(of.Parts) / inside
	return bytes * (inside - 1) / inside, bytes / inside * (nodes - 1) / nodes
}

// exchanged splits what a rank fetches from the other ranks of its group, from each as much.
func (w Wire) exchanged(bytes int64, ranks int) (link, network int64) {
	inside := min(w.GPUs, ranks)
	if ranks > 1 {
		network = bytes * int64(ranks-inside) / int64(ranks-1)
	}
	return bytes - network, network
}
