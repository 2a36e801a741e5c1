package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// foreign compiles C twice: by clang to PTX and by the host's compiler. Both read the same words.
type foreign struct {
	clang, cc string
	include   string
	dir       string
}

// newForeign finds the compilers, and skips the test where one is missing.
func newForeign(t *testing.T) *foreign {
	t.Helper()
	include, err := filepath.Abs(filepath.Join("testdata", "foreign"))
	if err != nil {
		t.Fatal(err)
	}
	f := &foreign{include: include, dir: t.TempDir()}
	if f.clang, err = exec.LookPath("clang-19"); err != nil {
		t.Skip("skipped: no clang-19 in PATH to compile C to PTX (Debian's package clang-19)")
	}
	if f.cc, err = exec.LookPath("cc"); err != nil {
		t.Skip("skipped: no cc in PATH to compile C for this machine")
	}
	return f
}

// Both compilers give every operation its own rounding and wrap integers.
var sameMeaning = []string{"-w", "-ffp-contract=off", "-fno-math-errno", "-fwrapv", "-fno-strict-aliasing"}

func (f *foreign) compile(t *testing.T, tool string, args ...string) {
	t.Helper()
	if out, err := exec.Command(tool, append(append([]string{"-I", f.include}, sameMeaning...), args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", tool, strings.Join(args, " "), err, out)
	}
}

// words is input for n threads of size words each: integers and floats of all magnitudes, and the edges of both.
func words(seed uint64, n int) []byte {
	edges := []uint32{0, 1, 2, 31, 32, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0xffff, 0x10000, 0x3f800000, 0xbf800000,
		0x7f800000, 0xff800000, 0x7fc00000, 0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff, 0x4b000001, 0x5f000000, 0x3effffff}
	rng := rand.New(rand.NewPCG(seed, 19))
	var b []byte
	for range n {
		x := rng.Uint32()
		switch rng.IntN(6) {
		case 0:
			x = edges[rng.IntN(len(edges))]
		case 1:
			x >>= rng.IntN(32)
		case 2:
			x = 0x3f000000 + x>>6 // a float near 1
		}
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

// check compiles a program and compares what both of its versions make of the same words. shape has the words in and
// out of a thread, and the threads of a block for programs that are written for one.
func (f *foreign) check(t *testing.T, source string, levels ...string) {
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	shape := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^#define (IN|OUT|BLOCK) (\d+)`).FindAllStringSubmatch(string(text), -1) {
		shape[m[1]], _ = strconv.Atoi(m[2])
	}
	name := filepath.Base(source)
	path := func(suffix string) string { return filepath.Join(f.dir, name+suffix) }
	block := 48 // with a warp that is not full
	if b := shape["BLOCK"]; b > 0 {
		block = b
	}
	const grid = 3
	if err := os.WriteFile(path(".in"), words(uint64(len(text)), grid*block*shape["IN"]), 0o644); err != nil {
		t.Fatal(err)
	}
	f.compile(t, f.cc, "-O1", "-o", path(".host"), source, "-lm")
	if out, err := exec.Command(path(".host"), path(".in"), path(".want")).CombinedOutput(); err != nil {
		t.Fatalf("%s on this machine: %v\n%s", name, err, out)
	}
	want, err := os.ReadFile(path(".want"))
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != 4*grid*block*shape["OUT"] {
		t.Fatalf("%s wrote %d bytes", name, len(want))
	}
	for _, level := range levels {
		f.compile(t, f.clang, "--target=nvptx64-nvidia-cuda", "-march=sm_90", "-nogpulib", "-ffreestanding", level, "-S", "-o", path(".ptx"), source)
		var stdout, stderr bytes.Buffer
		if status := run([]string{"sim", path(".ptx"), "--entry", "run", "--grid", strconv.Itoa(grid), "--block", strconv.Itoa(block),
			"--arg", "in:" + path(".in"), "--arg", fmt.Sprintf("out:%s:%d", path(".got"), len(want))}, &stdout, &stderr); status != 0 {
			t.Errorf("%s %s: exit status %d\n%s%s", name, level, status, &stdout, &stderr)
			continue
		}
		got, err := os.ReadFile(path(".got"))
		if err != nil {
			t.Fatal(err)
		}
		if i := firstDifference(got, want); i >= 0 {
			thread, word := i/4/shape["OUT"], i/4%shape["OUT"]
			t.Errorf("%s %s: thread %d gives %08x as its word %d and the host %08x", name, level, thread,
				binary.LittleEndian.Uint32(got[i&^3:]), word, binary.LittleEndian.Uint32(want[i&^3:]))
		}
	}
}

// firstDifference is the first byte in which two outputs of one length differ, -1 if none.
func firstDifference(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// What another compiler makes of C gives the bits in the simulator that the same C gives on this machine.
func TestForeignPrograms(t *testing.T) {
	f := newForeign(t)
	sources, err := filepath.Glob(filepath.Join(f.include, "*.c"))
	if err != nil || len(sources) == 0 {
		t.Fatal("no programs", err)
	}
	for _, source := range sources {
		t.Run(strings.TrimSuffix(filepath.Base(source), ".c"), func(t *testing.T) {
			f.check(t, source, "-O0", "-O1", "-O2")
		})
	}
}
