package conformance

import (
	"bytes"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"moegen/runtime/driver"
)

func describe(t *testing.T, g *gpu) {
	cuda, release := g.Version()
	if cuda < driver.MinCUDA || cuda > 99000 {
		t.Errorf("CUDA version %d", cuda)
	}
	info, err := g.Describe(0)
	must(t, err)
	t.Logf("%s, driver %s, CUDA %d.%d", info.Name, release, cuda/1000, cuda%1000/10)
	if info != g.Info() {
		t.Errorf("Describe says %+v, Info %+v", info, g.Info())
	}
	if info.Name == "" || !strings.Contains(info.Bus, ":") || info.Capability != 90 || info.SMs < 1 || info.Memory < memory || info.L2 < 1<<20 || info.Shared != 227<<10 {
		t.Errorf("%+v is not a GPU of compute capability 9.0", info)
	}
	_, err = g.Describe(g.Devices())
	refused(t, "a GPU beyond the last", driver.NoGPU, err)
	if s, err := g.Sensors(); err == nil && (s.RowsFailed || s.Power < 0 || s.Temperature < 0 || s.Temperature > 120) {
		t.Errorf("sensors read %+v", s)
	}
}

func allocation(t *testing.T, g *gpu) {
	before, total, err := g.Memory()
	must(t, err)
	if before <= 0 || before > total || total > g.Info().Memory {
		t.Errorf("%d of %d bytes free on a GPU of %d", before, total, g.Info().Memory)
	}
	sizes := []int64{1, 4096, 3 << 20, 64 << 20}
	var at []driver.Addr
	for _, n := range sizes {
		a, err := g.Alloc(n)
		must(t, err)
		if a == 0 || a%256 != 0 {
			t.Errorf("%d bytes at %#x", n, uint64(a))
		}
		for i, b := range at {
			if a < b+driver.Addr(sizes[i]) && b < a+driver.Addr(n) {
				t.Errorf("%d bytes at %#x overlap %d bytes at %#x", n, uint64(a), sizes[i], uint64(b))
			}
		}
		at = append(at, a)
	}
	if free, _, err := g.Memory(); err != nil || before-free < 64<<20 {
		t.Errorf("67 MiB allocated and %d bytes fewer are free (%v)", before-free, err)
	}
	want := random(1, 3<<20)
	must(t, g.Write(at[2], want))
	got := make([]byte, 1<<20)
	must(t, g.Read(got, at[2]+1<<20))
	if !bytes.Equal(got, want[1<<20:2<<20]) {
		t.Error("bytes read from the middle of an allocation are not those written")
	}
	for _, a := range at {
		must(t, g.Free(a))
	}
	refused(t, "freeing twice", driver.Refused, g.Free(at[3]))
	if free, _, err := g.Memory(); err != nil || before-free > 4<<20 { // a block or two may be kept for small pieces
		t.Errorf("%d bytes free after everything was freed, %d before (%v)", free, before, err)
	}
}

func tooMuch(t *testing.T, g *gpu) {
	free, _, err := g.Memory()
	must(t, err)
	_, err = g.Alloc(free + 1<<30)
	refused(t, "1 GiB more than is free", driver.NoMemory, err)
	g.words(t, 1) // the GPU is usable all the same
}

func pinned(t *testing.T, g *gpu) {
	s := g.stream(t)
	const n = 1 << 20
	h, err := g.AllocHost(2 * n)
	must(t, err)
	if len(h.Bytes) != 2*n || h.Addr == 0 {
		t.Fatalf("pinned memory of %d bytes at %#x", len(h.Bytes), uint64(h.Addr))
	}
	d, err := g.Alloc(n)
	must(t, err)
	want := random(2, n)
	copy(h.Bytes, want)
	clear(h.Bytes[n:])
	must(t, s.Copy(d, h.Addr, n))
	must(t, s.Copy(h.Addr+n, d, n))
	must(t, s.Sync())
	if !bytes.Equal(h.Bytes[n:], want) {
		t.Error("bytes differ after a copy to the device and back")
	}
	must(t, g.FreeHost(h))
	must(t, g.Free(d))
}

