package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mmcloughlin/avo/ir"

	"moegen/runtime/host/asm/interp"
)

// files has the compiled groups, each made when the first test asks for it.
var files = map[string]*ir.File{}

// interpreter is a machine that runs the kernels of one group.
func interpreter(t *testing.T, name string) *interp.Machine {
	t.Helper()
	if files[name] == nil {
		at := slices.IndexFunc(groups, func(g group) bool { return g.name == name })
		f, err := compile(groups[at])
		if err != nil {
			t.Fatal(err)
		}
		files[name] = f
	}
	m, err := interp.New(files[name])
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func call(t *testing.T, m *interp.Machine, name string, args ...any) float64 {
	t.Helper()
	result, err := m.Call(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func normals(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// TestPanels compares panels of every number of rows up to two tiles and one more, of both ISAs, with the chain of fused
// multiply-adds that they are defined as: bit by bit. Operands are exactly as long as the panel needs, so that any access
// beyond them fails.
func TestPanels(t *testing.T) {
	m := interpreter(t, "gemm")
	rng := rand.New(rand.NewPCG(1, 2))
	for _, s := range []struct {
		isa
		mr int
	}{{avx2, 6}, {avx512, 14}} {
		for rows := 1; rows <= 2*s.mr+1; rows++ {
			for vecs := 1; vecs <= 2; vecs++ {
				for trial, kc := range []int{1, 2, 3, 4, 9} {
					nr, cols := 2*s.lanes(), vecs*s.lanes()
					lda, ldc, ldd := kc+trial, cols+3, 0
					a, b := normals(rng, (rows-1)*lda+kc), normals(rng, (kc-1)*nr+cols)
					c := normals(rng, (rows-1)*ldc+cols)
					var d []float32
					switch trial % 3 {
					case 1: // a bias
						d = normals(rng, cols)
					case 2: // accumulation
						d, ldd = c, ldc
					}
					want := slices.Clone(c)
					for i := range rows {
						for j := range cols {
							sum := float32(0)
							for p := range kc {
								sum = interp.FMA(a[i*lda+p], b[p*nr+j], sum)
							}
							if d != nil {
								sum += d[i*ldd+j]
							}
							want[i*ldc+j] = sum
						}
					}
					call(t, m, "gemmPanel"+s.name, rows, vecs, kc, a, lda, b, c, ldc, d, ldd, []float32(nil), 0, 0, 0)
					if !slices.Equal(c, want) {
						t.Fatalf("%s: %d×%d, kc %d: got %v, want %v", s.name, rows, cols, kc, c, want)
					}
				}
			}
		}
	}
}

func TestPacking(t *testing.T) {
	m := interpreter(t, "gemm")
	rng := rand.New(rand.NewPCG(3, 4))
	for _, s := range []isa{avx2, avx512} {
		const kc = 3
		nr, starts := 2*s.lanes(), []int{7, 0, 190, 190, 190, 190, 190, 190, 190, 190, 190}
		for panels := 1; panels <= 3; panels++ {
			x, dst := normals(rng, 190+panels*nr), make([]float32, panels*kc*nr)
			call(t, m, "packPanels"+s.name, kc, starts, x, panels, dst, kc*nr)
			for i := range panels {
				for p, at := range starts[:kc] {
					if got := dst[(i*kc+p)*nr:][:nr]; !slices.Equal(got, x[at+i*nr:][:nr]) {
						t.Errorf("packPanels%s: step %d of panel %d is %v", s.name, p, i, got)
					}
				}
			}
		}
	}
	for _, blocks := range []int{1, 3} {
		const ldd = 11
		var rows [8][]float32
		var at [8]interp.Address
		for r := range rows {
			rows[r] = normals(rng, 8*blocks)
			at[r] = interp.Map(m, rows[r])
		}
		dst := make([]float32, (8*blocks-1)*ldd+8)
		call(t, m, "transpose8AVX2", blocks, interp.Map(m, at[:]), dst, ldd)
		for r := range rows {
			for p, want := range rows[r] {
				if dst[p*ldd+r] != want {
					t.Fatal(fmt.Sprint("transpose8AVX2: row ", r, " column ", p, " is ", dst[p*ldd+r], ", want ", want))
				}
			}
		}
	}
}

// TestMachineReports checks that the interpreter sees what these tests rely on it to see.
func TestMachineReports(t *testing.T) {
	m := interpreter(t, "gemm")
	a, b, c := make([]float32, 4), make([]float32, 4*16), make([]float32, 16)
	call(t, m, "gemmPanelAVX2", 1, 2, 4, a, 0, b, c, 0, []float32(nil), 0, []float32(nil), 0, 0, 0)
	for _, short := range [][3][]float32{{a[:3], b, c}, {a, b[:63], c}, {a, b, c[:15]}} {
		m := interpreter(t, "gemm")
		if _, err := m.Call("gemmPanelAVX2", 1, 2, 4, short[0], 0, short[1], short[2], 0, []float32(nil), 0, []float32(nil), 0, 0, 0); err == nil {
			t.Error("an operand that is too short was not reported")
		}
	}
}
