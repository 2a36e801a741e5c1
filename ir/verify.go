package ir

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Verify checks that a graph is well formed: names unique, operands defined before use, attributes present,
// result types as inferred, writes typed and to values that may be written. It returns all violations.
func Verify(g *Graph) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(g.Name+": "+format, args...)) }
	names, defined := map[string]bool{}, map[*Value]bool{}
	define := func(v *Value) {
		if !isName(v.Name) {
			bad("%q is not a name", v.Name)
		}
		if names[v.Name] {
			bad("two values are named %s", v.Name)
		}
		names[v.Name], defined[v] = true, true
	}
	for _, v := range g.Outside {
		define(v)
		if v.Role == Activation || v.Def != nil {
			bad("%s comes from outside but has no role", v.Name)
		}
		if v.Role == Weight && v.Param == nil {
			bad("%s has no map to checkpoint tensors", v.Name)
		}
	}
	params := map[string]*Param{}
	for _, v := range g.Outside {
		if p := v.Param; p != nil {
			if other, seen := params[p.Name]; seen && !reflect.DeepEqual(other, p) {
				bad("two different maps to checkpoint tensors are named %s", p.Name)
			}
			params[p.Name] = p
		}
	}
	for i, n := range g.Nodes {
		if n.Section != "" && !isName(n.Section) {
			bad("node %d (%s): %q is not a section", i, n.Op.Name, n.Section)
		}
		for _, v := range n.In {
			if v != nil && !defined[v] {
				bad("node %d (%s) uses %s before its definition", i, n.Op.Name, v.Name)
			}
		}
		types, err := inferNode(n)
		if err != nil {
			bad("node %d (%s): %v", i, n.Op.Name, err)
			continue
		}
		if len(types) != len(n.Out) {
			bad("node %d (%s) has %d results, want %d", i, n.Op.Name, len(n.Out), len(types))
			continue
		}
		for j, v := range n.Out {
			define(v)
			if !v.Type.Equal(types[j]) {
				bad("node %d (%s): %s has type %s, inferred %s", i, n.Op.Name, v.Name, v.Type, types[j])
			}
			if v.Def != n || v.Role != Activation {
				bad("%s does not point back at its node", v.Name)
			}
		}
	}
	written := map[*Value]bool{}
	for _, w := range g.Results {
		switch {
		case !defined[w.To] || !defined[w.From]:
			bad("write to %s from %s: not values of this graph", w.To.Name, w.From.Name)
		case w.To.Role == Activation || w.To.Role == Input:
			bad("%s is written at the end but is %s", w.To.Name, w.To.Role)
		case !w.To.Type.Equal(w.From.Type):
			bad("write to %s: type %s, from %s", w.To.Name, w.To.Type, w.From.Type)
		case written[w.To]:
			bad("%s is written twice", w.To.Name)
		}
		written[w.To] = true
	}
	return errors.Join(errs...)
}

// inferNode checks a node against its operation's declaration and returns the types of its results.
func inferNode(n *Node) ([]Type, error) {
	names := n.Op.Operands
	variadic := len(names) > 0 && strings.HasSuffix(names[len(names)-1], "...")
	if len(n.In) != len(names) && !(variadic && len(n.In) >= len(names)-1) {
		return nil, fmt.Errorf("%d operands, want %s", len(n.In), strings.Join(names, ", "))
	}
	accumulates, recorded := false, false
	for i, v := range n.In {
		name := names[min(i, len(names)-1)]
		if v == nil && !strings.HasSuffix(name, "?") {
			return nil, fmt.Errorf("operand %s is missing", name)
		}
		accumulates = accumulates || v != nil && strings.HasPrefix(name, "grad")
		recorded = recorded || v != nil && strings.HasPrefix(name, "record")
	}
	if accumulates && !recorded {
		return nil, errors.New("an accumulated gradient is given but no record")
	}
	if len(n.Attrs) != len(n.Op.Attrs) {
		return nil, fmt.Errorf("%d attributes, want %s", len(n.Attrs), n.Op.Attrs)
	}
	for i, want := range n.Op.Attrs {
		a := n.Attrs[i]
		if a.Key != want.Key || reflect.TypeOf(a.Value) != reflect.TypeOf(want.Value) {
			return nil, fmt.Errorf("attribute %d is %s (%T), want %s (%T)", i, a.Key, a.Value, want.Key, want.Value)
		}
	}
	types, err := n.Op.Infer(n)
	if err != nil {
		return nil, err
	}
	if len(types) != len(n.Op.Results) {
		return nil, fmt.Errorf("BUG: inferred %d results, declared %d", len(types), len(n.Op.Results))
	}
	for i, t := range types {
		for _, d := range t.Shape {
			if d.N < 1 {
				return nil, fmt.Errorf("result %s would have type %s", n.Op.Results[i], t)
			}
		}
	}
	return types, nil
}
