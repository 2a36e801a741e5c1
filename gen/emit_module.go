package gen

import (
	"bytes"
	"fmt"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"text/template"

	"moegen"
	"moegen/templates"
)

// BuildFlags are the flags of go build that make the binary of a module whose programs reach GPUs by a driver, without
// anything of the place where it was built. Name look-ups of the standard library go without C in any case.
func BuildFlags(driver string) []string {
	flags := []string{"-mod=vendor", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="}
	if driver == "cgo" {
		flags = append(flags, "-tags="+strings.Join(cgoTags, ","))
	}
	return flags
}

// cgoTags are the build tags of modules with cgo.
var cgoTags = []string{"cgodriver", "netgo", "osusergo"}

// BuildEnvironment is what of the environment go build makes a binary with: static, or through C. Package cu includes
// cuda.h, of which cgoFiles puts one beside it, and links libcuda, for which cgoFiles has an empty one. The management
// library's functions are found when they are called first, which some linkers would do at start.
func BuildEnvironment(driver string) []string {
	if driver != "cgo" {
		return []string{"CGO_ENABLED=0", "GOAMD64=v1"}
	}
	return []string{"CGO_ENABLED=1", "GOAMD64=v1", "CGO_CFLAGS=-O2 -fvisibility=hidden -Wno-deprecated-declarations -I.", "CGO_LDFLAGS=-O2 -L" + cgoDriver + " -Wl,-z,lazy"}
}

// cgoDriver is the folder of the driver that goes through C.
const cgoDriver = "runtime/driver/cgo"

// cgoFiles are what a module with cgo has beside its packages: a header for package cu, which would look for NVIDIA's, and
// an empty library.
func cgoFiles() Files {
	var files Files
	for _, f := range [][2]string{{"cuda.h", "vendor/gorgonia.org/cu"}, {"functions.h", "vendor/gorgonia.org/cu"}, {"libcuda.a", cgoDriver}} {
		data, err := moegen.Sources.ReadFile(path.Join(cgoDriver, f[0]))
		if err != nil {
			panic("BUG: " + err.Error())
		}
		files = append(files, File{path.Join(f[1], f[0]), data})
	}
	return files
}

// own is the import path under which the runtime lives here.
const own = "moegen"

// standing returns the files of a module that do not depend on its plan: the runtime and its third parties,
// go.mod and the README.
func standing(m Manifest) (Files, error) {
	s := &sources{driver: m.Binding, seen: map[string]bool{}}
	roots := map[string][]string{"cpu": {"train"}, "h100": {"device", "driver/" + m.Binding}}
	for _, root := range roots[m.Target] {
		if err := s.add(own + "/runtime/" + root); err != nil {
			return nil, err
		}
	}
	requires, modules, err := s.modules()
	if err != nil {
		return nil, err
	}
	files := append(s.files, File{"vendor/modules.txt", modules})
	if s.driver == "cgo" {
		files = append(files, cgoFiles()...)
	}
	blanks := map[string]any{
		"Module": module, "Manifest": m, "Requires": requires, "Build": buildCommand(m.Binding),
	}
	for _, name := range []string{"go.mod", "README.md"} {
		var text bytes.Buffer
		t, err := template.ParseFS(templates.Files, name+".tmpl")
		if err == nil {
			err = t.Execute(&text, blanks)
		}
		if err != nil {
			panic("BUG: " + err.Error())
		}
		files = append(files, File{name, text.Bytes()})
	}
	return files, nil
}

// buildCommand is how a person builds the module.
func buildCommand(driver string) string {
	words := slices.Concat(BuildEnvironment(driver), []string{"go", "build"}, BuildFlags(driver), []string{"-o", "train", "."})
	for i, word := range words {
		if strings.Contains(word, " ") {
			name, value, _ := strings.Cut(word, "=")
			words[i] = name + "='" + value + "'"
		}
	}
	return strings.Join(words, " ")
}

// sources collects packages and what they import.
type sources struct {
	driver   string // how the program reaches GPUs
	files    Files
	seen     map[string]bool
	vendored []string // import paths
}

// architectures are those that a module can be built for, on Linux.
var architectures = []string{"amd64", "arm64"}

// add copies a package and, recursively, its imports, except those of the standard library.
func (s *sources) add(importPath string) error {
	local, mine := strings.CutPrefix(importPath, own+"/")
	if s.seen[importPath] || !mine && !strings.Contains(importPath, ".") {
		return nil
	}
	s.seen[importPath] = true
	from, to := local, local
	if !mine {
		from = "vendor/" + importPath
		to = from
		s.vendored = append(s.vendored, importPath)
	}
	var names, imports []string
	for _, arch := range architectures {
		context := embedded(arch)
		if s.driver == "cgo" {
			context.CgoEnabled, context.BuildTags = true, cgoTags
		}
		p, err := context.ImportDir(from, 0)
		if err != nil {
			return fmt.Errorf("package %s is not embedded as it should be: %w", importPath, err)
		}
		names = append(names, slices.Concat(p.GoFiles, p.CgoFiles, p.CFiles, p.SFiles, p.HFiles)...)
		imports = append(imports, p.Imports...)
	}
	sort.Strings(names)
	for _, name := range slices.Compact(names) {
		data, err := moegen.Sources.ReadFile(path.Join(from, name))
		if err != nil {
			return err
		}
		if mine && strings.HasSuffix(name, ".go") {
			data = rehomed(data)
		}
		s.files = append(s.files, File{path.Join(to, name), data})
	}
	sort.Strings(imports)
	for _, i := range slices.Compact(imports) {
		if err := s.add(i); err != nil {
			return err
		}
	}
	return nil
}

// embedded is a build context in which the embedded sources are the disk.
func embedded(arch string) *build.Context {
	return &build.Context{
		GOOS: "linux", GOARCH: arch, Compiler: "gc", ReleaseTags: build.Default.ReleaseTags,
		JoinPath:  path.Join,
		IsAbsPath: func(string) bool { return false },
		HasSubdir: func(_, _ string) (string, bool) { return "", false },
		IsDir:     func(name string) bool { i, err := fs.Stat(moegen.Sources, name); return err == nil && i.IsDir() },
		OpenFile:  func(name string) (io.ReadCloser, error) { return moegen.Sources.Open(name) },
		ReadDir: func(name string) ([]fs.FileInfo, error) {
			entries, err := moegen.Sources.ReadDir(name)
			var infos []fs.FileInfo
			for _, e := range entries {
				info, err := e.Info()
				if err != nil {
					return nil, err
				}
				infos = append(infos, info)
			}
			return infos, err
		},
	}
}

// rehomed returns a Go file of the runtime with its imports of the runtime pointing into the module.
func rehomed(source []byte) []byte {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "", source, parser.ImportsOnly)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	var out []byte
	at := 0
	for _, spec := range file.Imports {
		old, _ := strconv.Unquote(spec.Path.Value)
		if rest, ok := strings.CutPrefix(old, own+"/"); ok {
			start, end := set.Position(spec.Path.Pos()).Offset, set.Position(spec.Path.End()).Offset
			out = append(out, source[at:start]...)
			out = append(out, strconv.Quote(module+"/"+rest)...)
			at = end
		}
	}
	return append(out, source[at:]...)
}

