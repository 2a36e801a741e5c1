package arith

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestTensorVectors: single steps of wgmma (and one chain of 64) on adversarial data.
func TestTensorVectors(t *testing.T) {
	v := load(t, "tensor")
	types := map[string]Elem{"bf16": ElemBF16, "f16": ElemF16, "tf32": ElemTF32, "e4m3": ElemE4M3, "e5m2": ElemE5M2}
	seen := 0
	for _, c := range v.Cases {
		elem, ok := types[strings.Fields(c.Name)[0]]
		if !ok {
			continue // mma.sync and the whole GEMM are below
		}
		seen++
		a, b, d := unpack(t, v.Inputs[c.In[0]]), unpack(t, v.Inputs[c.In[1]]), unpack(t, v.Inputs[c.In[2]])
		want := unpack(t, c.Want)
		// C and D lie as [register][thread]: thread t of warp w, group g, has rows 16w + g and 8 more, columns 2q and 2q+1.
		at := func(i, j int) int { return 4 * ((i%16/8*2+j%2)*128 + i/16*32 + i%8*4 + j/2) }
		acc := make([]uint32, 64*8)
		for i := range 64 {
			for j := range 8 {
				acc[i*8+j] = binary.LittleEndian.Uint32(d[at(i, j):])
			}
		}
		var x, y Operand
		for s := range c.Steps {
			x.Reset(elem, 64, false)
			y.Reset(elem, 8, false)
			loadCore(&x, a[s*64*32:])
			loadCore(&y, b[s*8*32:])
			MMA(acc, &x, &y)
		}
		bad := 0
		for i := range 64 {
			for j := range 8 {
				if w := binary.LittleEndian.Uint32(want[at(i, j):]); acc[i*8+j] != w {
					if bad++; bad <= 3 {
						t.Errorf("%s [%d][%d]: %08x, hardware %08x", c.Name, i, j, acc[i*8+j], w)
					}
				}
			}
		}
		if bad > 0 {
			t.Errorf("%s: %d of 512 differ", c.Name, bad)
		}
	}
	if seen != 35 {
		t.Errorf("%d cases, recorded were 35", seen)
	}
}

// loadCore reads rows of 32 bytes that lie as core matrices: 8 rows of 16 bytes, then the other 16 bytes of these rows.
func loadCore(o *Operand, b []byte) {
	half := 16 / o.elem.Bytes()
	for r := range o.Rows() {
		p := b[r/8*256+r%8*16:]
		o.Load(r, 0, p[:16])
		o.Load(r, half, p[128:144])
	}
}

// TestMMASyncVectors: mma.sync with its register fragments (PTX ISA, "Matrix Fragments for mma.m16n8k16").
func TestMMASyncVectors(t *testing.T) {
	v := load(t, "tensor")
	types := map[string]Elem{"mma m16n8k16 bf16": ElemBF16, "mma m16n8k16 f16": ElemF16, "mma m16n8k8 tf32": ElemTF32, "mma m16n8k16 f16 accumulate f16": ElemF16}
	seen := 0
	for _, c := range v.Cases {
		elem, ok := types[c.Name]
		if !ok {
			continue
		}
		seen++
		in, want := unpack(t, v.Inputs[c.In[0]]), unpack(t, c.Want)
		reg := func(r, lane int) uint32 { return binary.LittleEndian.Uint32(in[4*(r*32+lane):]) }
		var x, y Operand
		x.Reset(elem, 16, false)
		y.Reset(elem, 8, false)
		per := 4 / elem.Bytes()
		for lane := range 32 {
			g, q := lane/4, lane%4
			for r := range 4 {
				x.LoadWord(g+8*(r%2), per*(q+4*(r/2)), reg(r, lane))
			}
			for r := range 2 {
				y.LoadWord(g, per*(q+4*r), reg(4+r, lane))
			}
		}
		half := strings.HasSuffix(c.Name, "accumulate f16")
		acc := make([]uint32, 16*8)
		// where tells register, and shift in it, of an element of C and D.
		where := func(lane, i int) (at, r, shift int) {
			at = (lane/4+8*(i/2))*8 + lane%4*2 + i%2
			if half {
				return at, i / 2, 16 * (i % 2)
			}
			return at, i, 0
		}
		mask := uint32(math.MaxUint32)
		if half {
			mask = 0xFFFF
		}
		for lane := range 32 {
			for i := range 4 {
				at, r, s := where(lane, i)
				acc[at] = reg(6+r, lane) >> s & mask
			}
		}
		if half {
			MMA16(acc, &x, &y)
		} else {
			MMA(acc, &x, &y)
		}
		for lane := range 32 {
			for i := range 4 {
				at, r, s := where(lane, i)
				if w := binary.LittleEndian.Uint32(want[4*(r*32+lane):]) >> s & mask; acc[at] != w {
					t.Errorf("%s lane %d element %d: %08x, hardware %08x", c.Name, lane, i, acc[at], w)
				}
			}
		}
	}
	if seen != len(types) {
		t.Errorf("%d of %d cases", seen, len(types))
	}
}

