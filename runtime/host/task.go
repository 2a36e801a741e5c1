package host

import "fmt"

// taskElements is how many elements of its widest operand one task of a row-wise kernel covers: enough that
// handing out a task costs nothing beside it, few enough that a small tensor still occupies every core.
const taskElements = 1 << 14

// forRows splits rows of the given width into tasks and runs f over each task's rows lo ≤ i < hi. The split
// depends on the shape only.
func forRows(p *Pool, rows, width int, f func(lo, hi int)) {
	forBlocks(p, rows, max(1, taskElements/max(1, width)), func(_, lo, hi int) { f(lo, hi) })
}

// forBlocks runs f over consecutive blocks of size items, the last one possibly shorter.
func forBlocks(p *Pool, items, size int, f func(block, lo, hi int)) {
	p.For(blockCount(items, size), func(block int) {
		lo := block * size
		f(block, lo, min(lo+size, items))
	})
}

func blockCount(items, size int) int { return (items + size - 1) / size }

// mustLen panics when an operand does not have the length that its dims ask for: a fault of the plan.
func mustLen[E any](kernel, operand string, x []E, want int) {
	if len(x) != want {
		panic(fmt.Sprintf("BUG: host.%s: %s has %d elements, its dims ask for %d", kernel, operand, len(x), want))
	}
}

// mustHold panics when an operand is shorter than the rows that offsets say it has.
func mustHold[E any](kernel, operand string, x []E, want int) {
	if len(x) < want {
		panic(fmt.Sprintf("BUG: host.%s: %s has %d elements, its rows need %d", kernel, operand, len(x), want))
	}
}

// routedRows is the true number of rows of a ragged operand: the last offset.
func routedRows(offsets []int32) int { return int(offsets[len(offsets)-1]) }
