package conformance

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"moegen/runtime/driver"
)

func function(t *testing.T, g *gpu) {
	for _, want := range []struct {
		name          string
		params, least int // bytes of parameters, of static shared memory
	}{{"empty", 0, 0}, {"ten", 80, 0}, {"step", 12, 0}, {"tile", 144, 1032}} {
		f := g.kernel(t, want.name, 0)
		if f.Name != want.name || f.ParamBytes != want.params || f.Static < want.least || f.Static > want.least+1024 || f.MaxThreads < 32 || f.Spilled != 0 {
			t.Errorf("%+v: want %d bytes of parameters and at least %d of shared memory", f, want.params, want.least)
		}
	}
	_, err := g.Function(g.module, "nowhere", 0)
	refused(t, "a kernel that the module does not have", driver.Refused, err)
	if err != nil && !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("%v: does not name the kernel", err)
	}
}

func refusedModules(t *testing.T, g *gpu) {
	wrong := strings.Replace(Kernels, "mad.lo.u32 %x, %x, 3, %v", "mad.lo.q32 %x, %x, 3, %v", 1)
	line, _, _ := strings.Cut(wrong, ".q32")
	number := 1 + strings.Count(line, "\n")
	_, _, err := g.Load([]byte(wrong))
	refused(t, "an unknown type", driver.Refused, err)
	if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("line %d", number)) {
		t.Errorf("%v: does not name line %d", err, number)
	}
	_, _, err = g.Load([]byte("no kernels at all"))
	refused(t, "text that is not PTX", driver.Refused, err)
	again, _, err := g.Load([]byte(Kernels))
	must(t, err)
	must(t, g.Unload(again))
}

func parameters(t *testing.T, g *gpu) {
	// A launch keeps nothing of its parameters.
	s, store := g.stream(t), g.kernel(t, "store", 0)
	cells := g.words(t, make([]uint32, 64)...)
	l := word(store, 0, 0)
	for i := range 64 {
		binary.LittleEndian.PutUint64(l.Params, uint64(cells)+uint64(4*i))
		binary.LittleEndian.PutUint32(l.Params[8:], uint32(100+i))
		must(t, s.Launch(l))
	}
	for i, v := range g.read(t, cells, 64) {
		if v != uint32(100+i) {
			t.Fatalf("cell %d holds %d", i, v)
		}
	}
}

func place(t *testing.T, g *gpu) {
	s, f := g.stream(t), g.kernel(t, "place", 0)
	for _, test := range []struct{ grid, block, cluster driver.Dim }{
		{driver.Dim{1, 1, 1}, driver.Dim{1, 1, 1}, driver.Dim{}},
		{driver.Dim{5, 3, 2}, driver.Dim{8, 4, 2}, driver.Dim{}},
		{driver.Dim{4, 2, 1}, driver.Dim{32, 1, 1}, driver.Dim{2, 1, 1}},
		{driver.Dim{2, 4, 2}, driver.Dim{32, 1, 1}, driver.Dim{1, 4, 1}},
		{driver.Dim{4, 2, 2}, driver.Dim{32, 1, 1}, driver.Dim{2, 2, 2}},
		{driver.Dim{8, 1, 1}, driver.Dim{1024, 1, 1}, driver.Dim{8, 1, 1}},
	} {
		n := int(test.grid[0] * test.grid[1] * test.grid[2])
		out := g.words(t, make([]uint32, 8*n)...)
		l := &driver.Launch{Function: f, Grid: test.grid, Block: test.block, Cluster: test.cluster}
		l.Params.Addr(out)
		must(t, s.Launch(l))
		got := g.read(t, out, 8*n)
		for i := range n {
			if want := wherePlaced(i, test.grid, test.block, test.cluster); !slices.Equal(got[8*i:8*i+8], want) {
				t.Errorf("grid %v, block %v, cluster %v, CTA %d: %d, want %d", test.grid, test.block, test.cluster, i, got[8*i:8*i+8], want)
				break
			}
		}
	}
}

// wherePlaced returns what kernel place writes for the i-th CTA.
func wherePlaced(i int, grid, block, cluster driver.Dim) []uint32 {
	if cluster == (driver.Dim{}) {
		cluster = driver.Dim{1, 1, 1}
	}
	x, y, z := uint32(i)%grid[0], uint32(i)/grid[0]%grid[1], uint32(i)/grid[0]/grid[1]
	rank := x%cluster[0] + cluster[0]*(y%cluster[1]+cluster[1]*(z%cluster[2]))
	return []uint32{x, y, z, block[0], block[1], block[2], rank, cluster[0] * cluster[1] * cluster[2]}
}

func sharedMemory(t *testing.T, g *gpu) {
	s, most := g.stream(t), g.Info().Shared
	sizes := []int{most, 4, 48 << 10, 48<<10 + 4, 100 << 10}
	var prepared []*driver.Function // all before the first launch: one does not change another
	for _, bytes := range sizes {
		prepared = append(prepared, g.kernel(t, "last", bytes))
	}
	for i, bytes := range sizes {
		out := g.words(t, 0)
		l := one(prepared[i], nil)
		l.Params.Addr(out)
		l.Params.U32(uint32(bytes))
		l.Params.U32(uint32(1000 * i))
		must(t, s.Launch(l))
		if got := g.read(t, out, 1)[0]; got != uint32(1000*i+1) {
			t.Errorf("with %d bytes of shared memory the last word reads %d", bytes, got)
		}
	}
	_, err := g.Function(g.module, "last", most+1)
	refused(t, "one byte more of shared memory than there is", driver.Refused, err)
	_, err = g.Function(g.module, "tile", most)
	refused(t, "all shared memory beside static shared memory", driver.Refused, err)
}

