package ptx

// Special is a register that the hardware sets.
type Special struct {
	name string
	typ  Type
}

// The special registers that kernels read.
var (
	TidX           = Special{"tid.x", U32}           // thread in its block
	NTidX          = Special{"ntid.x", U32}          // threads of a block
	CtaIDX         = Special{"ctaid.x", U32}         // block in the grid
	CtaIDY         = Special{"ctaid.y", U32}         // block in the grid
	CtaIDZ         = Special{"ctaid.z", U32}         // block in the grid
	NCtaIDX        = Special{"nctaid.x", U32}        // blocks of the grid
	LaneID         = Special{"laneid", U32}          // thread in its warp
	ClusterCtaRank = Special{"cluster_ctarank", U32} // block in its cluster
	ClusterIDX     = Special{"clusterid.x", U32}     // cluster in the grid
	NClusterIDX    = Special{"nclusterid.x", U32}    // clusters of the grid
	SMID           = Special{"smid", U32}            // multiprocessor
	GlobalTimer    = Special{"globaltimer", U64}     // ns, in steps of 32 on an H100
	Clock64        = Special{"clock64", U64}         // cycles of the multiprocessor
)

var specials = []Special{TidX, NTidX, CtaIDX, CtaIDY, CtaIDZ, NCtaIDX, LaneID, ClusterCtaRank, ClusterIDX, NClusterIDX, SMID, GlobalTimer, Clock64}

// Read returns the value of a special register.
func (k *Kernel) Read(s Special) Reg {
	return k.define(s.typ, 0, "mov."+s.typ.String(), "%"+s.name)
}