// TestGEMMVector: a whole GEMM kernel, 64×64×128, is a chain of steps over k.
func TestGEMMVector(t *testing.T) {
	v := load(t, "tensor")
	c := v.Cases[len(v.Cases)-1]
	a, b, want := unpack(t, v.Inputs[c.In[0]]), unpack(t, v.Inputs[c.In[1]]), unpack(t, c.Want)
	acc := make([]uint32, 64*64)
	var x, y Operand
	for k := 0; k < 128; k += 16 {
		x.Reset(ElemBF16, 64, false)
		y.Reset(ElemBF16, 64, false)
		for r := range 64 {
			x.Load(r, 0, a[(r*128+k)*2:][:32])
			y.Load(r, 0, b[(r*128+k)*2:][:32])
		}
		MMA(acc, &x, &y)
	}
	for i, u := range acc {
		if w := binary.LittleEndian.Uint32(want[4*i:]); u != w {
			t.Fatalf("C[%d][%d] = %08x, hardware %08x", i/64, i%64, u, w)
		}
	}
}

// tile is a GEMM tile of N(0,1) data in bf16.
func tile(m, n, k int) (a, b []byte) {
	r := rand.New(rand.NewPCG(1, 2))
	fill := func(rows int) []byte {
		p := make([]byte, rows*k*2)
		for i := 0; i < len(p); i += 2 {
			binary.LittleEndian.PutUint16(p[i:], CvtBF16(math.Float32bits(float32(r.NormFloat64()))))
		}
		return p
	}
	return fill(m), fill(n)
}

// benchmarkTile runs a 128×128×256 tile as two warpgroups do: m64n128k16 steps, both operands decoded for each.
func benchmarkTile(b *testing.B, mma func(d []uint32, x, y *Operand)) {
	const M, N, K = 128, 128, 256
	p, q := tile(M, N, K)
	var x, y Operand
	acc := make([]uint32, 64*N)
	b.SetBytes(M * N * K) // MB/s reads as million multiply-adds a second
	for b.Loop() {
		for m := 0; m < M; m += 64 {
			clear(acc)
			for k := 0; k < K; k += 16 {
				x.Reset(ElemBF16, 64, false)
				y.Reset(ElemBF16, N, false)
				for r := range 64 {
					x.Load(r, 0, p[((m+r)*K+k)*2:][:32])
				}
				for r := range N {
					y.Load(r, 0, q[(r*K+k)*2:][:32])
				}
				mma(acc, &x, &y)
			}
		}
	}
}

func BenchmarkTileExact(b *testing.B) { benchmarkTile(b, MMA) }
func BenchmarkTileFast(b *testing.B)  { benchmarkTile(b, MMAFast) }

func BenchmarkLoad(b *testing.B) {
	p, _ := tile(128, 1, 16)
	var x Operand
	b.SetBytes(128 * 16)
	for b.Loop() {
		x.Reset(ElemBF16, 128, false)
		for r := range 128 {
			x.Load(r, 0, p[r*32:][:32])
		}
	}
}
