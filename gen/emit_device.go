package gen

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/dave/jennifer/jen"

	"moegen/ir"
	"moegen/kernels/gpu"
	"moegen/kernels/ptx"
)

// deviceCode is what a program for a GPU declares beside its functions: the kernels that it launches and the boxes
// that their tensor maps copy, each once, in the order in which they are met.
type deviceCode struct {
	steps   []*gpu.Step // the first launch of every kernel
	kernels map[string]string
	specs   []ptx.MapSpec
	boxes   map[string]string
}

// rank is the type of the receiver of every call.
func (e *emitter) rank() *jen.Statement {
	path := hostPath
	if e.plan.Target == "h100" {
		path = devicePath
	}
	return jen.Id("r").Op("*").Qual(path, "Rank")
}

// kernelVar returns the variable that describes the kernel of a launch.
func (e *emitter) kernelVar(s *gpu.Step) string {
	d := &e.device
	name, seen := d.kernels[s.Entry]
	if !seen {
		if d.kernels == nil {
			d.kernels = map[string]string{}
		}
		name = e.scope.fresh(camel(strings.Split(s.Entry, "_")))
		d.kernels[s.Entry] = name
		d.steps = append(d.steps, s)
	}
	return name
}

// boxVar returns the variable that describes what a tensor map copies at once.
func (e *emitter) boxVar(spec ptx.MapSpec) string {
	d := &e.device
	key := fmt.Sprint(spec)
	name, seen := d.boxes[key]
	if !seen {
		if d.boxes == nil {
			d.boxes = map[string]string{}
		}
		words := []string{"box", spec.Elem.String()}
		for i, n := range spec.Box {
			word := fmt.Sprint(n)
			if i > 0 {
				word = "x" + word
			}
			words = append(words, word)
		}
		if spec.Swizzle != ptx.NoSwizzle {
			words = append(words, fmt.Sprintf("swizzle%d", spec.Swizzle))
		}
		name = e.scope.fresh(strings.ReplaceAll(camel(words), "X", "x"))
		d.boxes[key] = name
		d.specs = append(d.specs, spec)
	}
	return name
}

// parameter emits argument j of call i, a launch on a GPU: a place in the arena, a tensor map over one, or a number.
func (b *body) parameter(i, j int, a gpu.Arg) *jen.Statement {
	of := func(name string, args ...jen.Code) *jen.Statement { return jen.Qual(devicePath, name).Call(args...) }
	if a.Differs != "" {
		return of("U32", b.literal(i, j, b.rows[0].calls[i].args[j]))
	}
	if a.Buffer == "" {
		switch a.Type {
		case ptx.U32:
			return of("U32", jen.Lit(int(uint32(a.Bits))))
		case ptx.U64:
			return of("U64", jen.Lit(int(a.Bits)))
		case ptx.F32:
			return of("F32", jen.Lit(shortest(math.Float32frombits(uint32(a.Bits)))))
		}
		panic(fmt.Sprintf("BUG: a number of type %s", a.Type))
	}
	if a.Buffer == gpu.World {
		return of("World")
	}
	place := b.place(i, j, 0)
	if a.Offset != 0 {
		place = place.Op("+").Lit(a.Offset)
	}
	if a.Map == nil {
		return of("At", place)
	}
	return of("Map", place, jen.Op("&").Id(b.e.boxVar(a.Map.Spec)), int64s(a.Map.Dims), int64s(a.Map.Strides))
}

// shortest is a float32 as the float64 with the fewest digits that rounds to it.
func shortest(v float32) float64 {
	x, err := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return x
}

func int64s(list []int) *jen.Statement {
	values := make([]jen.Code, len(list))
	for i, n := range list {
		values[i] = jen.Lit(n)
	}
	return jen.Index().Int64().Values(values...)
}

// elementType is an element type as checkpoints and the runtime call it.
func elementType(d ir.DType) *jen.Statement {
	return jen.Qual(safetensorsPath, strings.ToUpper(d.String()))
}

// module returns the kernels of the program as one module.
func (e *emitter) module() *ptx.Module {
	m := ptx.NewModule()
	for _, s := range e.device.steps {
		s.Emit(m)
	}
	return m
}

// kernelFiles are the kernels of the program: kernels.ptx, what an assembler makes of it, in a file that is empty where
// there is none, and kernels.go. The manifest says which assembler it was.
func (e *emitter) kernelFiles(assemble Assemble) (Files, error) {
	text, err := e.module().Text()
	if err != nil {
		panic("BUG: " + err.Error())
	}
	var cubin []byte
	if assemble != nil {
		if cubin, e.manifest.PTXAS, err = assemble(text); err != nil {
			return nil, err
		}
	}
	return Files{{"kernels.go", e.kernelsFile()}, {"kernels.ptx", []byte(text)}, {"kernels.cubin", cubin}}, nil
}

// kernelsFile is kernels.go: the kernels that the program launches and the boxes that they copy.
func (e *emitter) kernelsFile() []byte {
	f := e.file()
	f.Anon("embed")
	f.Comment("kernels is the code of all kernels, in PTX.")
	f.Comment("")
	f.Comment("//go:embed kernels.ptx")
	f.Var().Id("kernels").String()
	f.Line()
	f.Comment("assembled is the same as machine code, or empty.")
	f.Comment("")
	f.Comment("//go:embed kernels.cubin")
	f.Var().Id("assembled").String()
	f.Line()
	infos := map[string]ptx.Info{}
	for _, i := range e.module().Kernels() {
		infos[i.Name] = i
	}
	var rows []jen.Code
	for _, s := range e.device.steps {
		info, ok := infos[s.Entry]
		if !ok {
			panic("BUG: nobody writes kernel " + s.Entry)
		}
		fields := []jen.Code{field("Name", jen.Lit(s.Entry)), field("Threads", jen.Lit(info.Threads))}
		if info.Cluster > 1 {
			fields = append(fields, field("Cluster", jen.Lit(info.Cluster)))
		}
		if info.Shared > 0 {
			fields = append(fields, field("Shared", jen.Lit(info.Shared)))
		}
		if s.Persistent {
			fields = append(fields, field("Persistent", jen.True()))
		}
		if s.Dependent {
			fields = append(fields, field("Dependent", jen.True()))
		}
		rows = append(rows, jen.Id(e.device.kernels[s.Entry]).Op("=").Qual(devicePath, "Kernel").Values(fields...))
	}
	f.Comment("The kernels, in the order in which the programs first launch them.")
	f.Var().Defs(rows...)
	if len(e.device.specs) == 0 {
		return render(f)
	}
	rows = nil
	for _, spec := range e.device.specs {
		fields := []jen.Code{field("Element", jen.Qual(driverPath, strings.ToUpper(spec.Elem.String()))), field("Box", ints(spec.Box))}
		if spec.Swizzle != ptx.NoSwizzle {
			fields = append(fields, field("Swizzle", jen.Lit(int(spec.Swizzle))))
		}
		rows = append(rows, jen.Id(e.device.boxes[fmt.Sprint(spec)]).Op("=").Qual(devicePath, "Box").Values(fields...))
	}
	f.Line()
	f.Comment("What tensor copies move at once.")
	f.Var().Defs(rows...)
	return render(f)
}
