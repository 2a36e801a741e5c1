package sim

//go:generate go -C asm run .

// laneOps are the operations that kernels spend their time in: 32 lanes at once, of which those of m change. Destinations
// may be operands.
type laneOps struct {
	addInts, subInts, mulInts                      func(d, a, b *vec32, m uint32)
	andWords, orWords, xorWords                    func(d, a, b *vec32, m uint32)
	shiftLeft, shiftRight, shiftSigned             func(d, a, b *vec32, m uint32) // by any amount
	minSigned, maxSigned, minUnsigned, maxUnsigned func(d, a, b *vec32, m uint32)

	addFloats, subFloats, mulFloats func(d, a, b *vec32, m uint32) // to nearest, subnormals kept
	packBF16                        func(d, a, b *vec32, m uint32) // rounded to nearest, a into the upper half

	madInts, fmaFloats func(d, a, b, c *vec32, m uint32) // a·b + c
	selectWords        func(d, a, b *vec32, c, m uint32) // a in the lanes of c, b in the others

	addWide func(d, a, b *vec64, m uint32)
	mulWide func(d *vec64, a, b *vec32, m uint32) // unsigned

	// Where a is less than b, and equal to it, when flip is xored to both and they are signed.
	orderInts   func(a, b *vec32, flip uint32) (less, equal uint32)
	orderFloats func(a, b *vec32) (less, equal, unordered uint32)

	// Four words of each lane, which lie one lane after the other, to and from vectors.
	readColumns  func(d0, d1, d2, d3 *vec32, from *byte)
	writeColumns func(to *byte, a0, a1, a2, a3 *vec32)
}

var lanes = bestLanes()

var portableLanes = laneOps{
	addInts: addLanes[uint32], subInts: subLanes[uint32], mulInts: mulLanes[uint32],
	andWords: andLanes[uint32], orWords: orLanes[uint32], xorWords: xorLanes[uint32],
	shiftLeft: shiftLeft[uint32], shiftRight: shiftRight[uint32], shiftSigned: shiftSigned,
	minSigned: minSigned, maxSigned: maxSigned, minUnsigned: minUnsigned, maxUnsigned: maxUnsigned,
	addFloats: addFloats, subFloats: subFloats, mulFloats: mulFloats, packBF16: packBF16,
	madInts: madInts, fmaFloats: fmaFloats, selectWords: selectLanes[uint32],
	addWide: addLanes[uint64], mulWide: mulWide,
	orderInts: orderInts, orderFloats: orderFloats,
	readColumns: readColumns, writeColumns: writeColumns,
}
