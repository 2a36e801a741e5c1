package device

import (
	"errors"

	"moegen/runtime/driver"
)

// Code is the kernels of a program, all in one module.
type Code struct {
	PTX   string // their text, which every device takes
	Cubin string // what an assembler made of it; "" where the program was built without one
}

// load loads the machine code if there is some and the device takes it, or else the text: a driver that is older than the
// assembler may refuse its work, and the simulator runs text alone. Of the text a driver makes machine code itself, which
// takes seconds.
func (c *Code) load(d driver.Device) (driver.Module, error) {
	if c.Cubin != "" {
		m, _, err := d.Load([]byte(c.Cubin))
		var e *driver.Error
		if !errors.As(err, &e) || e.Kind != driver.Refused {
			return m, err
		}
	}
	m, _, err := d.Load([]byte(c.PTX))
	return m, err
}
