package sim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"testing"
)

const head = ".version 8.1\n.target sm_90a\n.address_size 64\n"

// addOne adds one to each of 32 words; the second kernel does so after griddepcontrol.wait; the third lets dependents start.
const chain = head + `
.visible .entry add(.param .u64 p)
{
	.reg .b32 %r<4>;
	.reg .b64 %rd<4>;
	mov.u32 %r0, %tid.x;
	ld.param.u64 %rd0, [p];
	mul.wide.u32 %rd1, %r0, 4;
	add.u64 %rd0, %rd0, %rd1;
	griddepcontrol.launch_dependents;
	ld.global.u32 %r1, [%rd0];
	add.u32 %r1, %r1, 1;
	st.global.u32 [%rd0], %r1;
	ret;
}
.visible .entry dependent(.param .u64 p)
{
	.reg .b32 %r<4>;
	.reg .b64 %rd<4>;
	mov.u32 %r0, %tid.x;
	ld.param.u64 %rd0, [p];
	mul.wide.u32 %rd1, %r0, 4;
	add.u64 %rd0, %rd0, %rd1;
	griddepcontrol.wait;
	ld.global.u32 %r1, [%rd0];
	add.u32 %r1, %r1, 1;
	st.global.u32 [%rd0], %r1;
	ret;
}
`

