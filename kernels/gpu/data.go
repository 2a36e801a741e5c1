package gpu

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"sync"

	"moegen/kernels/ptx"
)

// Buffer is a piece of global memory.
type Buffer struct {
	Name string
	Elem ptx.Type // BF16, F32, F64, S16 or S32
	Len  int      // elements
	// At gives element i before the first launch; nil: nothing was ever written there, and nobody may read it. It is
	// called by several goroutines.
	At func(i int) float64
}

// Bytes returns the contents before the first launch, little-endian, nil if there are none.
func (b Buffer) Bytes() []byte {
	if b.At == nil {
		return nil
	}
	out := make([]byte, b.Len*b.Elem.Bytes())
	var workers sync.WaitGroup
	share := max(b.Len/runtime.GOMAXPROCS(0)+1, 1<<16)
	for from := 0; from < b.Len; from += share {
		workers.Go(func() { b.encode(out, from, min(from+share, b.Len)) })
	}
	workers.Wait()
	return out
}

// encode writes elements from up to to.
func (b Buffer) encode(out []byte, from, to int) {
	for i := from; i < to; i++ {
		switch v := encode(b.Elem, b.At(i)); b.Elem.Bytes() {
		case 2:
			binary.LittleEndian.PutUint16(out[2*i:], uint16(v))
		case 4:
			binary.LittleEndian.PutUint32(out[4*i:], uint32(v))
		case 8:
			binary.LittleEndian.PutUint64(out[8*i:], v)
		}
	}
}

// Value returns element i of bytes that a device holds for the buffer.
func (b Buffer) Value(data []byte, i int) float64 {
	switch b.Elem {
	case ptx.BF16:
		return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[2*i:])) << 16))
	case ptx.F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
	case ptx.F64:
		return math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
	case ptx.S16:
		return float64(int16(binary.LittleEndian.Uint16(data[2*i:])))
	case ptx.S32:
		return float64(int32(binary.LittleEndian.Uint32(data[4*i:])))
	}
	panic(fmt.Sprintf("BUG: a buffer of %s", b.Elem))
}

// encode rounds a value to nearest even in a type.
func encode(t ptx.Type, v float64) uint64 {
	switch t {
	case ptx.BF16:
		// Odd rounding to float32 keeps what the second rounding must know.
		f := float32(v)
		u := math.Float32bits(f)
		if float64(f) != v && !math.IsNaN(v) && !math.IsInf(float64(f), 0) {
			if math.Abs(float64(f)) > math.Abs(v) {
				u--
			}
			u |= 1
		}
		return uint64((u + 0x7FFF + u>>16&1) >> 16)
	case ptx.F32:
		return uint64(math.Float32bits(float32(v)))
	case ptx.F64:
		return math.Float64bits(v)
	case ptx.S16:
		return uint64(uint16(int16(v)))
	case ptx.S32:
		return uint64(uint32(int32(v)))
	}
	panic(fmt.Sprintf("BUG: a buffer of %s", t))
}

// bf16 rounds a value to nearest even in bf16.
func bf16(v float64) float64 {
	return float64(math.Float32frombits(uint32(encode(ptx.BF16, v)) << 16))
}

// normal returns seeded numbers in bf16 with mean 0 and standard deviation sigma, near enough normal to keep the
// chip as busy as real data: sums of four uniform ones, so none is beyond 3.5 sigma. Element i is known without the others.
func normal(seed uint64, sigma float64) func(i int) float64 {
	return func(i int) float64 {
		z := mix(seed*0x9E3779B97F4A7C15 + uint64(i) + 1)
		sum := z&0xFFFF + z>>16&0xFFFF + z>>32&0xFFFF + z>>48
		return bf16((float64(sum)/65536 - 2 + 2.0/65536) * math.Sqrt(3) * sigma)
	}
}

// mix is the finaliser of splitmix64 (Steele, Lea and Flood, 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// numbers returns the elements of a list.
func numbers(list []int) func(i int) float64 { return func(i int) float64 { return float64(list[i]) } }

func zeros(int) float64 { return 0 }

// log2 returns the exponent of a power of two.
func log2(n int) int { return bits.TrailingZeros(uint(n)) }

// Output says what a buffer must hold after the last launch.
type Output struct {
	Buffer string
	// Want returns the true value of element i, from the inputs as they are stored and the rounding points that the
	// kernel states, and the magnitude of what it was summed from (Σ|a·b| of a product). ok is false for elements
	// that nobody writes, or anybody if Open is set. It is called by several goroutines, each best in order.
	Want func(i int) (value, magnitude float64, ok bool)
	// Row is how many elements in a row share most of the work of Want, so that a sample of a large output takes all of
	// them; 0: each is on its own.
	Row int
	// Corners lists elements that a sample takes in any case: where tiles begin and end; nil: none.
	Corners func() []int
	// A result may differ by Rel·|value| + Acc·magnitude.
	Rel, Acc float64
	Why      string // the arithmetic behind Rel and Acc
	// Open says that elements without a value are unspecified: they may be written.
	Open bool
}

// Miss is by how many tolerances a result differs from what Want returns: up to 1 it is right. A result that is not a
// number is infinitely wrong.
func (o Output) Miss(got, want, magnitude float64) float64 {
	if math.IsNaN(got) || math.IsInf(got, 0) {
		return math.Inf(1)
	}
	if got == want {
		return 0
	}
	return math.Abs(got-want) / (o.Rel*math.Abs(want) + o.Acc*magnitude)
}
