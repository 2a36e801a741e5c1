package sim

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand"
	"strings"
	"testing"
)

// tileKernel multiplies A[128,256] by B[128,256] transposed: tensor copies of four slices of K into 128 KB of shared memory,
// two warpgroups with 64 rows each, products of 64x128x16.
func tileKernel() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	var acc []string
	for i := range 64 {
		acc = append(acc, fmt.Sprintf("%%f%d", i))
	}
	list := "{" + strings.Join(acc, ", ") + "}"
	p("%s.extern .shared .align 1024 .b8 slices[];", head)
	p(".visible .entry tile(.param .align 64 .b8 a[128], .param .align 64 .b8 b[128], .param .u64 c)\n.maxntid 256\n{")
	p(".reg .b32 %%r<20>;\n.reg .b64 %%rd<12>;\n.reg .f32 %%f<64>;\n.reg .pred %%p<4>;\n.shared .align 8 .b64 full[4];")
	p("mov.u32 %%r0, %%tid.x;\nmov.u32 %%r1, slices;\nmov.u32 %%r2, full;\nsetp.ne.u32 %%p0, %%r0, 0;\n@%%p0 bra READY;")
	for s := range 4 {
		p("mbarrier.init.shared::cta.b64 [%%r2+%d], 1;", 8*s)
	}
	p("fence.mbarrier_init.release.cluster;\nREADY:\nbar.sync 0;\n@%%p0 bra COMPUTE;")
	p("mov.u64 %%rd0, a;\ncvta.param.u64 %%rd0, %%rd0;\nmov.u64 %%rd1, b;\ncvta.param.u64 %%rd1, %%rd1;")
	for s := range 4 {
		p("add.u32 %%r3, %%r2, %d;\nmbarrier.arrive.expect_tx.shared::cta.b64 _, [%%r3], 32768;", 8*s)
		for i, at := range []int{s * 32768, s*32768 + 16384} {
			p("add.u32 %%r4, %%r1, %d;\ncp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%%r4], [%%rd%d, {%d, 0}], [%%r3];", at, i, 64*s)
		}
	}
	p("COMPUTE:\nshr.u32 %%r5, %%r0, 7;\nshl.b32 %%r6, %%r5, 13;")
	for _, f := range acc {
		p("mov.f32 %s, 0f00000000;", f)
	}
	for s := range 4 {
		p("W%d: mbarrier.try_wait.parity.shared::cta.b64 %%p1, [%%r2+%d], 0;\n@!%%p1 bra W%d;", s, 8*s, s)
		p("add.u32 %%r7, %%r1, %d;\nadd.u32 %%r8, %%r7, %%r6;\nadd.u32 %%r9, %%r7, 16384;", s*32768)
		for i, r := range []string{"%r8", "%r9"} {
			p("and.b32 %s, %s, 0x3FFFF;\nshr.u32 %s, %s, 4;\ncvt.u64.u32 %%rd%d, %s;\nor.b64 %%rd%d, %%rd%d, 0x4000004000010000;", r, r, r, r, 2+i, r, 2+i, 2+i)
		}
		p("wgmma.fence.sync.aligned;")
		for k := range 4 {
			p("add.u64 %%rd4, %%rd2, %d;\nadd.u64 %%rd5, %%rd3, %d;", 2*k, 2*k)
			p("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 %s, %%rd4, %%rd5, 1, 1, 1, 0, 0;", list)
		}
		p("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;")
	}
	p("shr.u32 %%r10, %%r0, 5;\nshl.b32 %%r10, %%r10, 4;\nand.b32 %%r11, %%r0, 31;\nshr.u32 %%r12, %%r11, 2;\nadd.u32 %%r10, %%r10, %%r12;\nand.b32 %%r11, %%r11, 3;")
	p("shl.b32 %%r10, %%r10, 9;\nshl.b32 %%r11, %%r11, 3;\nadd.u32 %%r10, %%r10, %%r11;\ncvt.u64.u32 %%rd6, %%r10;\nld.param.u64 %%rd7, [c];\nadd.u64 %%rd7, %%rd7, %%rd6;")
	for i := 0; i < 64; i += 4 {
		p("st.global.v2.f32 [%%rd7+%d], {%%f%d, %%f%d};\nst.global.v2.f32 [%%rd7+%d], {%%f%d, %%f%d};", 8*i, i, i+1, 8*i+8*512, i+2, i+3)
	}
	p("ret;\n}")
	return b.String()
}

// runTile gives the product as float32 bits, and A and B.
func runTile(t testing.TB, c Config) (out []byte, a, b []float64) {
	m := New(c)
	p := load(t, m, 0, tileKernel())
	r := rand.New(rand.NewSource(1))
	a, ab := bf16s(r, 128*256)
	b, bb := bf16s(r, 128*256)
	var params []byte
	for _, x := range [][]byte{ab, bb} {
		tm := TensorMap{Type: 9, Address: put(t, m, x), Dims: []uint64{256, 128}, Strides: []uint64{512}, Box: []uint32{64, 128}, Swizzle: 3}
		e, err := tm.Encode()
		if err != nil {
			t.Fatal(err)
		}
		params = append(params, e[:]...)
	}
	at, err := m.Alloc(0, 4*128*128)
	if err != nil {
		t.Fatal(err)
	}
	params = binary.LittleEndian.AppendUint64(params, at)
	if bench, ok := t.(*testing.B); ok {
		bench.StartTimer()
		defer bench.StopTimer()
	}
	n, err := m.Launch(Launch{Program: p, Entry: "tile", Grid: [3]int{1, 1, 1}, Block: [3]int{256, 1, 1}, SharedBytes: 131072 + 1024, Params: params})
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(2 * 128 * 128 * 256); n.TensorOps != want {
		t.Errorf("%d operations, want %d", n.TensorOps, want)
	}
	out = make([]byte, 4*128*128)
	if err := m.Read(at, out); err != nil {
		t.Fatal(err)
	}
	return out, a, b
}

// A whole pipeline of tensor copies and products against float64. Terms are cut at 2^-25 of the largest of a step, so an
// element of 16 steps is off by at most 16 * 17 * 2^-25 of the largest term or partial sum met, below 64 for these data:
// 5.2e-4 at the very worst; 1e-4 leaves an order of magnitude to what is seen. Schedules must not change a bit.
func TestTile(t *testing.T) {
	var first []byte
	for seed := range uint64(4) {
		out, a, b := runTile(t, Config{Seed: seed})
		if seed == 0 {
			first = out
			for i := range 128 {
				for j := range 128 {
					want := 0.0
					for k := range 256 {
						want += a[256*i+k] * b[256*j+k]
					}
					got := float64(math.Float32frombits(binary.LittleEndian.Uint32(out[4*(128*i+j):])))
					if math.Abs(got-want) > 1e-4 {
						t.Fatalf("element %d,%d is %v, want %v", i, j, got, want)
					}
				}
			}
		}
		if string(out) != string(first) {
			t.Errorf("seed %d gives other bits", seed)
		}
	}
}

// BenchmarkTile is one 128x128x256 tile with all checkers.
func BenchmarkTile(b *testing.B) {
	for _, c := range []struct {
		name string
		fast bool
	}{{"fast", true}, {"exact", false}} {
		b.Run(c.name, func(b *testing.B) {
			b.StopTimer()
			for range b.N {
				runTile(b, Config{Seed: 1, FastMath: c.fast})
			}
		})
	}
}