func load(t testing.TB, m *Machine, gpu int, text string) *Program {
	t.Helper()
	mod, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.Load(gpu, mod)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func launch(p *Program, entry string, addresses ...uint64) Launch {
	var params []byte
	for _, a := range addresses {
		params = binary.LittleEndian.AppendUint64(params, a)
	}
	return Launch{Program: p, Entry: entry, Grid: [3]int{1, 1, 1}, Block: [3]int{32, 1, 1}, Params: params}
}

func wantKind(t *testing.T, err error, kind Kind, words string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Kind != kind || !strings.Contains(e.Error(), words) {
		t.Errorf("got %v, want %s: %s", err, kind, words)
	}
}

// Two launches that touch the same words: ordered by After or by the host's wait they are right, unordered they race.
func TestOrderOfWorks(t *testing.T) {
	start := func(t *testing.T, m *Machine, l Launch, after ...*Work) *Work {
		w, err := m.Start(l, after...)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	for seed := range uint64(6) {
		m := New(Config{Seed: seed})
		p := load(t, m, 0, chain)
		a := put(t, m, make([]byte, 128))
		first := start(t, m, launch(p, "add", a))
		second := start(t, m, launch(p, "add", a), first)
		c, err := m.StartCopy(Copy{Destination: a + 64, Source: a, Size: 64}, second)
		if err != nil {
			t.Fatal(err)
		}
		last := start(t, m, launch(p, "add", a), c)
		if err := m.Wait(last); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Launch(launch(p, "add", a)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 128)
		if err := m.Read(a, got); err != nil {
			t.Fatal(err)
		}
		if want := bytes.Repeat([]byte{4, 0, 0, 0}, 32); !bytes.Equal(got, want) {
			t.Fatalf("seed %d: %v", seed, got)
		}

		start(t, m, launch(p, "add", a))
		start(t, m, launch(p, "add", a))
		wantKind(t, m.Sync(), Race, "nothing orders")

		m = New(Config{Seed: seed})
		p = load(t, m, 0, chain)
		a = put(t, m, make([]byte, 128))
		start(t, m, launch(p, "add", a))
		if err := m.Read(a, got); err != nil {
			t.Fatal(err)
		}
		wantKind(t, m.Sync(), Race, "read before by the host")
	}
}

// A programmatic launch starts early: its results are right only behind griddepcontrol.wait.
func TestProgrammaticLaunch(t *testing.T) {
	for seed := range uint64(6) {
		m := New(Config{Seed: seed})
		p := load(t, m, 0, chain)
		run := func(entry string) error {
			a := put(t, m, make([]byte, 128))
			first, err := m.Start(launch(p, "add", a))
			if err != nil {
				t.Fatal(err)
			}
			l := launch(p, entry, a)
			l.Programmatic = true
			if _, err = m.Start(l, first); err != nil {
				t.Fatal(err)
			}
			if err := m.Sync(); err != nil {
				return err
			}
			got := make([]byte, 4)
			if err := m.Read(a, got); err != nil || got[0] != 2 {
				t.Errorf("seed %d: %v %v", seed, got, err)
			}
			return nil
		}
		if err := run("dependent"); err != nil {
			t.Fatal(err)
		}
		wantKind(t, run("add"), Race, "")
	}
}

// What waits for a programmatic launch comes after all that the launch itself waited for.
func TestProgrammaticLaunches(t *testing.T) {
	for seed := range uint64(6) {
		m := New(Config{Seed: seed})
		p := load(t, m, 0, chain)
		a, b := put(t, m, make([]byte, 128)), put(t, m, make([]byte, 128))
		w, err := m.Start(launch(p, "add", a))
		if err != nil {
			t.Fatal(err)
		}
		for _, place := range []uint64{b, a, b, a} {
			l := launch(p, "dependent", place)
			l.Programmatic = true
			if w, err = m.Start(l, w); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.Sync(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		got := make([]byte, 4)
		if err := m.Read(a, got); err != nil || got[0] != 3 {
			t.Errorf("seed %d: %v %v", seed, got, err)
		}
	}
}

// One GPU writes to another's memory and raises a flag there; the scope must reach it.
func TestPeers(t *testing.T) {
	text := head + `
.visible .entry send(.param .u64 data, .param .u64 flag)
{
	.reg .b32 %r<4>;
	.reg .b64 %rd<4>;
	.reg .pred %p;
	mov.u32 %r0, %tid.x;
	ld.param.u64 %rd0, [data];
	ld.param.u64 %rd1, [flag];
	mul.wide.u32 %rd2, %r0, 4;
	add.u64 %rd0, %rd0, %rd2;
	st.global.u32 [%rd0], %r0;
	bar.sync 0;
	setp.ne.u32 %p, %r0, 0;
	mov.u32 %r1, 1;
	@!%p st.release.sys.global.u32 [%rd1], %r1;
	ret;
}
.visible .entry receive(.param .u64 data, .param .u64 flag)
{
	.reg .b32 %r<4>;
	.reg .b64 %rd<4>;
	.reg .pred %p;
	mov.u32 %r0, %tid.x;
	ld.param.u64 %rd0, [data];
	ld.param.u64 %rd1, [flag];
	mul.wide.u32 %rd2, %r0, 4;
	add.u64 %rd0, %rd0, %rd2;
WAIT:
	ld.acquire.sys.global.u32 %r1, [%rd1];
	setp.ne.u32 %p, %r1, 1;
	@%p bra WAIT;
	ld.global.u32 %r2, [%rd0];
	add.u32 %r2, %r2, 1;
	st.global.u32 [%rd0], %r2;
	ret;
}
`
	run := func(text string, peer bool, seed uint64) error {
		m := New(Config{GPUs: 2, Seed: seed})
		p, q := load(t, m, 0, text), load(t, m, 1, text)
		if peer {
			if err := m.EnablePeer(0, 1); err != nil {
				t.Fatal(err)
			}
		}
		data, err := m.Alloc(1, 128)
		if err != nil {
			t.Fatal(err)
		}
		flag, err := m.Alloc(1, 4)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Write(flag, make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Start(launch(q, "receive", data, flag)); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Start(launch(p, "send", data, flag)); err != nil {
			t.Fatal(err)
		}
		if err := m.Sync(); err != nil {
			return err
		}
		got := make([]byte, 128)
		if err := m.Read(data, got); err != nil {
			return err
		}
		for i := range 32 {
			if got[4*i] != byte(i+1) {
				t.Errorf("seed %d: word %d is %d", seed, i, got[4*i])
			}
		}
		return nil
	}
	for seed := range uint64(8) {
		if err := run(text, true, seed); err != nil {
			t.Fatal(err)
		}
		wantKind(t, run(text, false, seed), Bounds, "no peer access")
		wantKind(t, run(strings.Replace(text, "st.release.sys", "st.release.gpu", 1), true, seed), Race, ".sys does")
		wantKind(t, run(strings.Replace(text, "ld.acquire.sys", "ld.relaxed.sys", 1), true, seed), Race, "nothing orders")
	}
}

func TestDeviceMemory(t *testing.T) {
	m := New(Config{Memory: 1 << 20})
	p := load(t, m, 0, chain)
	a := put(t, m, make([]byte, 64))
	_, err := m.Launch(launch(p, "add", a))
	wantKind(t, err, Bounds, "after the end of allocation 0 (64 bytes)")
	b, _ := m.Alloc(0, 128)
	_, err = m.Launch(launch(p, "add", b))
	wantKind(t, err, Undefined, "never written")
	if n, err := m.Defined(b, 128); err != nil || n != 0 {
		t.Errorf("%d bytes of fresh memory are defined: %v", n, err)
	}
	if err := m.Write(b, make([]byte, 128)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Launch(launch(p, "add", b)); err != nil {
		t.Error(err)
	}
	if err := m.Undefine(b, 128); err != nil {
		t.Fatal(err)
	}
	_, err = m.Launch(launch(p, "add", b))
	wantKind(t, err, Undefined, "never written")
	if err := m.Free(b); err != nil {
		t.Fatal(err)
	}
	_, err = m.Launch(launch(p, "add", b))
	wantKind(t, err, Bounds, "was freed")
	wantKind(t, m.Free(b), Setup, "no allocation")
	_, err = m.Alloc(0, 1<<20)
	wantKind(t, err, Setup, "in use")
	wantKind(t, m.Write(a+60, make([]byte, 8)), Setup, "cross the end")
	for _, l := range []Launch{
		{Program: p, Entry: "none"},
		{Program: p, Entry: "add", Grid: [3]int{1, 1, 1}, Block: [3]int{2048, 1, 1}, Params: make([]byte, 8)},
		{Program: p, Entry: "add", Grid: [3]int{1, 1, 1}, Block: [3]int{32, 1, 1}, Params: make([]byte, 4)},
		{Program: p, Entry: "add", Grid: [3]int{3, 1, 1}, Block: [3]int{32, 1, 1}, Cluster: [3]int{2, 1, 1}, Params: make([]byte, 8)},
		{Program: p, Entry: "add", Grid: [3]int{1, 1, 1}, Block: [3]int{32, 1, 1}, SharedBytes: 232449, Params: make([]byte, 8)},
	} {
		_, err := m.Launch(l)
		wantKind(t, err, Setup, "")
	}
}

// The counters of accesses whose pattern is known: neighbouring words, words 128 bytes apart, a column of shared memory.
func TestCounters(t *testing.T) {
	text := head + `
.visible .entry k(.param .u64 p)
{
	.reg .b32 %r<8>;
	.reg .b64 %rd<6>;
	.shared .align 4 .b8 buf[4096];
	mov.u32 %r0, %tid.x;
	ld.param.u64 %rd0, [p];
	mul.wide.u32 %rd1, %r0, 4;
	add.u64 %rd1, %rd0, %rd1;
	ld.global.u32 %r1, [%rd1];
	mul.wide.u32 %rd2, %r0, 128;
	add.u64 %rd2, %rd0, %rd2;
	ld.global.u32 %r2, [%rd2];
	mov.u32 %r3, buf;
	shl.b32 %r4, %r0, 7;
	add.u32 %r4, %r4, %r3;
	st.shared.u32 [%r4], %r2;
	shl.b32 %r5, %r0, 2;
	add.u32 %r5, %r5, %r3;
	st.shared.u32 [%r5], %r1;
	ret;
}
`
	m := New(Config{Off: CheckRace})
	p := load(t, m, 0, text)
	n, err := m.Launch(launch(p, "k", put(t, m, make([]byte, 4096))))
	if err != nil {
		t.Fatal(err)
	}
	want := Counters{
		Instructions: 16, LaneInstructions: 16 * 32,
		Global: Traffic{Read: 256}, Shared: Traffic{Written: 256},
		GlobalRequests: 2, GlobalSectors: 4 + 32, MinimumSectors: 8,
		SharedRequests: 2, SharedPasses: 32 + 1, BankConflicts: 31,
	}
	if n != want {
		t.Errorf("%+v\nwant %+v", n, want)
	}
	if n.Sectors() != 18 {
		t.Errorf("%v sectors a request", n.Sectors())
	}
}

// setmaxnreg with 288 threads: ptxas gives them 168 registers each, which two warpgroups of 232 cannot share. Hardware hangs.
func TestRegisterPool(t *testing.T) {
	text := head + ".visible .entry k()\n.maxntid 384\n{\n.reg .b32 %r<2>;\n.reg .pred %p;\nmov.u32 %r0, %tid.x;\nsetp.ge.u32 %p, %r0, 256;\n@%p bra P;\n" +
		"setmaxnreg.inc.sync.aligned.u32 232;\nret;\nP:\nsetmaxnreg.dec.sync.aligned.u32 40;\nret;\n}\n"
	for _, c := range []struct{ bound, threads int }{{384, 384}, {384, 288}, {288, 288}} {
		m := New(Config{})
		l := launch(load(t, m, 0, strings.Replace(text, "384", strconv.Itoa(c.bound), 1)), "k")
		l.Block[0] = c.threads
		_, err := m.Launch(l)
		if c.threads == 384 {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		wantKind(t, err, Deadlock, "registers are wanted")
	}
}

// What Parse refuses, with the line.
func TestRefused(t *testing.T) {
	body := func(s string) string {
		return head + ".visible .entry k(.param .u64 p)\n{\n.reg .b32 %r<4>;\n.reg .f32 %f<4>;\n.reg .b64 %rd<4>;\n.reg .pred %q;\n" + s + "\nret;\n}\n"
	}
	for _, c := range []struct {
		text string
		kind Kind
		line int
		msg  string
	}{
		{body("frobnicate.u32 %r0, %r1;"), Unsupported, 10, "not in the table"},
		{body("add.q32 %r0, %r1, %r2;"), Unsupported, 10, "modifiers"},
		{body("add.u32 %r0, %r1;"), Syntax, 10, "missing"},
		{body("add.u32 %r0, %r1, %r2, %r3;"), Syntax, 10, "too many"},
		{body("add.u32 %r0, %r1, %rd0;"), Syntax, 10, "%rd0 is .b64"},
		{body("add.s32 %f0, %r1, %r2;"), Syntax, 10, "%f0 is .f32"},
		{body("add.u32 %r0, %r1, %r9;"), Syntax, 10, "%r9 is not declared"},
		{body("bra NOWHERE;"), Syntax, 10, "no label NOWHERE"},
		{body("ld.global.u32 %r0, %rd0;"), Syntax, 10, "brackets"},
		{body("setmaxnreg.inc.sync.aligned.u32 30;"), Syntax, 10, "multiple of 8"},
		{body("call (%r0), nothing, ();"), Syntax, 10, "not declared"},
		{body("mov.u32 %r0, 1.5;"), Syntax, 10, "literal"},
		{body("redux.sync.add.f32 %f0, %f1, 0xFFFFFFFF;"), Unsupported, 10, "modifiers"},
		{strings.Replace(body("setmaxnreg.inc.sync.aligned.u32 64;"), "sm_90a", "sm_90", 1), Unsupported, 10, "needs .target sm_90a"},
		{strings.Replace(body("fence.proxy.async;"), "8.1", "7.8", 1), Unsupported, 10, "needs .version 8.0"},
		{".target sm_90a\n", Syntax, 2, ".version is missing"},
		{head + "// \u00e9\n", Syntax, 4, "not ASCII"},
		{head + ".visible .entry k()\n{\n", Syntax, 6, "not closed"},
		{head + ".shared .b8 a[4];\n.shared .b8 a[4];\n", Syntax, 5, "declared twice"},
	} {
		_, err := Parse(c.text)
		var e *Error
		if !errors.As(err, &e) || e.Kind != c.kind || e.Line != c.line || !strings.Contains(e.Msg, c.msg) {
			t.Errorf("%s: got %v, want %s at line %d: %s", strings.Split(c.text, "\n")[min(9, strings.Count(c.text, "\n"))], err, c.kind, c.line, c.msg)
		}
	}
}

// A tensor map survives packing; what the driver refuses is refused.
func TestTensorMap(t *testing.T) {
	good := TensorMap{Type: 9, Address: 4096, Dims: []uint64{64, 1 << 32}, Strides: []uint64{128}, Box: []uint32{64, 256}, Steps: []uint32{1, 2}, Swizzle: 3, NaNFill: true}
	b, err := good.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, ok := DecodeTensorMap(b[:])
	if c, err := back.Encode(); !ok || err != nil || c != b {
		t.Errorf("%+v does not survive: %+v", good, back)
	}
	b[20]++
	if _, ok := DecodeTensorMap(b[:]); ok {
		t.Error("a damaged map is accepted")
	}
	for _, spoil := range []func(m *TensorMap){
		func(m *TensorMap) { m.Address = 8 },
		func(m *TensorMap) { m.Strides = []uint64{120} },
		func(m *TensorMap) { m.Strides = []uint64{1 << 40} },
		func(m *TensorMap) { m.Box = []uint32{64, 257} },
		func(m *TensorMap) { m.Box = []uint32{60, 8} },
		func(m *TensorMap) { m.Box = []uint32{128, 8} },
		func(m *TensorMap) { m.Dims = []uint64{64, 0} },
		func(m *TensorMap) { m.Steps = []uint32{1, 9} },
		func(m *TensorMap) { m.Type = 13 },
		func(m *TensorMap) { m.Swizzle = 4 },
		func(m *TensorMap) { m.Type = 2 },
	} {
		m := good
		spoil(&m)
		if _, err := m.Encode(); err == nil {
			t.Errorf("%+v is accepted", m)
		}
	}
}
