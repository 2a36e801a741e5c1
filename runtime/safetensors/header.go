package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxHeader is the format's limit for the header, in bytes.
const maxHeader = 100_000_000

// Info describes a tensor: its name, element type and row-major shape ([] is a scalar).
type Info struct {
	Name  string
	DType DType
	Shape []int
}

// Elements is the number of elements.
func (t Info) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Bytes is the size on disk, in bytes.
func (t Info) Bytes() int64 { return int64(t.Elements()) * int64(t.DType.bits()) / 8 }

// entry is a tensor of a header and where its data lies, in bytes from the end of the header.
type entry struct {
	Info
	begin, end int64
}

// parseHeader reads the JSON part of a file whose data part is data bytes long, and returns the tensors in
// the order of their data. All rules of the format are enforced: the tensors fill the data part without hole
// or overlap, each has the size that its type and shape need, no name occurs twice.
func parseHeader(header []byte, data int64) ([]entry, error) {
	if len(header) == 0 || header[0] != '{' {
		return nil, errors.New("the header does not start with {")
	}
	if !utf8.Valid(header) {
		return nil, errors.New("the header is not UTF-8")
	}
	if !json.Valid(header) {
		return nil, fmt.Errorf("the header is not JSON: %w", json.Unmarshal(header, new(any)))
	}
	dec := json.NewDecoder(bytes.NewReader(header))
	dec.UseNumber()
	var entries []entry
	err := eachField(dec, func(name string) error {
		if name == "__metadata__" {
			_, err := stringMap(dec)
			return where("__metadata__", err)
		}
		e, err := parseEntry(dec)
		e.Name = name
		entries = append(entries, e)
		return where(fmt.Sprintf("tensor %q", name), err)
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	var at int64
	for i, e := range entries {
		switch {
		case e.begin < at:
			return nil, fmt.Errorf("tensors %q and %q overlap in the file", entries[i-1].Name, e.Name)
		case e.begin > at:
			return nil, fmt.Errorf("tensor %q starts at byte %d of the data where %d was expected: there is a hole before it", e.Name, e.begin, at)
		case e.end > data:
			return nil, fmt.Errorf("tensor %q ends at byte %d of the data, but the file has %d: it is cut short", e.Name, e.end, data)
		}
		at = e.end
	}
	if at != data {
		return nil, fmt.Errorf("%d bytes follow the last tensor", data-at)
	}
	return entries, nil
}

// parseEntry reads one tensor's object and holds its size against its type and shape.
func parseEntry(dec *json.Decoder) (entry, error) {
	var e entry
	var offsets []int64
	seen := map[string]bool{}
	err := eachField(dec, func(field string) error {
		seen[field] = true
		switch field {
		case "dtype":
			s, err := stringValue(dec)
			e.DType = DType(s)
			if err == nil && e.DType.order() < 0 {
				err = fmt.Errorf("%q is not an element type of the format", s)
			}
			return where(field, err)
		case "shape":
			dims, err := integers(dec)
			e.Shape = make([]int, len(dims))
			for i, d := range dims {
				e.Shape[i] = int(d)
			}
			return where(field, err)
		case "data_offsets":
			var err error
			offsets, err = integers(dec)
			if err == nil && (len(offsets) != 2 || offsets[0] > offsets[1]) {
				err = fmt.Errorf("%v is not a begin and an end", offsets)
			}
			return where(field, err)
		}
		return fmt.Errorf("%q is not a field of the format", field)
	})
	if err != nil {
		return e, err
	}
	for _, field := range []string{"dtype", "shape", "data_offsets"} {
		if !seen[field] {
			return e, fmt.Errorf("%s is missing", field)
		}
	}
	e.begin, e.end = offsets[0], offsets[1]
	size, ok := byteSize(e.DType, e.Shape)
	if !ok {
		return e, fmt.Errorf("shape %v of %s does not have a size in whole bytes that a file can hold", e.Shape, e.DType)
	}
	if size != e.end-e.begin {
		return e, fmt.Errorf("shape %v of %s needs %d bytes, but data_offsets give it %d", e.Shape, e.DType, size, e.end-e.begin)
	}
	return e, nil
}

// byteSize is the size of a tensor, false if it overflows or is not a whole number of bytes.
func byteSize(d DType, shape []int) (int64, bool) {
	n := uint64(d.bits())
	for _, dim := range shape {
		hi, lo := bits.Mul64(n, uint64(dim))
		if hi != 0 || lo > math.MaxInt64 {
			return 0, false
		}
		n = lo
	}
	return int64(n / 8), n%8 == 0
}

// eachField reads an object and calls f for each key, which must consume the value. The text has been
// checked to be JSON.
func eachField(dec *json.Decoder, f func(key string) error) error {
	if t, _ := dec.Token(); t != json.Delim('{') {
		return errors.New("an object was expected")
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		key := t.(string)
		if seen[key] {
			return fmt.Errorf("%q occurs twice", key)
		}
		seen[key] = true
		if err := f(key); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

// stringMap reads an object of strings.
func stringMap(dec *json.Decoder) (map[string]string, error) {
	m := map[string]string{}
	err := eachField(dec, func(key string) error {
		s, err := stringValue(dec)
		m[key] = s
		return where(fmt.Sprintf("%q", key), err)
	})
	return m, err
}

func stringValue(dec *json.Decoder) (string, error) {
	t, _ := dec.Token()
	s, ok := t.(string)
	if !ok {
		return "", errors.New("a string was expected")
	}
	return s, nil
}

// integers reads a list of non-negative integers.
func integers(dec *json.Decoder) ([]int64, error) {
	if t, _ := dec.Token(); t != json.Delim('[') {
		return nil, errors.New("a list was expected")
	}
	var list []int64
	for dec.More() {
		t, _ := dec.Token()
		number, ok := t.(json.Number)
		if !ok {
			return nil, errors.New("a list of integers was expected")
		}
		n, err := number.Int64()
		if err != nil || n < 0 || strings.HasPrefix(number.String(), "-") {
			return nil, fmt.Errorf("%s is not a non-negative integer", number)
		}
		list = append(list, n)
	}
	_, err := dec.Token()
	return list, err
}

// where prefixes an error with the place that it speaks of.
func where(place string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", place, err)
}

// formatHeader is the header of a file with these tensors in this order, length prefix included, padded with
// spaces to a multiple of eight bytes as the reference implementation does.
func formatHeader(tensors []Info) []byte {
	var b bytes.Buffer
	b.Write(make([]byte, 8))
	b.WriteString(`{"__metadata__":{"format":"pt"}`)
	var at int64
	for _, t := range tensors {
		b.WriteByte(',')
		b.Write(quote(t.Name))
		dims := make([]string, len(t.Shape))
		for i, d := range t.Shape {
			dims[i] = fmt.Sprint(d)
		}
		fmt.Fprintf(&b, `:{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}`, t.DType, strings.Join(dims, ","), at, at+t.Bytes())
		at += t.Bytes()
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	header := b.Bytes()
	binary.LittleEndian.PutUint64(header, uint64(len(header)-8))
	return header
}

// quote is s as a JSON string with nothing escaped that need not be.
func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic("BUG: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
