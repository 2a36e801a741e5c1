package sim

import "golang.org/x/sys/cpu"

func bestLanes() laneOps {
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		return avx2Lanes
	}
	return portableLanes
}

var avx2Lanes = laneOps{
	addInts: addIntsAVX2, subInts: subIntsAVX2, mulInts: mulIntsAVX2,
	andWords: andWordsAVX2, orWords: orWordsAVX2, xorWords: xorWordsAVX2,
	shiftLeft: shiftLeftAVX2, shiftRight: shiftRightAVX2, shiftSigned: shiftSignedAVX2,
	minSigned: minSignedAVX2, maxSigned: maxSignedAVX2, minUnsigned: minUnsignedAVX2, maxUnsigned: maxUnsignedAVX2,
	addFloats: addFloatsAVX2, subFloats: subFloatsAVX2, mulFloats: mulFloatsAVX2, packBF16: packBF16AVX2,
	madInts: madIntsAVX2, fmaFloats: fmaFloatsAVX2, selectWords: selectWordsAVX2,
	addWide: addWideAVX2, mulWide: mulWideAVX2,
	orderInts: orderIntsAVX2, orderFloats: orderFloatsAVX2,
	readColumns: readColumnsAVX2, writeColumns: writeColumnsAVX2,
}