func refusedLaunches(t *testing.T, g *gpu) {
	s, cell := g.stream(t), g.words(t, 1)
	good := word(g.kernel(t, "store", 0), cell, 2)
	for what, change := range map[string]func(*driver.Launch){
		"a grid without CTAs":              func(l *driver.Launch) { l.Grid[1] = 0 },
		"a CTA without threads":            func(l *driver.Launch) { l.Block[2] = 0 },
		"a CTA of 2048 threads":            func(l *driver.Launch) { l.Block = driver.Dim{1024, 2, 1} },
		"a grid of one and a half cluster": func(l *driver.Launch) { l.Grid, l.Cluster = driver.Dim{3, 1, 1}, driver.Dim{2, 1, 1} },
		"a cluster of 16":                  func(l *driver.Launch) { l.Grid, l.Cluster = driver.Dim{16, 1, 1}, driver.Dim{16, 1, 1} },
		"a missing parameter":              func(l *driver.Launch) { l.Params = l.Params[:8] },
		"a parameter too many":             func(l *driver.Launch) { l.Params = append(l.Params[:12:12], 0, 0, 0, 0) },
		"no parameters":                    func(l *driver.Launch) { l.Params = nil },
	} {
		bad := *good
		change(&bad)
		refused(t, what, driver.Refused, s.Launch(&bad))
	}
	if got := g.read(t, cell, 1)[0]; got != 1 {
		t.Errorf("a refused launch stored %d", got)
	}
	must(t, s.Launch(good))
	if got := g.read(t, cell, 1)[0]; got != 2 {
		t.Error("after refused launches a good one does nothing")
	}
}

// box is what kernel tile brings: 8 rows of 64 elements of 2 bytes.
var box = []int{64, 8}

func tensorMap(t *testing.T, g *gpu) {
	const columns, rows, pitch = 200, 20, 416 // elements, rows, bytes: rows are further apart than they are long
	memory := random(4, rows*pitch)
	a, err := g.Alloc(rows * pitch)
	must(t, err)
	must(t, g.Write(a, memory))
	s, f := g.stream(t), g.kernel(t, "tile", 0)
	for _, swizzle := range []int{0, 128} {
		for _, at := range [][2]int{{0, 0}, {64, 8}, {136, 12}, {144, 16}, {192, 19}, {-8, -3}} {
			m, err := g.TensorMap(&driver.Tensor{Element: driver.BF16, Base: a, Dims: []int64{columns, rows}, Strides: []int64{pitch}, Box: box, Swizzle: swizzle})
			must(t, err)
			out := g.words(t, make([]uint32, 256)...)
			l := &driver.Launch{Function: f, Grid: driver.Dim{1, 1, 1}, Block: driver.Dim{32, 1, 1}}
			l.Params.Map(&m)
			l.Params.U32(uint32(int32(at[0])))
			l.Params.U32(uint32(int32(at[1])))
			l.Params.Addr(out)
			must(t, s.Launch(l))
			got := encode(g.read(t, out, 256))
			want := make([]byte, 1024)
			for r := range 8 {
				for c := range 64 {
					if y, x := at[1]+r, at[0]+c; y >= 0 && y < rows && x >= 0 && x < columns {
						to := 128*r + 2*c
						if swizzle == 128 { // chunks of 16 bytes change places within their row of 128
							to ^= r % 8 * 16
						}
						copy(want[to:to+2], memory[y*pitch+2*x:])
					}
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("swizzle %d: the box at %v is not the tensor's", swizzle, at)
			}
		}
	}
	must(t, g.Free(a))
}

func refusedTensorMaps(t *testing.T, g *gpu) {
	a := g.words(t, make([]uint32, 4096)...)
	good := driver.Tensor{Element: driver.BF16, Base: a, Dims: []int64{64, 64}, Strides: []int64{128}, Box: box, Swizzle: 128}
	_, err := g.TensorMap(&good)
	must(t, err)
	for what, change := range map[string]func(*driver.Tensor){
		"an address that is no multiple of 16": func(t *driver.Tensor) { t.Base += 8 },
		"a stride that is no multiple of 16":   func(t *driver.Tensor) { t.Strides = []int64{120} },
		"a stride of 2^40":                     func(t *driver.Tensor) { t.Strides = []int64{1 << 40} },
		"a dimension of 0":                     func(t *driver.Tensor) { t.Dims = []int64{64, 0} },
		"a dimension of 2^32 + 1":              func(t *driver.Tensor) { t.Dims = []int64{64, 1<<32 + 1} },
		"a box of 257 rows":                    func(t *driver.Tensor) { t.Box = []int{64, 257} },
		"a box row of 8 bytes":                 func(t *driver.Tensor) { t.Box = []int{4, 8} },
		"a box row wider than the swizzle":     func(t *driver.Tensor) { t.Box = []int{72, 8} },
		"a swizzle of 16":                      func(t *driver.Tensor) { t.Swizzle = 16 },
		"six dimensions":                       func(t *driver.Tensor) { t.Dims = make([]int64, 6) },
		"a box of other dimensions":            func(t *driver.Tensor) { t.Box = []int{64} },
	} {
		bad := good
		change(&bad)
		_, err := g.TensorMap(&bad)
		refused(t, what, driver.Refused, err)
	}
}
