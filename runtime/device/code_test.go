package device

import (
	"slices"
	"testing"

	"moegen/runtime/driver"
)

// loader is a device that takes some images and notes what it is given.
type loader struct {
	driver.Device
	answers map[string]error
	given   []string
}

func (l *loader) Load(image []byte) (driver.Module, string, error) {
	l.given = append(l.given, string(image))
	return driver.Module(len(l.given)), "", l.answers[string(image)]
}

// The machine code goes first; the text follows only where a device refuses the machine code.
func TestLoad(t *testing.T) {
	refused, lost := &driver.Error{Message: "no"}, &driver.Error{Kind: driver.Lost, Message: "gone"}
	for _, c := range []struct {
		name    string
		code    Code
		answers map[string]error
		want    []string
		err     error
	}{
		{"both", Code{"text", "code"}, nil, []string{"code"}, nil},
		{"text alone", Code{"text", ""}, nil, []string{"text"}, nil},
		{"code refused", Code{"text", "code"}, map[string]error{"code": refused}, []string{"code", "text"}, nil},
		{"both refused", Code{"text", "code"}, map[string]error{"code": &driver.Error{Message: "not that"}, "text": refused}, []string{"code", "text"}, refused},
		{"GPU lost", Code{"text", "code"}, map[string]error{"code": lost}, []string{"code"}, lost},
	} {
		l := &loader{answers: c.answers}
		m, err := c.code.load(l)
		if !slices.Equal(l.given, c.want) || err != c.err || err == nil && int(m) != len(c.want) {
			t.Errorf("%s: loaded %q, got module %d and %v; want %q, %v", c.name, l.given, m, err, c.want, c.err)
		}
	}
}
