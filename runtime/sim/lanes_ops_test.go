package sim

import (
	"math/rand"
	"reflect"
	"testing"
	"unsafe"
)

func bytesAt(p reflect.Value) reflect.Value {
	return reflect.ValueOf((*[16 * warpSize]byte)(unsafe.Pointer(p.Interface().(*byte))))
}

// operationOf is a field of laneOps.
func operationOf(ops reflect.Value, i int) reflect.Value {
	f := ops.Field(i)
	return reflect.NewAt(f.Type(), f.Addr().UnsafePointer()).Elem()
}

// words are 32 lanes of random bits, special values of float32 among them.
func words(r *rand.Rand) *vec32 {
	special := []uint32{0, 1 << 31, 1, 0x7FFFFF, 0x800000, 0x3F800000, 0xBF800001, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7F800001, 0xFFC01234, 31, 32, 33, 0xFFFFFFFF}
	v := new(vec32)
	for i := range v {
		switch r.Intn(3) {
		case 0:
			v[i] = special[r.Intn(len(special))]
		case 1:
			v[i] = r.Uint32()
		default: // of a size that sums and products stay finite
			v[i] = r.Uint32()&0x807FFFFF | uint32(100+r.Intn(54))<<23
		}
	}
	return v
}

// Every operation is the portable one's bits, in the lanes of the mask only, also where the result is an operand.
func TestLaneOperations(t *testing.T) {
	best, portable := reflect.ValueOf(&lanes).Elem(), reflect.ValueOf(&portableLanes).Elem()
	r := rand.New(rand.NewSource(1))
	for range 2000 {
		m := r.Uint32()
		if r.Intn(4) == 0 {
			m = full
		}
		for i := range best.NumField() {
			name, kind := best.Type().Field(i).Name, best.Type().Field(i).Type
			var got, want []reflect.Value
			alias := r.Intn(kind.NumIn())
			for k := range kind.NumIn() {
				var x, y any
				switch kind.In(k) {
				case reflect.TypeFor[*vec32]():
					v := words(r)
					c := *v
					x, y = v, &c
				case reflect.TypeFor[*vec64]():
					v, u, w := new(vec64), words(r), words(r)
					for i := range v {
						v[i] = uint64(u[i])<<32 | uint64(w[i])
					}
					c := *v
					x, y = v, &c
				case reflect.TypeFor[*byte]():
					v := make([]byte, 16*warpSize)
					r.Read(v)
					c := append([]byte(nil), v...)
					x, y = &v[0], &c[0]
				default:
					x = m
					if k < kind.NumIn()-1 || name == "orderInts" {
						x = []uint32{0, 1 << 31, r.Uint32()}[r.Intn(3)]
					}
					y = x
				}
				got, want = append(got, reflect.ValueOf(x)), append(want, reflect.ValueOf(y))
			}
			if alias > 0 && kind.In(alias) == kind.In(0) && name != "readColumns" {
				got[alias], want[alias] = got[0], want[0]
			}
			a, b := operationOf(best, i).Call(got), operationOf(portable, i).Call(want)
			for k := range a {
				if a[k].Uint() != b[k].Uint() {
					t.Fatalf("%s: result %d is %#x, portable %#x", name, k, a[k].Uint(), b[k].Uint())
				}
			}
			for k := range got {
				if kind.In(k).Kind() != reflect.Pointer {
					continue
				}
				x, y := got[k], want[k]
				if kind.In(k).Elem().Kind() == reflect.Uint8 {
					x, y = bytesAt(x), bytesAt(y)
				}
				if !reflect.DeepEqual(x.Interface(), y.Interface()) {
					t.Fatalf("%s, mask %08x: operand %d is\n%x, portable\n%x", name, m, k, x.Elem(), y.Elem())
				}
			}
		}
	}
}
