package ir

import "fmt"

// Attr is one named constant of a node: int, float64, bool, string, []float64.
type Attr struct {
	Key   string
	Value any
}

// Attrs are a node's constants, in the order in which its operation documents them.
type Attrs []Attr

func (a Attrs) find(key string) any {
	for _, x := range a {
		if x.Key == key {
			return x.Value
		}
	}
	panic(fmt.Sprintf("BUG: no attribute %q", key))
}

// Int returns an integer attribute.
func (a Attrs) Int(key string) int { return a.find(key).(int) }

// Float returns a floating-point attribute.
func (a Attrs) Float(key string) float64 { return a.find(key).(float64) }

// Bool returns a boolean attribute.
func (a Attrs) Bool(key string) bool { return a.find(key).(bool) }

// Str returns a string attribute.
func (a Attrs) Str(key string) string { return a.find(key).(string) }

// Floats returns a list attribute.
func (a Attrs) Floats(key string) []float64 { return a.find(key).([]float64) }

// With returns a copy with one attribute set or added at the end.
func (a Attrs) With(key string, value any) Attrs {
	b := append(Attrs(nil), a...)
	for i := range b {
		if b[i].Key == key {
			b[i].Value = value
			return b
		}
	}
	return append(b, Attr{key, value})
}
