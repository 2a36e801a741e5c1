package tuned

// Exchange is how a kernel fetches what other ranks have, see gpu.ExchangeConfig.
type Exchange struct {
	Kernel string
	Warps  int
	Slots  int
	Blocks int
}

// H100Exchanges are the choices for an H100 80GB HBM3, sorted by kernel; a kernel that is not here, or whose choice does not
// suit a shape, fetches by threads, one block a multiprocessor. None of the others was measured yet.
var H100Exchanges = []Exchange{}
