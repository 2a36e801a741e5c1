package sim

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand"
	"os"
	"testing"
)

func kernel(t testing.TB, name string) *Module {
	t.Helper()
	text, err := os.ReadFile("testdata/kernels/" + name + ".ptx")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return mod
}

// bf16s makes n normally distributed values and their bytes.
func bf16s(r *rand.Rand, n int) ([]float64, []byte) {
	v, b := make([]float64, n), make([]byte, 2*n)
	for i := range v {
		u := math.Float32bits(float32(r.NormFloat64())) &^ 0xFFFF
		v[i] = float64(math.Float32frombits(u))
		binary.LittleEndian.PutUint16(b[2*i:], uint16(u>>16))
	}
	return v, b
}

// BenchmarkNormalisation is memory-bound kernels: lane instructions per second with all checkers on. The backward one is as
// kernels/gpu emits it.
func BenchmarkNormalisation(b *testing.B) {
	for _, c := range []struct {
		name, kernel, entry string
		grid, block, shared int
		off                 Check
	}{
		{"forward", "rmsnorm", "rmsnorm", 16, 256, 0, 0},
		{"forward_unchecked", "rmsnorm", "rmsnorm", 16, 256, 0, CheckRace | CheckUndefined},
		{"backward", "rmsnorm_grad", "rmsnorm_grad_d2048_r4_g4_p4", 4, 512, 32768 + 256, 0},
		{"backward_unchecked", "rmsnorm_grad", "rmsnorm_grad_d2048_r4_g4_p4", 4, 512, 32768 + 256, CheckRace | CheckUndefined},
	} {
		b.Run(c.name, func(b *testing.B) {
			mod := kernel(b, c.kernel)
			const rows, dim = 512, 2048
			r := rand.New(rand.NewSource(1))
			_, x := bf16s(r, rows*dim)
			_, w := bf16s(r, dim)
			rstd := bytes.Repeat([]byte{0, 0, 0x80, 0x3F}, rows)
			m := New(Config{Seed: 1, Off: c.off})
			p, err := m.Load(0, mod)
			if err != nil {
				b.Fatal(err)
			}
			buffers := []uint64{put(b, m, x), put(b, m, w), put(b, m, make([]byte, len(x)))}
			if c.kernel == "rmsnorm_grad" {
				buffers = []uint64{put(b, m, x), put(b, m, x), put(b, m, w), put(b, m, rstd), put(b, m, make([]byte, len(x))), put(b, m, make([]byte, 4*4*dim))}
			}
			var params []byte
			for _, a := range buffers {
				params = binary.LittleEndian.AppendUint64(params, a)
			}
			params = binary.LittleEndian.AppendUint32(params, rows)
			lanes := int64(0)
			for b.Loop() {
				n, err := m.Launch(Launch{Program: p, Entry: c.entry, Grid: [3]int{c.grid, 1, 1}, Block: [3]int{c.block, 1, 1}, Params: params,
					SharedBytes: c.shared})
				if err != nil {
					b.Fatal(err)
				}
				lanes += n.LaneInstructions
			}
			b.ReportMetric(float64(lanes)/b.Elapsed().Seconds()/1e6, "Mlane/s")
		})
	}
}

// BenchmarkLaunches is a queue of 256 launches of 8 blocks, a row a block: what a launch and a block cost.
func BenchmarkLaunches(b *testing.B) {
	mod := kernel(b, "rmsnorm")
	r := rand.New(rand.NewSource(1))
	const rows, dim, launches = 8, 2048, 256
	_, x := bf16s(r, rows*dim)
	_, w := bf16s(r, dim)
	m := New(Config{Seed: 1})
	p, err := m.Load(0, mod)
	if err != nil {
		b.Fatal(err)
	}
	var params []byte
	for _, a := range []uint64{put(b, m, x), put(b, m, w), put(b, m, make([]byte, len(x)))} {
		params = binary.LittleEndian.AppendUint64(params, a)
	}
	params = binary.LittleEndian.AppendUint32(params, rows)
	l := Launch{Program: p, Entry: "rmsnorm", Grid: [3]int{rows, 1, 1}, Block: [3]int{256, 1, 1}, Params: params}
	b.ReportAllocs()
	for b.Loop() {
		var last []*Work
		for range launches {
			w, err := m.Start(l, last...)
			if err != nil {
				b.Fatal(err)
			}
			last = []*Work{w}
		}
		if err := m.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*launches), "µs/launch")
}

// BenchmarkParse reads the backward normalisation's text.
func BenchmarkParse(b *testing.B) {
	text, err := os.ReadFile("testdata/kernels/rmsnorm_grad.ptx")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(string(text)); err != nil {
			b.Fatal(err)
		}
	}
}
