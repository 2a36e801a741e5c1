package sim

import (
	"sort"
	"strings"
	"sync"
)

// A form is one line of the instruction table: which modifiers an opcode takes, in order, which operands, and which
// .version and .target it needs. A line reads
//
//	op mod mod? {a,b} {a,b}? | operands | version target
//
// with ? for what may be absent, {} for a choice, $name for one of the sets below. Operands are
//
//	d s      register written, value read, of the last type in the opcode; d1 s1 of the first type; d2 s2 of the second
//	dw sw    of twice the width
//	d+ s+    the register may be wider than the type (ld, st, cvt); dv sv also a vector of .v2, .v4 or .v8 of them
//	d:T s:T  of type T whatever the opcode says
//	dp       like d, or a pair d|p with a predicate; dm the same in 32 bits; dd a predicate or a pair of them
//	dmov smov  like d and s, or a vector whose elements together have the type's width
//	m        memory; mt a tensor: memory with coordinates
//	v        a vector of 32-bit registers; wa such a vector or a 64-bit descriptor; p a predicate or a number
//	i        an integer known now; l a label, function or list; call what call takes
//
// and ? again for what may be absent. Version and target default to 1.0 and sm_10: older than anything anyone writes.
type form struct {
	op       string
	mods     []modifier
	operands []operandForm
	version  int
	target   int
	accel    bool // needs the architecture-specific target sm_90a
	text     string
}

type modifier struct {
	names    []string
	optional bool
}

type operandForm struct {
	code     string // what stands before the colon: d, s, dw, m …
	typ      dtype  // after the colon
	optional bool
}

var tableSets = map[string]string{
	"$rnd":   "{rn,rz,rm,rp}",
	"$int":   "{s16,u16,s32,u32,s64,u64}",
	"$i3264": "{s32,u32,s64,u64}",
	"$bits":  "{b16,b32,b64}",
	"$space": "{global,shared,shared::cta,shared::cluster,local,const,param,param::entry,param::func}",
	"$gs":    "{global,shared,shared::cta,shared::cluster}",
	"$sc":    "{shared,shared::cta}",
	"$scope": "{cta,cluster,gpu,sys}",
	"$vec":   "{v2,v4}",
	"$cop":   "{ca,cg,cs,lu,cv,wb,wt}",
	"$l1":    "{L1::evict_normal,L1::evict_unchanged,L1::evict_first,L1::evict_last,L1::no_allocate}",
	"$l2":    "{L2::64B,L2::128B,L2::256B}",
	"$hint":  "L2::cache_hint",
	"$mem":   "{b8,u8,s8,b16,u16,s16,b32,u32,s32,b64,u64,s64,f32,f64}",
	"$cmp":   "{eq,ne,lt,le,gt,ge,lo,ls,hi,hs,equ,neu,ltu,leu,gtu,geu,num,nan}",
	"$bool":  "{and,or,xor}",
	"$half":  "{f16,f16x2,bf16,bf16x2}",
	"$cvt":   "{u8,s8,u16,s16,u32,s32,u64,s64}",
	"$dim":   "{1d,2d,3d,4d,5d}",
	"$tx":    "mbarrier::complete_tx::bytes",

	"$wgmma8": wgmmaShapes("k8"), "$wgmma16": wgmmaShapes("k16"), "$wgmma32": wgmmaShapes("k32"),
}

// table returns the forms of an operation, in the order of the text.
func table(op string) []*form { return readTable()[op] }

var readTable = sync.OnceValue(func() map[string][]*form {
	out := map[string][]*form{}
	for _, text := range []string{scalarForms, floatForms, memoryForms, asyncForms, warpForms, matrixForms} {
		for line := range strings.SplitSeq(text, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				f := parseForm(line)
				out[f.op] = append(out[f.op], f)
			}
		}
	}
	return out
})

// Forms lists every line of the instruction table, sorted: what the simulator runs, and all that it runs.
func Forms() []string {
	var out []string
	for _, fs := range readTable() {
		for _, f := range fs {
			out = append(out, f.text)
		}
	}
	sort.Strings(out)
	return out
}

func parseForm(line string) *form {
	cells := strings.Split(line, "|")
	if len(cells) < 2 || len(cells) > 3 {
		panic("BUG: instruction table: " + line)
	}
	words := strings.Fields(cells[0])
	f := &form{op: words[0], text: line, version: 10}
	for _, w := range words[1:] {
		f.mods = append(f.mods, parseModifier(w))
	}
	for _, w := range strings.Fields(cells[1]) {
		f.operands = append(f.operands, parseOperandForm(w))
	}
	if len(cells) == 3 {
		for _, w := range strings.Fields(cells[2]) {
			if sm, ok := strings.CutPrefix(w, "sm_"); ok {
				f.accel = strings.HasSuffix(sm, "a")
				f.target = atoi(strings.TrimSuffix(sm, "a"))
			} else {
				f.version = atoi(strings.Replace(w, ".", "", 1))
			}
		}
	}
	return f
}

func atoi(s string) int {
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' {
			panic("BUG: instruction table: number " + s)
		}
		n = n*10 + int(c-'0')
	}
	return n
}

func parseModifier(w string) modifier {
	m := modifier{}
	w, m.optional = strings.CutSuffix(w, "?")
	if set, ok := tableSets[w]; ok {
		w = set
	} else if w[0] == '$' {
		panic("BUG: instruction table: set " + w)
	}
	m.names = strings.Split(strings.Trim(w, "{}"), ",")
	return m
}

func parseOperandForm(w string) operandForm {
	o := operandForm{}
	w, o.optional = strings.CutSuffix(w, "?")
	code, typ, typed := strings.Cut(w, ":")
	o.code = code
	if typed {
		if o.typ = typeNamed(typ); o.typ.class == 0 {
			panic("BUG: instruction table: type " + typ)
		}
	}
	return o
}

// matches holds the modifiers of an instruction against the form's.
func (f *form) matches(mods []string) bool { return matchModifiers(f.mods, mods) }

func matchModifiers(forms []modifier, mods []string) bool {
	if len(forms) == 0 {
		return len(mods) == 0
	}
	if len(mods) > 0 {
		for _, n := range forms[0].names {
			if n == mods[0] && matchModifiers(forms[1:], mods[1:]) {
				return true
			}
		}
	}
	return forms[0].optional && matchModifiers(forms[1:], mods)
}
