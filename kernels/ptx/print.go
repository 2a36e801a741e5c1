package ptx

import (
	"fmt"
	"sort"
	"strings"
)

// SharedLimit is the dynamic shared memory that a block can have on an H100, in bytes.
const SharedLimit = 232448

// finish checks what can only be known at the end.
func (k *Kernel) finish() {
	if k.finished {
		return
	}
	k.finished = true
	if k.shared > SharedLimit {
		k.fail("%d bytes of shared memory; a block has at most %d", k.shared, SharedLimit)
	}
	if len(k.lines) == 0 {
		k.fail("no instructions")
	}
	k.checkMaxRegs()
}

// print writes the kernel: signature, directives, registers, instructions.
func (k *Kernel) print(b *strings.Builder) {
	fmt.Fprintf(b, ".visible .entry %s(", k.name)
	for i, p := range k.params {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n\t.param ")
		if p.Map != nil {
			fmt.Fprintf(b, ".align 64 .b8 %s[128]", p.Name)
		} else {
			fmt.Fprintf(b, ".%s %s", p.Type, p.Name)
		}
	}
	fmt.Fprintf(b, "\n)\n.reqntid %d, 1, 1\n", k.threads)
	if k.maxReg.warpgroups > 0 || k.noSpills { // or ptxas ignores setmaxnreg where few registers are needed (C7508)
		b.WriteString(".minnctapersm 1\n")
	}
	if k.cluster > 1 {
		fmt.Fprintf(b, ".explicitcluster\n.reqnctapercluster %d, 1, 1\n", k.cluster)
	}
	b.WriteString("{\n")
	var prefixes []string
	for p := range k.count {
		prefixes = append(prefixes, p)
	}
	sort.Strings(prefixes)
	for _, p := range prefixes {
		fmt.Fprintf(b, "\t.reg .%s %%%s<%d>;\n", storage[p], p, k.count[p])
	}
	for _, d := range k.order {
		fmt.Fprintf(b, "\t.reg .%s %s", d.typ.untyped(), d.name)
		if d.n > 0 {
			fmt.Fprintf(b, "<%d>", d.n)
		}
		b.WriteString(";\n")
	}
	for _, l := range k.lines {
		b.WriteString(l)
		b.WriteString("\n")
	}
	b.WriteString("}\n")
}

// storage declares registers without an arithmetic type, so that As costs nothing.
var storage = map[string]string{"p": "pred", "h": "b16", "r": "b32", "f": "b32", "rd": "b64"}
