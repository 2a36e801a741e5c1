package sim

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The files of testdata/programs are right programs with planted bugs in comments. Their first lines say
//
//	// launch: grid 2 block 64 cluster 2 smem 256 gpus 2
//	// params: u32 7, out 256, in 64, map bf16 64x32 box 64x8 swizzle 3
//	// want: 0 u32 1 2 3        (words of the first buffer, from its start)
//	// A: race                  (what mutant A is reported as; kinds, and words of the message)
//
// Mutant A is the text without the lines that end in "//-A" and with the lines that begin with "//+A" made real. The
// unchanged program must run silently under every seed, each mutant must be reported as its line says.
type program struct {
	name      string
	text      string
	launch    map[string]int
	params    []string
	want      []string
	mutants   map[string]string
	mutantIDs []string
}

func readProgram(t *testing.T, path string) *program {
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{name: strings.TrimSuffix(filepath.Base(path), ".ptx"), text: string(raw), launch: map[string]int{"grid": 1, "block": 32, "cluster": 1, "gpus": 1}, mutants: map[string]string{}}
	s := bufio.NewScanner(strings.NewReader(p.text))
	for s.Scan() {
		line, ok := strings.CutPrefix(s.Text(), "// ")
		if !ok {
			break
		}
		key, value, ok := strings.Cut(line, ": ")
		if !ok {
			continue
		}
		switch key {
		case "launch":
			f := strings.Fields(value)
			for i := 0; i+1 < len(f); i += 2 {
				n, err := strconv.Atoi(f[i+1])
				if err != nil {
					t.Fatal(path, value)
				}
				p.launch[f[i]] = n
			}
		case "params":
			p.params = strings.Split(value, ", ")
		case "want":
			p.want = append(p.want, value)
		default:
			if len(key) == 1 {
				p.mutants[key] = value
				p.mutantIDs = append(p.mutantIDs, key)
			}
		}
	}
	return p
}

// mutate plants bug id.
func (p *program) mutate(id string) string {
	var out []string
	for line := range strings.SplitSeq(p.text, "\n") {
		if strings.HasSuffix(line, "//-"+id) {
			line = "// removed"
		}
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "//+"+id+" "); ok {
			line = rest
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

// run executes a text under a seed and checks what it should have written.
func (p *program) run(t *testing.T, text string, seed uint64) error {
	mod, err := Parse(text)
	if err != nil {
		return err
	}
	m := New(Config{Seed: seed, GPUs: p.launch["gpus"]})
	prog, err := m.Load(0, mod)
	if err != nil {
		t.Fatal(err)
	}
	if p.launch["gpus"] > 1 {
		if err := m.EnablePeer(0, 1); err != nil {
			t.Fatal(err)
		}
	}
	var params []byte
	var buffers []uint64
	pad := func(n int) {
		for len(params)%n != 0 {
			params = append(params, 0)
		}
	}
	for _, s := range p.params {
		f := strings.Fields(s)
		number := func(i int) int {
			n, err := strconv.Atoi(f[i])
			if err != nil {
				t.Fatal(p.name, s)
			}
			return n
		}
		switch f[0] {
		case "u32":
			pad(4)
			params = binary.LittleEndian.AppendUint32(params, uint32(number(1)))
			continue
		case "map":
			a := put(t, m, make([]byte, 8192))
			buffers = append(buffers, a)
			tm := TensorMap{Type: 9, Address: a, Dims: []uint64{64, 64}, Strides: []uint64{128}, Box: []uint32{64, uint32(number(1))}, Swizzle: number(2)}
			e, err := tm.Encode()
			if err != nil {
				t.Fatal(err)
			}
			pad(64)
			params = append(params, e[:]...)
			continue
		}
		gpu := 0
		if len(f) > 2 {
			gpu = number(2)
		}
		a, err := m.Alloc(gpu, int64(number(1)))
		if err != nil {
			t.Fatal(err)
		}
		if f[0] == "in" { // words 0, 1, 2 …
			b := make([]byte, number(1))
			for i := 0; i+4 <= len(b); i += 4 {
				binary.LittleEndian.PutUint32(b[i:], uint32(i/4))
			}
			if err := m.Write(a, b); err != nil {
				t.Fatal(err)
			}
		}
		buffers = append(buffers, a)
		pad(8)
		params = binary.LittleEndian.AppendUint64(params, a)
	}
	l := Launch{Program: prog, Entry: mod.Entries()[0].Name, Grid: [3]int{p.launch["grid"], 1, 1}, Block: [3]int{p.launch["block"], 1, 1},
		Cluster: [3]int{p.launch["cluster"], 1, 1}, SharedBytes: p.launch["smem"], Params: params}
	if _, err := m.Launch(l); err != nil {
		return err
	}
	for _, w := range p.want {
		f := strings.Fields(w)
		i, err := strconv.Atoi(f[0])
		if err != nil {
			t.Fatal(p.name, w)
		}
		got := make([]byte, 4*len(f[2:]))
		if err := m.Read(buffers[i], got); err != nil {
			t.Fatal(err)
		}
		for k, x := range f[2:] {
			u := binary.LittleEndian.Uint32(got[4*k:])
			text := fmt.Sprint(u)
			switch f[1] {
			case "s32":
				text = fmt.Sprint(int32(u))
			case "f32":
				text = fmt.Sprint(math.Float32frombits(u))
			case "hex":
				text = fmt.Sprintf("%x", u)
			}
			if text != x {
				return fmt.Errorf("word %d of buffer %d is %s, not %s", k, i, text, x)
			}
		}
	}
	return nil
}

const programSeeds = 12

func TestPrograms(t *testing.T) {
	files, err := filepath.Glob("testdata/programs/*.ptx")
	if err != nil || len(files) == 0 {
		t.Fatal("no programs", err)
	}
	for _, path := range files {
		p := readProgram(t, path)
		t.Run(p.name, func(t *testing.T) {
			for seed := range uint64(programSeeds) {
				if err := p.run(t, p.text, seed); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
			for _, id := range p.mutantIDs {
				p.runMutant(t, id)
			}
		})
	}
}

// runMutant wants the report under the plain schedule and under most of the others: every one of them would hide a bug
// that only some order of events shows, so the checkers must not depend on it.
func (p *program) runMutant(t *testing.T, id string) {
	kind, words, _ := strings.Cut(p.mutants[id], " ")
	for seed := range uint64(programSeeds) {
		err := p.run(t, p.mutate(id), seed)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("mutant %s, seed %d: %v, want %s", id, seed, err, p.mutants[id])
			return
		}
		if !strings.Contains("|"+kind+"|", "|"+string(e.Kind)+"|") || !strings.Contains(e.Error(), words) {
			t.Errorf("mutant %s, seed %d: %v, want %s", id, seed, err, p.mutants[id])
			return
		}
		if e.Line == 0 {
			t.Errorf("mutant %s: no line: %v", id, err)
		}
	}
}
