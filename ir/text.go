package ir

import (
	"fmt"
	"strconv"
	"strings"
)

// Print returns the text form of a graph; Parse reads it back exactly.
//
//	graph micro_batch ranks 1
//	map head [64 16] init normal 0.02
//	  piece "lm_head.weight" [64 16] at 0
//	input targets i32[8]
//	param head f32[64 16] of head
//	y.y, y.rstd = rms_norm(x, w) {eps=1e-06} @layers.0 : f32[8 16], f32[8]
//	write grad.head <- acc.head
//
// Declarations come first: maps to checkpoint tensors, then operands from outside by role. A node is
// results = operation(operands) {attributes} @section : types of the results; _ stands for an operand left out.
// Empty parts are not printed, and a reader may leave the types out. Lines that begin with # are comments.
func Print(g *Graph) string {
	var t text
	t.line("graph %s ranks %d", g.Name, g.Ranks)
	var params []*Param
	for _, v := range g.Outside {
		params = append(params, v.Param)
	}
	t.maps(params)
	for _, v := range g.Outside {
		t.line("%s %s %s%s", v.Role, v.Name, v.Type, ofMap(v.Param))
	}
	for _, n := range g.Nodes {
		types := make([]string, len(n.Out))
		for i, v := range n.Out {
			types[i] = v.Type.String()
		}
		s := call(n.Op, n.Attrs, n.Section, names(n.In, valueName), names(n.Out, valueName))
		if len(types) > 0 {
			s += " : " + strings.Join(types, ", ")
		}
		t.line("%s", s)
	}
	for _, w := range g.Results {
		t.line("write %s <- %s", w.To.Name, w.From.Name)
	}
	return t.String()
}

// PrintPlan returns the text form of a plan; ParsePlan reads it back exactly.
//
//	plan "qwen3-moe-tiny" target "cpu" ranks 2 ep 2 bytes 65536 gradients 4096
//	buffer tokens i32[8] input at 0
//	buffer y f32[8 16] activation micro_batch 3..7 at 4096
//	program micro_batch
//	  y, rstd = rms_norm(x, w) {eps=1e-06} @layers.0 kernel rms_norm workspace ws cost 512 1120 0
//
// Maps stand before the buffers, as in a graph. A launch ends with its kernel, its workspace, if any, its
// cost (FLOPs, bytes, bytes sent), the stream that it is on, if that is not the compute stream, and the launches of other
// streams that it waits for, by their numbers in the program from 0: cost 0 8 4 on communication after 7.
func PrintPlan(p *Plan) string {
	var t text
	t.line("plan %q target %q ranks %d ep %d bytes %d gradients %d", p.Model, p.Target, p.Ranks, p.EP, p.Bytes, p.Gradients)
	var params []*Param
	for _, b := range p.Buffers {
		params = append(params, b.Param)
	}
	t.maps(params)
	for _, b := range p.Buffers {
		life := ""
		if b.Role == Activation {
			life = fmt.Sprintf(" %s %d..%d", b.Program, b.First, b.Last)
		}
		t.line("buffer %s %s %s%s%s at %d", b.Name, b.Type, b.Role, life, ofMap(b.Param), b.Offset)
	}
	for _, program := range p.Programs {
		t.line("program %s", program.Name)
		for _, l := range program.Launches {
			s := call(l.Op, l.Attrs, l.Section, names(l.In, bufferName), names(l.Out, bufferName)) + " kernel " + l.Kernel
			if l.Workspace != nil {
				s += " workspace " + l.Workspace.Name
			}
			s += fmt.Sprintf(" cost %d %d %d", l.Cost.FLOPs, l.Cost.Bytes, l.Cost.Sent)
			if l.Stream != Compute {
				s += " on " + streamNames[l.Stream]
			}
			for i, a := range l.After {
				if i == 0 {
					s += " after"
				}
				s += fmt.Sprintf(" %d", a)
			}
			t.line("  %s", s)
		}
	}
	return t.String()
}

// text is a text form under construction.
type text struct{ strings.Builder }

func (t *text) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

// maps prints each of the parameters once, whatever the number of its copies; entries may be nil.
func (t *text) maps(params []*Param) {
	seen := map[string]bool{}
	for _, p := range params {
		if p == nil || seen[p.Name] {
			continue
		}
		seen[p.Name] = true
		s := fmt.Sprintf("map %s %v", p.Name, p.Shape)
		if p.Expert {
			s += " expert"
		}
		if p.Sharded {
			s += " sharded"
		}
		if p.Init.Kind != "" {
			s += " init " + p.Init.Kind + " " + floatText(p.Init.Std)
			if p.Init.ZeroRows != nil {
				s += fmt.Sprintf(" zero %v", p.Init.ZeroRows)
			}
		}
		if p.Parts > 1 {
			s += fmt.Sprintf(" parts %d", p.Parts)
		}
		if p.Members != nil {
			s += " members [" + strings.Join(p.Members, " ") + "]"
		}
		t.line("%s", s)
		for _, piece := range p.Pieces {
			s := fmt.Sprintf("  piece %q %v at %d", piece.Name, piece.Shape, piece.Offset)
			if piece.Strides != nil {
				s += fmt.Sprintf(" strides %v", piece.Strides)
			}
			if piece.Count != 0 {
				s += fmt.Sprintf(" count %d step %d", piece.Count, piece.Step)
			}
			if piece.Tied != "" {
				s += fmt.Sprintf(" tied %q", piece.Tied)
			}
			t.line("%s", s)
		}
	}
}

func ofMap(p *Param) string {
	if p == nil {
		return ""
	}
	return " of " + p.Name
}

// call prints what graphs and plans share of a node.
func call(op *Op, attrs Attrs, section string, in, out []string) string {
	s := op.Name + "(" + strings.Join(in, ", ") + ")"
	if len(out) > 0 {
		s = strings.Join(out, ", ") + " = " + s
	}
	if len(attrs) > 0 {
		s += " " + attrs.String()
	}
	if section != "" {
		s += " @" + section
	}
	return s
}

// String returns the text form: {eps=1e-06, heads=4}.
func (a Attrs) String() string {
	parts := make([]string, len(a))
	for i, x := range a {
		parts[i] = x.Key + "=" + attrText(x.Value)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func attrText(value any) string {
	switch v := value.(type) {
	case int:
		return strconv.Itoa(v)
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return floatText(v)
	case string:
		return strconv.Quote(v)
	case []float64:
		list := make([]string, len(v))
		for i, x := range v {
			list[i] = floatText(x)
		}
		return "[" + strings.Join(list, " ") + "]"
	}
	panic(fmt.Sprintf("BUG: attribute of type %T", value))
}

// floatText prints a float so that it reads back as the same one, and as a float rather than an integer.
func floatText(x float64) string {
	s := strconv.FormatFloat(x, 'g', -1, 64)
	if _, err := strconv.Atoi(s); err == nil {
		s += ".0"
	}
	return s
}

// names returns the names of values or buffers, _ for one left out.
func names[T Value | Buffer](list []*T, name func(*T) string) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = "_"
		if x != nil {
			out[i] = name(x)
		}
	}
	return out
}

func valueName(v *Value) string { return v.Name }

func bufferName(b *Buffer) string { return b.Name }

// isName reports whether s can name a value: not the mark of an operand left out, and free of what separates
// the parts of a line.
func isName(s string) bool {
	return s != "" && s != "_" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`,(){}[]=:@"<#`, r)
	})
}
