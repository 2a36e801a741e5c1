package gen

import (
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"

	"moegen/ir"
	"moegen/kernels"
)

// program is the file of one program: its function, and below it a function for every kind of section.
func (e *emitter) program(p *ir.Program) []byte {
	f := e.file()
	segments, kinds := sections(e.plan.Target, p)
	name := e.scope.fresh(camel(strings.Split(p.Name, "_")))
	f.Comment(name + " " + programText[p.Name])
	if len(segments) <= 1 {
		e.function(f, name, segments)
		return render(f)
	}
	for _, k := range kinds {
		if layer, ok := layerOf(k.segments[0].section); ok && e.scope[k.name] && len(k.segments) == 1 {
			k.name += fmt.Sprintf("Layer%d", layer) // one layer differs from the others
		}
		k.name = e.scope.fresh(k.name)
	}
	f.Func().Id(name).Params(jen.Id("r").Op("*").Qual(hostPath, "Rank")).BlockFunc(func(g *jen.Group) {
		for _, part := range repeats(segments) {
			e.callKinds(g, segments, part)
		}
	})
	for _, k := range kinds {
		f.Line()
		f.Comment(k.name + " runs " + k.text())
		e.function(f, k.name, k.segments)
	}
	return render(f)
}

// kindName names the function of a kind of sections of a program: attentionForward, attentionBackward,
// attentionEval.
func kindName(program, section string) string {
	forward, backward := strings.CutSuffix(section, backwardSuffix)
	name := sectionKind(forward)
	switch {
	case backward:
		return name + "Backward"
	case program == "micro_batch":
		return name + "Forward"
	case program == "eval":
		return name + "Eval"
	}
	return name
}

var programText = map[string]string{
	"setup":       "fills what is constant for the life of the process.",
	"micro_batch": "runs forward and backward of one micro-batch.",
	"update":      "reduces gradients over ranks, clips them and applies the optimizer.",
	"eval":        "runs the forward pass alone.",
	"head":        "computes the logits of a few tokens of the last eval.",
}

// text says which sections of the plan a kind stands for.
func (k *kind) text() string {
	first, last := k.segments[0].section, k.segments[len(k.segments)-1].section
	switch {
	case first == "":
		return "what belongs to no section of the plan."
	case len(k.segments) == 1:
		return "section " + first + " of the plan."
	default:
		return fmt.Sprintf("one of the sections %s to %s of the plan, at o.", first, last)
	}
}

// callKinds emits the calls of one part of a program.
func (e *emitter) callKinds(g *jen.Group, segments []*segment, part repeat) {
	call := func(g *jen.Group, s *segment, index *jen.Statement) {
		if len(s.kind.segments) == 1 {
			g.Id(s.kind.name).Call(jen.Id("r"))
			return
		}
		g.Id(s.kind.name).Call(jen.Id("r"), jen.Op("&").Id(s.kind.name+"At").Index(index))
	}
	period := segments[part.first : part.first+len(part.kinds)]
	if part.times == 1 {
		call(g, period[0], jen.Lit(period[0].row))
		return
	}
	loop := jen.Id("i").Op(":=").Range().Lit(part.times)
	if s := period[0]; s.row == 0 && len(s.kind.segments) == part.times {
		loop = jen.Id("i").Op(":=").Range().Id(s.kind.name + "At")
	}
	g.For(loop).BlockFunc(func(g *jen.Group) {
		for _, s := range period {
			index := jen.Id("i")
			if s.row > 0 {
				index = jen.Lit(s.row).Op("+").Id("i")
			}
			call(g, s, index)
		}
	})
}

// function emits the function of a kind, and before it the struct and after it the table of what differs.
func (e *emitter) function(f *jen.File, name string, rows []*segment) {
	params := []jen.Code{jen.Id("r").Op("*").Qual(hostPath, "Rank")}
	if len(rows) == 0 {
		f.Func().Id(name).Params(params...).Block()
		return
	}
	b := newBody(e, rows)
	statements := b.statements()
	if len(rows) > 1 {
		params = append(params, jen.Id("o").Op("*").Id(name+"Offsets"))
	}
	f.Func().Id(name).Params(params...).BlockFunc(func(g *jen.Group) {
		if len(b.consts) == 1 {
			g.Const().Add(b.consts[0])
			g.Line()
		} else if len(b.consts) > 1 {
			g.Const().Defs(b.consts...)
			g.Line()
		}
		if b.pool {
			g.Id("p").Op(":=").Id("r").Dot("Pool")
			g.Line()
		}
		for _, s := range statements {
			g.Add(s)
		}
	})
	if len(rows) == 1 {
		return
	}
	e.scope.take(name + "Offsets")
	e.scope.take(name + "At")
	f.Line()
	f.Comment(name + "Offsets is what differs from one call of " + name + " to the next: places in the arena, in bytes.")
	f.Type().Id(name + "Offsets").Struct(b.fields...)
	f.Line()
	f.Comment(name + "At lists them in the order of execution: " + rows[0].section + " first.")
	table := make([]jen.Code, len(rows))
	for i := range rows {
		table[i] = jen.Values(b.columns[i]...)
	}
	f.Var().Id(name+"At").Op("=").Index(jen.Op("...")).Id(name+"Offsets").
		Custom(jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}, table...)
}

