package sim

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A program in C defines BODY, the work of one thread: it reads words 4i to 4i+3 of in and writes its part of out. The same
// text is compiled by clang for nvptx64 and run here, and compiled for the host and run there.
const (
	deviceBody = `#define BODY static inline void body(int i, const void *in, void *out)
`
	deviceMain = `
__attribute__((nvptx_kernel)) void run(const void *in, void *out, int n) {
  int i = __nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() + __nvvm_read_ptx_sreg_tid_x();
  if (i < n) body(i, in, out);
}
`
	hostHead = `#include <stdio.h>
#include <stdlib.h>
#define BODY static inline void body(int i, const void *in, void *out)
`
	hostMain = `
int main(int argc, char **argv) {
  int n = atoi(argv[1]);
  void *in = malloc(n * 16 + 64), *out = calloc(n, 32);
  FILE *f = fopen(argv[2], "rb");
  if (!f || fread(in, 16, n, f) != (size_t)n) return 1;
  for (int i = 0; i < n; i++) body(i, in, out);
  f = fopen(argv[3], "wb");
  return !f || fwrite(out, 32, n, f) != (size_t)n || fclose(f);
}
`
)

func clang(t testing.TB) string {
	for _, name := range []string{"clang-19", "clang"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no clang (clang-19) here: its PTX cannot be compared with the host's results")
	return ""
}

func compile(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

const clangThreads = 600 // over two blocks of 320: partial warps and lanes that do not take part

// compareWithHost runs one program's text on both machines at three optimisation levels.
func compareWithHost(t *testing.T, cc, source string) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	r := rand.New(rand.NewSource(1))
	input := make([]byte, 16*clangThreads)
	r.Read(input)
	in := write("in", string(input))
	host := filepath.Join(dir, "host")
	compile(t, cc, "-O1", "-ffp-contract=off", "-fwrapv", "-w", "-o", host, write("host.c", hostHead+source+hostMain), "-lm")
	compile(t, host, fmt.Sprint(clangThreads), in, filepath.Join(dir, "out"))
	want, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	device := write("device.c", deviceBody+source+deviceMain)
	for _, level := range []string{"-O0", "-O1", "-O2"} {
		ptx := filepath.Join(dir, "device.ptx")
		compile(t, cc, "--target=nvptx64-nvidia-cuda", "-march=sm_90", "-nogpulib", "-x", "c", "-ffp-contract=off", "-fwrapv", "-w", level, "-S", device, "-o", ptx)
		text, err := os.ReadFile(ptx)
		if err != nil {
			t.Fatal(err)
		}
		got := runThreads(t, level, string(text), input)
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%s: byte %d of thread %d is %#x, the host says %#x", level, i%32, i/32, got[i], want[i])
			}
		}
	}
}

// runThreads runs the kernel over the input; what threads leave alone stays zero.
func runThreads(t *testing.T, level, text string, input []byte) []byte {
	t.Helper()
	mod, err := Parse(text)
	if err != nil {
		t.Fatal(level, err)
	}
	m := New(Config{Seed: 1})
	p, err := m.Load(0, mod)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 32*clangThreads)
	a, b := put(t, m, append(bytes.Clone(input), make([]byte, 64)...)), put(t, m, out)
	params := binary.LittleEndian.AppendUint64(nil, a)
	params = binary.LittleEndian.AppendUint64(params, b)
	params = binary.LittleEndian.AppendUint32(params, clangThreads)
	if _, err := m.Launch(Launch{Program: p, Entry: "run", Grid: [3]int{2, 1, 1}, Block: [3]int{320, 1, 1}, Params: params}); err != nil {
		t.Fatal(level, err)
	}
	if err := m.Read(b, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// put allocates memory on GPU 0 and writes data to it.
func put(t testing.TB, m *Machine, data []byte) uint64 {
	t.Helper()
	a, err := m.Alloc(0, int64(max(len(data), 1)))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Write(a, data); err != nil {
		t.Fatal(err)
	}
	return a
}
