package driver

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// Parameters lie as PTX lays them out: each at a multiple of its size, a tensor map at one of 64.
func TestParams(t *testing.T) {
	var p Params
	p.U32(0x01020304)
	p.Addr(0x1122334455667788)
	p.F32(1)
	p.U64(3)
	const want = "04030201" + "00000000" + "8877665544332211" + "0000803f" + "00000000" + "0300000000000000"
	if got := hex.EncodeToString(p); got != want {
		t.Errorf("parameters are %s, want %s", got, want)
	}
	var m TensorMap
	for i := range m {
		m[i] = byte(i + 1)
	}
	p.Map(&m)
	p.U32(9)
	if len(p) != 64+128+4 || !bytes.Equal(p[32:64], make([]byte, 32)) || !bytes.Equal(p[64:192], m[:]) || p[192] != 9 {
		t.Errorf("with a tensor map: %x", []byte(p))
	}
}

// An H100's 132 multiprocessors hold what the scarcest of threads, registers and shared memory allows.
func TestResident(t *testing.T) {
	h100 := Info{SMs: 132, Shared: 227 << 10}
	for _, c := range []struct {
		f       Function
		threads int
		want    int
	}{
		{Function{}, 1024, 2 * 132},
		{Function{}, 32, 64 * 132},
		{Function{Registers: 168, Shared: 200 << 10}, 384, 132},
		{Function{Registers: 64}, 256, 4 * 132},                     // 8 warps of 2048 registers
		{Function{Registers: 33}, 256, 6 * 132},                     // 33·32 is rounded up to 1280: 6.4
		{Function{Static: 1 << 10, Shared: 75 << 10}, 128, 2 * 132}, // 228 KiB by 77
		{Function{Shared: 75 << 10}, 128, 3 * 132},                  // by 76
	} {
		if got := c.f.Resident(h100, c.threads); got != c.want {
			t.Errorf("%d CTAs of %d threads of %+v, want %d", got, c.threads, c.f, c.want)
		}
	}
	for _, c := range [][4]int{{1000, 1, 264, 264}, {100, 1, 264, 100}, {1000, 2, 133, 132}, {8, 4, 3, 4}} {
		if got := Persistent(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("a grid of %d of %d in clusters of %d where %d fit, want %d", got, c[0], c[1], c[2], c[3])
		}
	}
}

func TestTensorCheck(t *testing.T) {
	good := func() *Tensor {
		return &Tensor{Element: BF16, Base: 4096, Dims: []int64{1 << 32, 64, 2}, Strides: []int64{1<<40 - 16, 0}, Box: []int{64, 256, 1}, Swizzle: 128}
	}
	if err := good().Check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Tensor){
		"0 dimensions":                           func(t *Tensor) { t.Dims = nil },
		"6 dimensions":                           func(t *Tensor) { t.Dims = make([]int64, 6) },
		"3 dimensions, 3 box sizes and 1 stride": func(t *Tensor) { t.Strides = t.Strides[:1] },
		"address 0x1008":                         func(t *Tensor) { t.Base += 8 },
		"dimension 1 has 0 elements":             func(t *Tensor) { t.Dims[1] = 0 },
		"dimension 0 has 4294967297":             func(t *Tensor) { t.Dims[0]++ },
		"257 elements in dimension 1":            func(t *Tensor) { t.Box[1]++ },
		"0 elements in dimension 2":              func(t *Tensor) { t.Box[2] = 0 },
		"the stride of dimension 1":              func(t *Tensor) { t.Strides[0] += 16 },
		"the stride of dimension 2":              func(t *Tensor) { t.Strides[1] = 8 },
		"a row of the box has 24 bytes":          func(t *Tensor) { t.Box[0] = 12 },
		"more than the 64 of the swizzle":        func(t *Tensor) { t.Swizzle = 64 },
		"a swizzle of 96 bytes":                  func(t *Tensor) { t.Swizzle = 96 },
	} {
		bad := good()
		change(bad)
		if err := bad.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want ... %s ...", err, want)
		}
	}
}
