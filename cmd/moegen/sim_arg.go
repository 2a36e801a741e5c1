package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"moegen/runtime/sim"
)

// A kernelArg is one --arg of moegen sim: a number, or a buffer of device memory whose address is passed.
type kernelArg struct {
	text   string
	number []byte // little-endian; nil for buffers and for gpu:
	signed bool
	gpu    bool   // the number of the GPU that the launch is on
	size   int64  // bytes of the buffer
	data   []byte // what it holds at first; nil: nothing, every byte is undefined
	output string // file that receives it afterwards; "": none
}

// maxBuffer keeps a mistyped size from taking the host's memory.
const maxBuffer = 4 << 30

// parseKernelArg reads one argument, and the file that it names.
func parseKernelArg(text string) (kernelArg, error) {
	a := kernelArg{text: text}
	kind, rest, ok := strings.Cut(text, ":")
	if !ok {
		return a, fmt.Errorf("--arg %s has no kind; write u32:7, f32:0.5, in:FILE, out:FILE:BYTES or inout:FILE:OUTFILE", text)
	}
	var err error
	switch kind {
	case "u32", "u64":
		err = a.setInteger(kind, rest, strconv.ParseUint)
	case "s32", "s64":
		a.signed = true
		err = a.setInteger(kind, rest, func(s string, base, bits int) (uint64, error) {
			v, err := strconv.ParseInt(s, base, bits)
			return uint64(v), err
		})
	case "f32", "f64":
		err = a.setFloat(kind, rest)
	case "gpu":
		a.gpu = true
		if rest != "" {
			err = fmt.Errorf("--arg %s: gpu: takes no value", text)
		}
	case "in":
		err = a.load(rest)
	case "out":
		err = a.setOutput(rest)
	case "inout":
		i := strings.LastIndexByte(rest, ':')
		if i <= 0 || i == len(rest)-1 {
			return a, fmt.Errorf("--arg %s needs two files: inout:FILE:OUTFILE", text)
		}
		a.output = rest[i+1:]
		err = a.load(rest[:i])
	default:
		err = fmt.Errorf("--arg %s: there is no kind %q; use u32, s32, u64, s64, f32, f64, gpu, in, out or inout", text, kind)
	}
	return a, err
}

func (a *kernelArg) setInteger(kind, digits string, parse func(string, int, int) (uint64, error)) error {
	bits, _ := strconv.Atoi(kind[1:])
	v, err := parse(digits, 0, bits)
	if err != nil {
		return fmt.Errorf("--arg %s: %q is no number of kind %s", a.text, digits, kind)
	}
	a.number = binary.LittleEndian.AppendUint64(nil, v)[:bits/8]
	return nil
}

func (a *kernelArg) setFloat(kind, digits string) error {
	bits, _ := strconv.Atoi(kind[1:])
	v, err := strconv.ParseFloat(digits, bits)
	if err != nil {
		return fmt.Errorf("--arg %s: %q is no number of kind %s", a.text, digits, kind)
	}
	if bits == 32 {
		a.number = binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(v)))
	} else {
		a.number = binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))
	}
	return nil
}

func (a *kernelArg) load(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--arg %s: %w", a.text, err)
	}
	if len(data) == 0 {
		return fmt.Errorf("--arg %s: %s is empty, and a buffer has at least a byte", a.text, path)
	}
	a.data, a.size = data, int64(len(data))
	return nil
}

func (a *kernelArg) setOutput(rest string) error {
	i := strings.LastIndexByte(rest, ':')
	if i <= 0 {
		return fmt.Errorf("--arg %s needs a file and a size: out:FILE:BYTES", a.text)
	}
	size, err := strconv.ParseInt(rest[i+1:], 0, 64)
	if err != nil || size < 1 || size > maxBuffer {
		return fmt.Errorf("--arg %s: %q is no size; give 1 to %d bytes", a.text, rest[i+1:], int64(maxBuffer))
	}
	a.output, a.size = rest[:i], size
	return nil
}

// buffer tells whether the argument is the address of a buffer.
func (a *kernelArg) buffer() bool { return a.size > 0 }

// place puts the argument into the parameter buffer of a launch on a GPU; address is its buffer's.
func (a *kernelArg) place(params []byte, p sim.Param, gpu int, address uint64) error {
	v := a.number
	switch {
	case a.buffer():
		v = binary.LittleEndian.AppendUint64(nil, address)
	case a.gpu:
		v = binary.LittleEndian.AppendUint32(nil, uint32(gpu))
	}
	if p.Size < len(v) && p.Size <= 2 {
		v = a.narrow(v, p.Size)
	}
	if p.Size != len(v) {
		return fmt.Errorf("--arg %s has %d bytes and parameter %s has %d", a.text, len(v), p.Name, p.Size)
	}
	copy(params[p.Offset:], v)
	return nil
}

// narrow cuts an integer to a parameter of one or two bytes, for which there is no kind, if no digit is lost.
func (a *kernelArg) narrow(v []byte, size int) []byte {
	fill := byte(0)
	if a.signed && v[size-1]&0x80 != 0 {
		fill = 0xff
	}
	for _, b := range v[size:] {
		if b != fill {
			return v
		}
	}
	return v[:size]
}

// parseDim reads X, X,Y or X,Y,Z; what is left out is 1.
func parseDim(flag, text string) ([3]int, error) {
	dim := [3]int{1, 1, 1}
	parts := strings.Split(text, ",")
	if len(parts) > 3 {
		return dim, fmt.Errorf("--%s %s has more than three sizes; write X,Y,Z", flag, text)
	}
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || n > math.MaxInt32 {
			return dim, fmt.Errorf("--%s %s: %q is no size; write X,Y,Z with numbers from 1", flag, text, part)
		}
		dim[i] = n
	}
	return dim, nil
}
