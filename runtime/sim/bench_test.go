package sim

import (
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

// BenchmarkNormalisation is a memory-bound kernel: lane instructions per second with all checkers on.
func BenchmarkNormalisation(b *testing.B) {
	for _, c := range []struct {
		name string
		off  Check
	}{{"checked", 0}, {"unchecked", CheckRace | CheckUndefined}} {
		b.Run(c.name, func(b *testing.B) {
			mod := kernel(b, "rmsnorm")
			const rows = 512
			r := rand.New(rand.NewSource(1))
			_, x := bf16s(r, rows*2048)
			_, w := bf16s(r, 2048)
			lanes := int64(0)
			for range b.N {
				b.StopTimer()
				m := New(Config{Seed: 1, Off: c.off})
				p, err := m.Load(0, mod)
				if err != nil {
					b.Fatal(err)
				}
				y, _ := m.Alloc(0, int64(len(x)))
				var params []byte
				for _, a := range []uint64{put(b, m, x), put(b, m, w), y} {
					params = binary.LittleEndian.AppendUint64(params, a)
				}
				params = binary.LittleEndian.AppendUint32(params, rows)
				b.StartTimer()
				n, err := m.Launch(Launch{Program: p, Entry: "rmsnorm", Grid: [3]int{16, 1, 1}, Block: [3]int{256, 1, 1}, Params: params})
				if err != nil {
					b.Fatal(err)
				}
				lanes += n.LaneInstructions
			}
			b.ReportMetric(float64(lanes)/b.Elapsed().Seconds()/1e6, "Mlane/s")
		})
	}
}
