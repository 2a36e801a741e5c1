package sim

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzParse: no text makes the parser, the validator or the lowering panic or hang.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/programs/*.ptx", "testdata/kernels/*.ptx"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal(pattern, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
		}
	}
	f.Add(head + ".visible .entry k(.param .align 8 .b8 p[16])\n{\n.reg .b32 %r<3>;\n{ .reg .b32 t; mov.b64 {t, %r0}, 0x1; }\nx: .branchtargets A, B;\nA: brx.idx %r1, x;\nB: @!%p0 ret;\n}\n")
	f.Add(head + ".global .align 8 .u64 t[2] = {generic(t)+8, 0x10U};\n.const .f32 c = 0f3F800000;\n")
	f.Fuzz(func(t *testing.T, text string) {
		if mod, err := Parse(text); err == nil {
			for _, e := range mod.Entries() {
				_ = e.ParamBytes()
			}
		}
	})
}