// modules returns what go.mod requires ("path version") and vendor/modules.txt, cut down to the packages that
// were copied, and copies the licences of their modules.
func (s *sources) modules() (requires []string, text []byte, err error) {
	list, err := moegen.Sources.ReadFile("vendor/modules.txt")
	if err != nil {
		return nil, nil, err
	}
	wanted := map[string]bool{}
	for _, p := range s.vendored {
		wanted[p] = true
	}
	for _, block := range strings.Split("\n"+string(list), "\n# ")[1:] {
		lines := strings.Split(strings.TrimSpace(block), "\n")
		kept := []string{"# " + lines[0]}
		for _, line := range lines[1:] {
			if strings.HasPrefix(line, "## ") || wanted[line] {
				kept = append(kept, line)
			}
		}
		if !wanted[kept[len(kept)-1]] {
			continue
		}
		requires = append(requires, lines[0])
		text = append(text, strings.Join(kept, "\n")+"\n"...)
		if err := s.licences("vendor/" + strings.Fields(lines[0])[0]); err != nil {
			return nil, nil, err
		}
	}
	return requires, text, nil
}

// licences copies what stands in capital letters in a module's root.
func (s *sources) licences(folder string) error {
	entries, err := moegen.Sources.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		base := strings.TrimSuffix(e.Name(), ".txt")
		if e.IsDir() || base != strings.ToUpper(base) {
			continue
		}
		data, err := moegen.Sources.ReadFile(path.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		s.files = append(s.files, File{path.Join(folder, e.Name()), data})
	}
	return nil
}