// body is a function under construction: of each argument it knows whether it is the same in all rows, hence
// a constant, or a field of the row.
type body struct {
	e       *emitter
	rows    []*segment
	scope   scope                 // of the function
	members scope                 // of the struct
	names   map[string]string     // what an argument stands for in all rows → its name
	shown   map[*ir.Buffer]string // of the middle row → its name
	consts  []jen.Code
	fields  []jen.Code
	columns [][]jen.Code // of each row
	pool    bool
}

func newBody(e *emitter, rows []*segment) *body {
	return &body{
		e: e, rows: rows, scope: e.scope.inner(), members: scope{},
		names: map[string]string{}, shown: map[*ir.Buffer]string{}, columns: make([][]jen.Code, len(rows)),
	}
}

// statements emits one call a launch with its comment, a blank line between them.
func (b *body) statements() []*jen.Statement {
	var out []*jen.Statement
	for i, c := range b.rows[0].calls {
		var values []jen.Code
		for j, a := range c.args {
			values = append(values, b.argument(i, j, a)...)
		}
		if i > 0 {
			out = append(out, jen.Line())
		}
		for _, line := range b.comment(i) {
			out = append(out, jen.Comment(line))
		}
		function := strings.TrimPrefix(c.kernel.Name, "host.")
		if method, ok := strings.CutPrefix(function, "Rank."); ok {
			out = append(out, jen.Id("r").Dot(method).Call(values...))
		} else {
			out = append(out, jen.Qual(hostPath, function).Call(values...))
		}
	}
	return out
}

// argument emits argument j of call i; the rank of a method is its receiver and no argument.
func (b *body) argument(i, j int, a kernels.Arg) []jen.Code {
	c := b.rows[0].calls[i]
	switch a.Kind {
	case kernels.Rank:
		if strings.HasPrefix(c.kernel.Name, "host.Rank.") {
			return nil
		}
		return []jen.Code{jen.Id("r")}
	case kernels.Pool:
		b.pool = true
		return []jen.Code{jen.Id("p")}
	case kernels.Accumulate:
		return []jen.Code{jen.Id("r").Dot("Accumulate").Call()}
	case kernels.Record:
		return []jen.Code{b.view(i, j, 0).Index(jen.Qual(hostPath, a.Name))}
	case kernels.Scalars:
		var elements []jen.Code
		for k := range c.buffers(j) {
			elements = append(elements, b.view(i, j, k).Index(jen.Lit(0)))
		}
		return []jen.Code{jen.Index().Id(goTypes[c.buffers(j)[0].Type.DType]).Values(elements...)}
	case kernels.Literal:
		return []jen.Code{b.literal(i, j, a)}
	default:
		return []jen.Code{b.view(i, j, 0)}
	}
}

// view emits the slice of the arena that is buffer k of argument j of call i.
func (b *body) view(i, j, k int) *jen.Statement {
	buffer := b.rows[0].calls[i].buffers(j)[k]
	if buffer == nil {
		return jen.Nil()
	}
	method := map[ir.DType]string{ir.F32: "F32", ir.F64: "F64", ir.I32: "I32"}[buffer.Type.DType]
	return jen.Id("r").Dot(method).Call(b.place(i, j, k), jen.Lit(buffer.Type.Elements()))
}

