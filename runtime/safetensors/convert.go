package safetensors

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// window is how many bytes of a file are converted at a time: small enough for the first-level caches,
// large enough that the system calls do not count.
const window = 64 << 10

// Bytes is the memory of x, in the byte order of files and GPUs: the processors that Go programs of this project run on
// are little-endian, as these are.
func Bytes[T int32 | int64 | float32](x []T) []byte {
	if len(x) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), len(x)*int(unsafe.Sizeof(x[0])))
}

// Decode converts the len(dst) elements of type d (F64, F32, F16 or BF16) in src, rounded to float32.
func Decode(d DType, src []byte, dst []float32) {
	switch d {
	case F32:
		copy(Bytes(dst), src)
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	case F16:
		for i := range dst {
			dst[i] = float32FromHalf(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		}
	default:
		panic("BUG: no conversion from " + string(d))
	}
}

// Encode converts src to elements of type d (F64, F32, F16 or BF16), rounding to nearest, ties to even.
func Encode(d DType, src []float32, dst []byte) {
	switch d {
	case F32:
		copy(dst, Bytes(src))
	case BF16:
		for i, x := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], bfloat16(x))
		}
	case F16:
		for i, x := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], half(x))
		}
	case F64:
		for i, x := range src {
			binary.LittleEndian.PutUint64(dst[8*i:], math.Float64bits(float64(x)))
		}
	default:
		panic("BUG: no conversion to " + string(d))
	}
}

// bfloat16 rounds to nearest even: adding 0x7fff plus the lowest kept bit carries into the kept half exactly
// when the dropped half is more than, or a tie that must go up from, one half. A NaN stays a (quiet) NaN.
func bfloat16(x float32) uint16 {
	b := math.Float32bits(x)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// half rounds to IEEE binary16, to nearest even; beyond 65520 it is infinite.
func half(x float32) uint16 {
	b := math.Float32bits(x)
	sign, b := uint16(b>>16&0x8000), b&0x7fffffff
	switch {
	case b > 0x7f800000: // NaN, kept quiet
		return sign | 0x7e00 | uint16(b>>13&0x3ff)
	case b >= 0x47800000: // 2^16 and beyond
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14: a multiple of 2^-24, which adding 0.5 (of which 2^-24 is the last place) rounds to
		return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-math.Float32bits(0.5))
	}
	b -= 112 << 23 // exponent bias 127 to 15
	return sign | uint16((b+0xfff+b>>13&1)>>13)
}

// float32FromHalf is exact.
func float32FromHalf(h uint16) float32 {
	sign, exponent, mantissa := uint32(h>>15)<<31, uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exponent {
	case 0:
		x := float32(mantissa) * 0x1p-24
		return math.Float32frombits(math.Float32bits(x) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | mantissa<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | mantissa<<13)
}
