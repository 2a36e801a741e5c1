package gen

import (
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"

	"moegen/ir"
	"moegen/kernels"
)

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

// statements emits one call a launch with its comment, a blank line between them. They begin and end on the compute stream.
func (b *body) statements() []*jen.Statement {
	var out []*jen.Statement
	on := ir.Compute
	for i, c := range b.rows[0].calls {
		var values []jen.Code
		for j, a := range c.args {
			values = append(values, b.argument(i, j, a)...)
		}
		if !c.more {
			if i > 0 {
				out = append(out, jen.Line())
			}
			for _, line := range b.comment(i) {
				out = append(out, jen.Comment(line))
			}
		}
		out = append(out, c.before(on)...)
		if !c.idle {
			out = append(out, b.call(c, values))
		}
		out = append(out, c.after()...)
		on = c.meeting.stream
	}
	if on != ir.Compute {
		out = append(out, turn(ir.Compute))
	}
	return out
}

// call emits a call with its arguments.
func (b *body) call(c call, values []jen.Code) *jen.Statement {
	if c.step != nil {
		values = append([]jen.Code{jen.Op("&").Id(b.e.kernelVar(c.step)), jen.Lit(c.step.Grid)}, values...)
		return jen.Id("r").Dot("Launch").Call(values...)
	}
	function := strings.TrimPrefix(strings.TrimPrefix(c.kernel.Name, "host."), "device.")
	if method, ok := strings.CutPrefix(function, "Rank."); ok {
		return jen.Id("r").Dot(method).Call(values...)
	}
	return jen.Qual(hostPath, function).Call(values...)
}

// argument emits argument j of call i; the rank of a method is its receiver and no argument.
func (b *body) argument(i, j int, a kernels.Arg) []jen.Code {
	c := b.rows[0].calls[i]
	if c.step != nil {
		return []jen.Code{b.parameter(i, j, c.step.Args[j])}
	}
	switch a.Kind {
	case kernels.Rank:
		if strings.Contains(c.kernel.Name, ".Rank.") {
			return nil
		}
		return []jen.Code{jen.Id("r")}
	case kernels.Pool:
		b.pool = true
		return []jen.Code{jen.Id("p")}
	case kernels.None:
		return []jen.Code{jen.Nil()}
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
	case kernels.DType:
		return []jen.Code{elementType(a.Value.(ir.DType))}
	default:
		return []jen.Code{b.view(i, j, 0)}
	}
}

// view emits the slice of the arena that is buffer k of argument j of call i; on a GPU, where it lies.
func (b *body) view(i, j, k int) *jen.Statement {
	buffer := b.rows[0].calls[i].buffers(j)[k]
	if buffer == nil {
		return jen.Nil()
	}
	if b.e.plan.Target != "cpu" {
		return b.place(i, j, k)
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
	case []int:
		return ints(v)
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
