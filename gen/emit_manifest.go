package gen

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"

	"moegen/ir"
	"moegen/kernels/gpu"
)

// Manifest says what a binary was built for. Its JSON is that of the runtime's Manifest, whose fields say what
// each means.
type Manifest struct {
	Model                   string  `json:"model"`
	Architecture            string  `json:"architecture"`
	Config                  string  `json:"config"`
	Version                 string  `json:"moegen_version"`
	GoVersion               string  `json:"go_version"`
	PTXAS                   string  `json:"ptxas,omitempty"`
	Binding                 string  `json:"driver_binding,omitempty"`
	Target                  string  `json:"target"`
	DType                   string  `json:"dtype"`
	Optimizer               string  `json:"optimizer"`
	Seq                     int     `json:"seq"`
	MicroBatch              int     `json:"micro_batch"`
	Ranks                   int     `json:"gpus"`
	EP                      int     `json:"ep"`
	Vocab                   int     `json:"vocab_size"`
	Hidden                  int     `json:"hidden_size"`
	Layers                  int     `json:"layers"`
	Experts                 int     `json:"experts"`
	TopK                    int     `json:"top_k"`
	AuxCoef                 float64 `json:"router_aux_loss_coef"`
	Parameters              int64   `json:"parameters"`
	ActiveParameters        int64   `json:"active_parameters"`
	FLOPsPerToken           int64   `json:"flops_per_token"`
	ArenaBytes              int64   `json:"arena_bytes"`
	GradientBytes           int64   `json:"gradient_bytes"`
	PeakBytesPerGPU         int64   `json:"peak_bytes_per_gpu"`
	AccumulatingBytesPerGPU int64   `json:"accumulating_peak_bytes_per_gpu"`
	PlanHash                string  `json:"plan_hash"`
}

// Manifest returns what the binary of a plan says of itself. version and goVersion are those of moegen and of the
// toolchain that compiles the binary.
func (p *Planned) Manifest(version, goVersion string) Manifest {
	r, f := p.Request, p.Request.Model.Facts
	return Manifest{
		Model: r.Model.Name, Architecture: f.Architecture, Config: string(r.Model.Config),
		Version: version, GoVersion: goVersion,
		Target: r.Target, DType: r.DType, Optimizer: r.Optimizer, Seq: r.Seq, MicroBatch: r.MicroBatch, Ranks: p.Plan.Ranks, EP: p.Plan.EP,
		Vocab: f.Vocab, Hidden: f.Hidden, Layers: f.Layers, Experts: f.Experts, TopK: f.TopK, AuxCoef: f.AuxCoef,
		Parameters: f.Parameters, ActiveParameters: f.ActiveParameters, FLOPsPerToken: f.FLOPsPerToken(r.Seq),
		ArenaBytes: p.Plan.Bytes, GradientBytes: p.Plan.Gradients, PeakBytesPerGPU: p.Peak(1), AccumulatingBytesPerGPU: p.Peak(2), PlanHash: p.Hash,
	}
}

// worldBytes is what a rank on a GPU keeps behind its arena to know the other ranks.
func (p *Planned) worldBytes() int64 {
	if p.Request.Target != "h100" || p.Plan.Ranks == 1 {
		return 0
	}
	return gpu.WorldBytes
}

// Assemble makes machine code of a program's kernels, which are given as PTX. It returns the release of the assembler too.
type Assemble func(ptx string) (cubin []byte, release string, err error)

// Build is what a module is made with, beside its plan. Versions are those of moegen and of the toolchain that compiles
// the binary. Assemble is called once if the program has kernels in PTX; with nil they remain what they are.
type Build struct {
	Version, GoVersion string
	Driver             string // of a program for GPUs: how it reaches them; purego where it is ""
	Assemble           Assemble
}

// Drivers are the ways in which a program for GPUs reaches them, the default first.
func Drivers() []string { return []string{"purego", "cgo"} }

// Emit returns the module of a planned program.
func (p *Planned) Emit(b Build) (Files, error) {
	m := p.Manifest(b.Version, b.GoVersion)
	if p.Plan.Target == "h100" {
		if m.Binding = b.Driver; m.Binding == "" {
			m.Binding = Drivers()[0]
		}
	}
	return emit(p.Plan, m, b.Assemble)
}

// text is the manifest as it stands in the program: indented JSON.
func (m Manifest) text() string {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return string(text)
}

