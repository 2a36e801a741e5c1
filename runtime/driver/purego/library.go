// Package purego reaches NVIDIA GPUs through the driver's own library.
package purego

import "github.com/ebitengine/purego"

// load opens a shared library by name.
func load(name string) (uintptr, error) {
	return purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_GLOBAL)
}
