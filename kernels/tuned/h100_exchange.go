package tuned

// Exchange is how a kernel fetches what other ranks have, see gpu.ExchangeConfig.
type Exchange struct {
	Kernel string
	Warps  int
	Slots  int
	Blocks int
}

// H100Exchanges are the choices for an H100 80GB HBM3, sorted by kernel; a kernel that is not here, or whose choice does not
// suit a shape, fetches by threads, one block a multiprocessor. Times by rows of 2048 under a uniform router and by arrays of 2^28, with all
// multiprocessors; of forms as good as each other that which carries the most on twelve (docs/benchmarks.md).
var H100Exchanges = []Exchange{
	{"all_gather", 4, 6, 2},       // 330.6 µs, by threads 333.4
	{"combine", 8, 3, 2},          // 43.1 µs, by threads 44.8; on twelve multiprocessors 88 and 148
	{"dispatch", 4, 6, 2},         // 49.8 µs, by threads 65.2; on twelve multiprocessors 81 and 99
	{"dispatch_keep", 4, 6, 2},    // 86.3 µs, by threads 105.4
	{"dispatch_restore", 4, 6, 2}, // 65.2 µs, by threads 69.2
	{"reduce_scatter", 8, 3, 2},   // 201.3 µs, by threads 210.5
}