func registered(t *testing.T, g *gpu) {
	want := random(3, 256<<10)
	f, err := os.CreateTemp(t.TempDir(), "mapped")
	must(t, err)
	defer f.Close()
	_, err = f.Write(want)
	must(t, err)
	mapped, err := syscall.Mmap(int(f.Fd()), 0, len(want), syscall.PROT_READ, syscall.MAP_SHARED)
	must(t, err)
	h, err := g.Register(mapped)
	must(t, err)
	s := g.stream(t)
	d, err := g.Alloc(int64(len(want)))
	must(t, err)
	must(t, s.Copy(d, h.Addr+4096, int64(len(want))-4096))
	must(t, s.Sync())
	got := make([]byte, len(want)-4096)
	must(t, g.Read(got, d))
	if !bytes.Equal(got, want[4096:]) {
		t.Error("bytes of a registered file arrive changed")
	}
	must(t, g.Free(d))
	must(t, g.Unregister(h))
	must(t, syscall.Munmap(mapped))
}

func fillAndCopy(t *testing.T, g *gpu) {
	s := g.stream(t)
	a := g.words(t, 1, 2, 3, 4, 5, 6, 7, 8)
	b := g.words(t, 0, 0, 0, 0)
	must(t, s.Fill(a+8, 0xDEADBEEF, 3))
	must(t, s.Copy(b+4, a+4, 8)) // after the fill
	want := []uint32{1, 2, 0xDEADBEEF, 0xDEADBEEF, 0xDEADBEEF, 6, 7, 8}
	if got := g.read(t, a, 8); !slices.Equal(got, want) {
		t.Errorf("filled %x, want %x", got, want)
	}
	if got := g.read(t, b, 4); !slices.Equal(got, []uint32{0, 2, 0xDEADBEEF, 0}) {
		t.Errorf("copied %x", got)
	}
}

func peers(t *testing.T, g *gpu, peer driver.Device) {
	g.bound(t)
	can, err := g.CanPeer(0, 1)
	must(t, err)
	if !can {
		t.Skip("the GPUs are not peers")
	}
	must(t, peer.Bind())
	theirs, err := peer.Alloc(1 << 20)
	must(t, err)
	must(t, peer.Write(theirs, encode([]uint32{5, 0, 0})))
	must(t, g.Bind())
	must(t, g.EnablePeer(peer))
	must(t, g.EnablePeer(peer)) // again
	s := g.stream(t)
	step := g.kernel(t, "step", 0)
	for i := range 4 {
		must(t, s.Launch(word(step, theirs, uint32(i))))
	}
	must(t, s.Copy(theirs+4, theirs, 4))
	ours := g.words(t, 77)
	must(t, s.Copy(theirs+8, ours, 4))
	must(t, s.Copy(ours, theirs, 4))
	must(t, s.Sync())
	if got := g.read(t, ours, 1)[0]; got != steps(5, 4) {
		t.Errorf("a peer's word came back as %d, want %d", got, steps(5, 4))
	}
	// The peer's stream waits for an event of ours.
	e := g.event(t, false)
	must(t, s.Launch(word(step, theirs, 4)))
	must(t, s.Record(e))
	must(t, peer.Bind())
	p, err := peer.NewStream(false)
	must(t, err)
	must(t, p.Wait(e))
	must(t, p.Copy(theirs+4, theirs, 4))
	must(t, p.Sync())
	must(t, p.Close())
	b := make([]byte, 12)
	must(t, peer.Read(b, theirs))
	if got, want := decode(b), []uint32{steps(5, 5), steps(5, 5), 77}; !slices.Equal(got, want) {
		t.Errorf("the peer's memory holds %d, want %d", got, want)
	}
	must(t, peer.Free(theirs))
	must(t, g.Bind())
}

// random returns bytes that are the same in every run.
func random(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