// place emits where that buffer lies.
func (b *body) place(i, j, k int) *jen.Statement {
	first := b.rows[0].calls[i].buffers(j)[k]
	if name, ok := b.e.arena[first]; ok && b.everywhere(i, j, k) {
		return jen.Id(name)
	}
	offsets := make([]any, len(b.rows))
	constant := true
	for r, row := range b.rows {
		offsets[r] = row.calls[i].buffers(j)[k].Offset
		constant = constant && offsets[r] == offsets[0]
	}
	wish := b.wish(i, j, k)
	what := fmt.Sprint(wish, offsets)
	name, seen := b.names[what]
	switch {
	case seen:
	case constant:
		name = b.scope.fresh(wish)
		b.consts = append(b.consts, jen.Id(name).Op("=").Lit(int(first.Offset)).Comment(typeText(first.Type)))
	default:
		name = b.members.fresh(wish)
		b.field(jen.Id(name).Int64().Comment(typeText(first.Type)), offsets)
	}
	b.names[what] = name
	b.shown[b.middle().calls[i].buffers(j)[k]] = name
	if constant {
		return jen.Id(name)
	}
	return jen.Id("o").Dot(name)
}

// everywhere reports whether all rows have the very same buffer there.
func (b *body) everywhere(i, j, k int) bool {
	for _, row := range b.rows {
		if row.calls[i].buffers(j)[k] != b.rows[0].calls[i].buffers(j)[k] {
			return false
		}
	}
	return true
}

// middle is the row that names are taken from: neither the first nor the last layer.
func (b *body) middle() *segment { return b.rows[len(b.rows)/2] }

// wish is the name that a buffer would like to have in the function.
func (b *body) wish(i, j, k int) string {
	row := b.middle()
	c := row.calls[i]
	if c.args[j].Kind == kernels.Workspace {
		return "workspace"
	}
	buffer := c.buffers(j)[k]
	here, isLayer := layerOf(row.section)
	there, ofLayer := layerOf(buffer.Name)
	name := goName(buffer.Name)
	switch {
	case isLayer && ofLayer && there < here:
		return camel([]string{"previous", name})
	case isLayer && ofLayer && there > here:
		return camel([]string{"next", name})
	}
	return name
}

// literal emits a constant, or a field where it has a name and differs.
func (b *body) literal(i, j int, a kernels.Arg) *jen.Statement {
	values := make([]any, len(b.rows))
	constant := true
	for r, row := range b.rows {
		values[r] = row.calls[i].args[j].Value
		constant = constant && (a.Name == "" || values[r] == values[0])
	}
	if constant {
		return literal(a.Value)
	}
	what := fmt.Sprint(a.Name, values)
	if b.names[what] == "" {
		b.names[what] = b.members.fresh(a.Name)
		b.field(jen.Id(b.names[what]).Id(fmt.Sprintf("%T", a.Value)), values)
	}
	return jen.Id("o").Dot(b.names[what])
}

// field adds a column to the table.
func (b *body) field(declaration jen.Code, values []any) {
	b.fields = append(b.fields, declaration)
	for r, v := range values {
		if offset, ok := v.(int64); ok {
			v = int(offset)
		}
		b.columns[r] = append(b.columns[r], jen.Lit(v))
	}
}

func literal(v any) *jen.Statement {
	switch v := v.(type) {
	case []float64:
		list := make([]jen.Code, len(v))
		for i, x := range v {
			list[i] = jen.Lit(x)
		}
		return jen.Index().Float64().Custom(jen.Options{Open: "{", Close: "}", Separator: ",", Multi: true}, list...)
	default:
		return jen.Lit(v)
	}
}

// comment says what call i computes: the operation, and its operands and results with their shapes.
func (b *body) comment(i int) []string {
	l := b.middle().calls[i].launch
	text := l.Op.Name + ":"
	list := func(buffers []*ir.Buffer) string {
		var parts []string
		for _, buffer := range buffers {
			if buffer == nil || buffer.Name == "record" {
				continue
			}
			name := b.shown[buffer]
			if name == "" {
				name = goName(buffer.Name)
			}
			parts = append(parts, name+" "+shapeText(buffer.Type))
		}
		return strings.Join(parts, ", ")
	}
	if in := list(l.In); in != "" {
		text += " " + in
	}
	if out := list(l.Out); out != "" {
		text += " → " + out
	}
	return wrap(text, 110)
}

// wrap breaks a comment into lines of at most width characters, between shapes.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, part := range strings.SplitAfter(text, "] ") {
		for _, piece := range strings.SplitAfter(part, "], ") {
			if line != "" && len([]rune(line+piece)) > width {
				lines = append(lines, strings.TrimSpace(line))
				line = ""
			}
			line += piece
		}
	}
	return append(lines, strings.TrimRight(line, " "))
}
