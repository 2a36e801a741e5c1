package gen

import (
	"fmt"
	"strings"

	"github.com/dave/jennifer/jen"

	"moegen/ir"
)

// program is the file of one program: its function, and below it a function for every kind of section.
func (e *emitter) program(p *ir.Program) []byte {
	f := e.file()
	segments, kinds := sections(e.plan.Target, p)
	name := camel(strings.Split(p.Name, "_"))
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
	f.Func().Id(name).Params(e.rank()).BlockFunc(func(g *jen.Group) {
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
	"micro_batch": "runs forward and backward of one micro-batch, and adds gradients up over the ranks.",
	"update":      "clips the gradients and applies the optimizer.",
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

// function emits the function of a kind, and after it, where there are several rows, a struct and a table of what
// differs between them.
func (e *emitter) function(f *jen.File, name string, rows []*segment) {
	params := []jen.Code{e.rank()}
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
	e.scope[name+"Offsets"], e.scope[name+"At"] = true, true
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
