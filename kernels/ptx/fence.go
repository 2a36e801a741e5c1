package ptx

// Fence orders the thread's accesses before it with those after it, acquiring and releasing at a scope.
func (k *Kernel) Fence(s Scope) { k.emit("fence.acq_rel." + string(s)) }

// FenceSC is Fence with one order of all such fences.
func (k *Kernel) FenceSC(s Scope) { k.emit("fence.sc." + string(s)) }

// FenceProxyAsync makes what the thread wrote (and what it has seen others write) in the ordinary way visible to the
// copy engine and the tensor cores: in shared memory of the block, or in all spaces if all is set.
func (k *Kernel) FenceProxyAsync(all bool) {
	if all {
		k.emit("fence.proxy.async")
	} else {
		k.emit("fence.proxy.async.shared::cta")
	}
}

// FenceBarrierInit makes new mbarriers visible to the cluster and to the copy engine.
func (k *Kernel) FenceBarrierInit() { k.emit("fence.mbarrier_init.release.cluster") }

// ClusterArrive counts the thread at the cluster's barrier. relaxed publishes nothing, and is much cheaper.
func (k *Kernel) ClusterArrive(relaxed bool) {
	if relaxed {
		k.emit("barrier.cluster.arrive.relaxed")
	} else {
		k.emit("barrier.cluster.arrive")
	}
}

// ClusterWait waits until all threads of the cluster have arrived.
func (k *Kernel) ClusterWait() { k.emit("barrier.cluster.wait") }

// Map turns an address of this block's shared memory into that of the same place in block rank of the cluster.
func (k *Kernel) Map(at Addr, rank Operand) Reg {
	return k.define(U32, at.power(), "mapa.shared::cluster.u32", k.Lea(at).name, k.src(U32, rank))
}

// LaunchDependents lets the next grid of the stream start when all blocks have said so; it hands over no data.
func (k *Kernel) LaunchDependents() { k.emit("griddepcontrol.launch_dependents") }

// WaitPrerequisites waits until the grids before have ended and their writes are visible.
func (k *Kernel) WaitPrerequisites() { k.emit("griddepcontrol.wait") }
