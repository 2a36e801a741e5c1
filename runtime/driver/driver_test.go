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
