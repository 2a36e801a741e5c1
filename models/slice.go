package models

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// FirstLayers returns the model cut off behind its first n layers, all widths kept: what fits on one GPU of a model that
// does not, for measuring. Its config is that of a model of its own.
func (m *Model) FirstLayers(n int) (*Model, error) {
	if n < 1 || n > m.Facts.Layers {
		return nil, fmt.Errorf("%s has %d layers, of which --layers can keep 1 to %d, not %d", m.Name, m.Facts.Layers, m.Facts.Layers, n)
	}
	fields := map[string]any{}
	dec := json.NewDecoder(bytes.NewReader(m.Config))
	dec.UseNumber()
	if err := dec.Decode(&fields); err != nil {
		panic("BUG: " + err.Error())
	}
	fields["num_hidden_layers"] = n
	if list, ok := fields["mlp_only_layers"].([]any); ok {
		fields["mlp_only_layers"] = slices.DeleteFunc(list, func(x any) bool {
			l, ok := integer(x)
			return ok && l >= n
		})
	}
	text, err := json.MarshalIndent(fields, "", "  ")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	name := fmt.Sprintf("%s-%d-layers", m.Name, n)
	return Parse(name, name+".json", append(text, '\n'))
}
