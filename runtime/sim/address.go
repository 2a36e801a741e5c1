package sim

// Addresses. A generic address says its space by the window it lies in; global memory has the numbers below the windows.
// Shared addresses carry the CTA's rank in its cluster above their offset, as hardware's do, and start at 1 KB.
const (
	windowShared = 0x7F00_0000_0000
	windowLocal  = 0x7F01_0000_0000
	windowConst  = 0x7F02_0000_0000
	windowParam  = 0x7F03_0000_0000
	windowEnd    = 0x7F04_0000_0000

	rankShift   = 24
	sharedStart = 0x400
	localStart  = 0x100 // the zero address belongs to nothing
	constStart  = 0x100
	maxLocal    = 512 << 10
)

func windowOf(name string) uint64 {
	switch spaceNamed(name) {
	case spaceShared, spaceCluster:
		return windowShared
	case spaceLocal:
		return windowLocal
	case spaceConst:
		return windowConst
	case spaceParam:
		return windowParam
	}
	return 0
}

func spaceNamed(name string) space {
	switch name {
	case "global":
		return spaceGlobal
	case "shared", "shared::cta":
		return spaceShared
	case "shared::cluster":
		return spaceCluster
	case "local":
		return spaceLocal
	case "const":
		return spaceConst
	case "param", "param::entry", "param::func":
		return spaceParam
	}
	return spaceGeneric
}

// splitGeneric tells a generic address's space and its address there.
func splitGeneric(a uint64) (space, uint64) {
	if a < windowShared || a >= windowEnd {
		return spaceGlobal, a
	}
	off := a & 0xFFFF_FFFF
	switch a &^ 0xFFFF_FFFF {
	case windowShared:
		return spaceCluster, off
	case windowLocal:
		return spaceLocal, off
	case windowConst:
		return spaceConst, off
	}
	return spaceParam, off
}