// programFile is program.go: the train.Program literal and the manifest.
func (e *emitter) programFile() []byte {
	f := e.file()
	text := e.manifest.text()
	f.Comment("program is what the runtime runs.")
	f.Var().Id("program").Op("=").Qual(trainPath, "Program").Custom(jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true},
		jen.Id("Manifest").Op(":").Qual(trainPath, "MustManifest").Call(jen.Id("manifest")),
		jen.Id("Params").Op(":").Id("params"),
		jen.Id("Layout").Op(":").Add(e.layout()),
		jen.Id("Zeros").Op(":").Add(e.zeros()),
		jen.Id("Target").Op(":").Add(e.target()),
	)
	f.Line()
	f.Comment("manifest says what the program was built for, marked so that moegen inspect finds it in the binary.")
	f.Const().Id("manifest").Op("=").Qual(trainPath, "ManifestMark").Op("+").
		Lit(fmt.Sprintf("%d\n", len(text))).Op("+").Op(rawString(text))
	return render(f)
}

// target is what the program runs on, with its functions.
func (e *emitter) target() *jen.Statement {
	parts := func(path string) jen.Code {
		return jen.Qual(trainPath, "Parts").Types(jen.Qual(path, "Rank")).Values(
			field("Setup", jen.Id("setup")), field("MicroBatch", jen.Id("microBatch")), field("Update", jen.Id("update")),
			field("Eval", jen.Id("eval")), field("Head", jen.Id("head")))
	}
	if e.plan.Target == "h100" {
		way := driverPath + "/" + e.manifest.Binding
		return jen.Qual(devicePath, "H100").Call(
			jen.Qual(devicePath, "Access").Values(field("Open", jen.Qual(way, "Open")), field("Inspect", jen.Qual(way, "Inspect"))),
			jen.Qual(devicePath, "Code").Values(field("PTX", jen.Id("kernels")), field("Cubin", jen.Id("assembled"))), parts(devicePath))
	}
	return jen.Qual(trainPath, "CPU").Call(parts(hostPath))
}

// rawString is a string literal, between backquotes where the text allows it.
func rawString(text string) string {
	if strings.ContainsAny(text, "`\r") {
		return fmt.Sprintf("%q", text)
	}
	return "`" + text + "`"
}

// layout tells the runtime where it finds what it reads and writes.
func (e *emitter) layout() *jen.Statement {
	fields := []jen.Code{}
	add := func(field, buffer string) *ir.Buffer {
		for _, b := range e.plan.Buffers {
			if base, _ := cutLetters(b.Name); base == buffer && (b.Role == ir.Input || b.Role == ir.Result) {
				fields = append(fields, jen.Id(field).Op(":").Id(e.arena[b]))
				return b
			}
		}
		return nil
	}
	must := func(field, buffer string) *ir.Buffer {
		b := add(field, buffer)
		if b == nil {
			panic("BUG: the plan has no buffer " + buffer)
		}
		return b
	}
	must("Tokens", "tokens")
	must("Targets", "targets")
	must("Positions", "positions")
	must("Starts", "starts")
	must("Record", "record")
	must("Loss", "loss")
	if add("AuxLoss", "aux_loss") == nil {
		fields = append(fields, jen.Id("AuxLoss").Op(":").Lit(-1))
	}
	if add("Choice", "choice") == nil {
		fields = append(fields, jen.Id("Choice").Op(":").Lit(-1))
	}
	if add("PoolUse", "pool_use") == nil {
		fields = append(fields, jen.Id("PoolUse").Op(":").Lit(-1))
	}
	must("GradNorm", "grad_norm")
	must("HeadRow", "head_row")
	logits := must("Logits", "logits")
	fields = append(fields,
		jen.Id("HeadRows").Op(":").Lit(logits.Type.Dim(0)),
		jen.Id("LogitsType").Op(":").Add(elementType(logits.Type.DType)))
	return jen.Qual(trainPath, "Layout").Custom(jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}, fields...)
}

// params is params.go: the map of every parameter to the tensors of a checkpoint, and where it lies.
func (e *emitter) params() []byte {
	f := e.file()
	grads, groups, states := map[string]*ir.Buffer{}, map[string]*ir.Buffer{}, map[string][]*ir.Buffer{}
	for _, b := range e.plan.Buffers {
		switch {
		case b.Role == ir.Gradient:
			grads[b.Param.Name] = b
		case b.Role == ir.State:
			states[b.Param.Name] = append(states[b.Param.Name], b)
		case b.Role == ir.Weight:
			for _, member := range b.Param.Members {
				groups[member] = b
			}
		}
	}
	var rows []jen.Code
	for _, b := range e.plan.Buffers {
		if b.Role == ir.Weight && b.Param.Members == nil {
			group := groups[b.Param.Name]
			rows = append(rows, param(b, group, grads[group.Param.Name], states[group.Param.Name]))
		}
	}
	f.Comment("params lists the parameters in the order of the arena.")
	f.Var().Id("params").Op("=").Index().Qual(checkpointPath, "Param").
		Custom(jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}, rows...)
	return render(f)
}

