package host

// isa is a set of vector extensions that kernels are written for. All isas compute the same sums in the same
// structure; their bits differ, since the vector paths fuse multiply and add and sum in other orders.
type isa int

const (
	portable isa = iota // plain Go
	avx2                // AVX2 and FMA
	avx512              // AVX-512 F, BW, DQ and VL
	isaCount
)

func (i isa) String() string { return [isaCount]string{"portable", "avx2", "avx512"}[i] }

// activeISA is what every kernel of the process uses: the best one that the processor and the system support.
// Only tests change it, between kernels, to run each supported path.
var activeISA = supportedISAs()[0]

// Path names the vector extensions that the kernels of this process use: avx512, avx2 or portable.
func Path() string { return activeISA.String() }
