package nvidia

import (
	"fmt"

	"moegen/runtime/driver"
)

// CheckShared returns an error when a GPU has not the shared memory that a kernel asks for beside its static one.
func CheckShared(f *driver.Function, gpu int, on driver.Info) error {
	if f.Shared < 0 || f.Shared+f.Static > on.Shared {
		return &driver.Error{Message: fmt.Sprintf("kernel %s asks for %d bytes of shared memory beside %d static ones and GPU %d has %d", f.Name, f.Shared, f.Static, gpu, on.Shared)}
	}
	return nil
}

// Place gives a kernel its next parameter, of so many bytes, and lays it out as PTX does. The driver's own offsets
// are another thing: they count from where parameters begin in a bank of constants, which is no multiple of 64, so
// that a tensor map lies 48 bytes further on there.
func Place(f *driver.Function, bytes int) error {
	if len(f.ParamAt) == MaxParams {
		return &driver.Error{Message: fmt.Sprintf("kernel %s has more than %d parameters", f.Name, MaxParams)}
	}
	align := bytes
	if bytes == len(driver.TensorMap{}) {
		align = driver.MapAlign
	}
	at := (f.ParamBytes + align - 1) / align * align
	f.ParamAt, f.ParamBytes = append(f.ParamAt, at), at+bytes
	return nil
}