// zeros lists what must be zero when a program starts: what the optimizer keeps, and what lies between the members of a group.
func (e *emitter) zeros() *jen.Statement {
	var spans []jen.Code
	add := func(from, to int64) {
		if from < to {
			spans = append(spans, jen.Values(field("At", jen.Lit(int(from))), field("Bytes", jen.Lit(int(to-from)))))
		}
	}
	members := membersOf(e.plan.Buffers)
	for _, b := range e.plan.Buffers {
		if b.Role == ir.State {
			add(b.Offset, b.Offset+b.Bytes())
		}
		at := b.Offset
		for _, m := range members[b] {
			add(at, m.Offset)
			at = m.Offset + m.Bytes()
		}
		if members[b] != nil {
			add(at, b.Offset+b.Bytes())
		}
	}
	return jen.Index().Qual(trainPath, "Span").Custom(jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}, spans...)
}

// stateNames are the names in a checkpoint of what the optimizer keeps, torch's where it has them, by the first word of a
// buffer's name.
var stateNames = map[string]string{"low": "low_bits", "master": "master", "moment1": "exp_avg", "moment2": "exp_avg_sq"}

// param is one row of the table, of a member of a group, with what a rank has of the group's gradient and the optimizer keeps of it.
func param(value, group, grad *ir.Buffer, kept []*ir.Buffer) *jen.Statement {
	p := value.Param
	var states []jen.Code
	for _, b := range kept {
		word, _, _ := strings.Cut(b.Name, ".")
		name, ok := stateNames[word]
		if !ok {
			panic("BUG: optimizer state " + b.Name + " has no name in a checkpoint")
		}
		states = append(states, jen.Values(field("Name", jen.Lit(name)), field("Array", array(b))))
	}
	var pieces []jen.Code
	for _, piece := range p.Pieces {
		fields := []jen.Code{field("Name", jen.Lit(piece.Name)), field("Shape", ints(piece.Shape))}
		if piece.Offset != 0 {
			fields = append(fields, field("Offset", jen.Lit(piece.Offset)))
		}
		if piece.Strides != nil {
			fields = append(fields, field("Strides", ints(piece.Strides)))
		}
		if piece.Count > 0 {
			fields = append(fields, field("Count", jen.Lit(piece.Count)), field("Step", jen.Lit(piece.Step)))
		}
		if piece.Tied != "" {
			fields = append(fields, field("Tied", jen.Lit(piece.Tied)))
		}
		pieces = append(pieces, jen.Values(fields...))
	}
	fields := []jen.Code{field("Name", jen.Lit(p.Name)), field("Shape", ints(p.Shape))}
	if p.Sharded {
		fields = append(fields, field("Sharded", jen.True()))
	}
	fields = append(fields,
		field("Pieces", jen.Index().Qual(checkpointPath, "Piece").Values(pieces...)),
		field("Init", initialisation(p.Init)),
		field("Value", array(value)),
		field("Grad", array(grad)),
		field("First", jen.Lit(int((value.Offset-group.Offset)/value.Type.DType.Size()))),
		field("Share", jen.Lit(kept[0].Type.Elements())),
		field("State", jen.Index().Qual(checkpointPath, "State").Values(states...)),
	)
	return jen.Values(fields...)
}

// array is where a buffer lies and what its elements are.
func array(b *ir.Buffer) *jen.Statement {
	return jen.Qual(checkpointPath, "Array").Values(field("At", jen.Lit(int(b.Offset))), field("DType", elementType(b.Type.DType)))
}

func initialisation(i ir.Init) *jen.Statement {
	kinds := map[string]string{"normal": "InitNormal", "ones": "InitOnes", "zeros": "InitZeros"}
	if kinds[i.Kind] == "" {
		panic(fmt.Sprintf("BUG: no initialisation is called %q", i.Kind))
	}
	fields := []jen.Code{field("Kind", jen.Qual(checkpointPath, kinds[i.Kind]))}
	if i.Kind == "normal" {
		fields = append(fields, field("Std", jen.Lit(i.Std)))
	}
	if i.ZeroRows != nil {
		fields = append(fields, field("ZeroRows", ints(i.ZeroRows)))
	}
	return jen.Qual(checkpointPath, "Init").Values(fields...)
}

func field(name string, value *jen.Statement) jen.Code { return jen.Id(name).Op(":").Add(value) }

func ints(list []int) *jen.Statement {
	values := make([]jen.Code, len(list))
	for i, n := range list {
		values[i] = jen.Lit(n)
	}
	return jen.Index().Int().Values(values...)
}
