package arith

// AtomicAdd32 is what atom.add.f32 and red.add.f32 (also .v2, .v4) leave in memory: to nearest, and in global memory, not in
// shared, with subnormal operands and results flushed. Bulk and tensor reductions (cp.reduce) keep subnormals: Add32.
// The 16-bit .noftz forms and their bulk reductions are Half.Add and Half.Add2 with the zero Mode, f64 is Add64, min and
// max of the bulk reductions MinMax.Half.
func AtomicAdd32(old, x uint32, global bool) uint32 { return Add32M(old, x, Mode{FTZ: global}) }
