package sim

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"
)

// A generator of C programs: integer and float variables, assignments, conditions, bounded loops, switches, calls.
type generator struct {
	r     *rand.Rand
	b     strings.Builder
	depth int
	loops int
}

func (g *generator) pick(list ...string) string { return list[g.r.Intn(len(list))] }

func (g *generator) integer(depth int) string {
	if depth == 0 || g.r.Intn(4) == 0 {
		return g.pick("a", "b", "c", "d", "(int)u", "i", fmt.Sprint(g.r.Intn(200)-100), fmt.Sprintf("0x%x", g.r.Int31()))
	}
	x, y := g.integer(depth-1), g.integer(depth-1)
	switch g.r.Intn(9) {
	case 0:
		return fmt.Sprintf("(%s %s (%s & 31))", x, g.pick("<<", ">>"), y)
	case 1:
		return fmt.Sprintf("(%s %s (%s | 1))", fmt.Sprintf("(unsigned)(%s)", x), g.pick("/", "%"), y)
	case 2:
		return fmt.Sprintf("(%s ? %s : %s)", g.condition(depth-1), x, y)
	case 3:
		return fmt.Sprintf("(%s)(%s)", g.pick("char", "short", "unsigned char", "unsigned short", "long long", "unsigned"), x)
	case 4:
		return fmt.Sprintf("f%d(%s, %s)", g.r.Intn(2), x, y)
	case 5:
		return fmt.Sprintf("v[(%s) & 7]", x)
	case 6:
		return fmt.Sprintf("(int)(x * %d.0f)", g.r.Intn(50))
	}
	return fmt.Sprintf("(%s %s %s)", x, g.pick("+", "-", "*", "&", "|", "^"), y)
}

// float stays within values that do not become infinite or NaN: an int made of those would not be defined in C.
func (g *generator) float(depth int) string {
	if depth == 0 || g.r.Intn(3) == 0 {
		return g.pick("x", "y", "0.5f", "-1.25f", "(float)(i & 63)", "(float)((signed char)a)")
	}
	x, y := g.float(depth-1), g.float(depth-1)
	return g.pick(fmt.Sprintf("clampf(%s %s %s)", x, g.pick("+", "-", "*"), y), fmt.Sprintf("(%s ? %s : %s)", g.condition(depth-1), x, y),
		fmt.Sprintf("clampf(%s / (__builtin_fabsf(%s) + 1.0f))", x, y), fmt.Sprintf("__builtin_sqrtf(__builtin_fabsf(%s))", x), fmt.Sprintf("clampf(__builtin_fmaf(%s, %s, %s))", x, y, x))
}

func (g *generator) condition(depth int) string {
	if g.r.Intn(3) == 0 {
		return fmt.Sprintf("(%s %s %s)", g.float(min(depth, 1)), g.pick("<", "<=", ">", "==", "!="), g.float(0))
	}
	return fmt.Sprintf("(%s %s %s)", g.integer(min(depth, 1)), g.pick("<", "<=", ">", "==", "!="), g.integer(min(depth, 1)))
}

func (g *generator) statement(depth int) {
	indent := strings.Repeat("  ", g.depth)
	line := func(format string, args ...any) { fmt.Fprintf(&g.b, indent+format+"\n", args...) }
	g.depth++
	defer func() { g.depth-- }()
	switch n := g.r.Intn(10); {
	case depth > 0 && n == 0:
		line("if (%s) {", g.condition(2))
		g.block(depth - 1)
		line("} else {")
		g.block(depth - 1)
		line("}")
	case depth > 0 && n == 1 && g.loops < 2:
		g.loops++
		line("for (int k%d = 0; k%d < (%s & 7); k%d++) {", g.depth, g.depth, g.integer(1), g.depth)
		g.block(depth - 1)
		line("%s}", g.pick("", fmt.Sprintf("if (%s) break; ", g.condition(1)), fmt.Sprintf("if (%s) continue; a ^= 5; ", g.condition(1))))
		g.loops--
	case depth > 0 && n == 2:
		line("switch (%s & 3) {", g.integer(2))
		for k := range 3 {
			line("case %d:", k)
			g.block(depth - 1)
			line("%s", g.pick("break;", ""))
		}
		line("}")
	case n < 5:
		line("%s = %s;", g.pick("x", "y"), g.float(3))
	case n == 5:
		line("v[%s & 7] = %s;", g.integer(1), g.integer(2))
	default:
		line("%s %s= %s;", g.pick("a", "b", "c", "d"), g.pick("", "+", "^"), g.integer(3))
	}
}

func (g *generator) block(depth int) {
	for range 1 + g.r.Intn(3) {
		g.statement(depth)
	}
}

func randomProgram(seed int64) string {
	g := &generator{r: rand.New(rand.NewSource(seed)), depth: 1}
	g.b.WriteString(`static float clampf(float x) { return x > 1000.0f ? 1000.0f : x < -1000.0f ? -1000.0f : x; }
__attribute__((noinline)) static int f0(int a, int b) { return a > b ? a - b : (a ^ b) + 3; }
__attribute__((noinline)) static int f1(int a, int b) { int s = 0; for (int k = 0; k < (b & 3); k++) s += a >> k; return s; }
BODY {
  const unsigned *p = (const unsigned *)in + 4 * i;
  int a = p[0], b = p[1], c = p[2] >> 20, d = i * 7, v[8];
  unsigned long long u = (unsigned long long)p[3] << 13 | p[0];
  float x = (float)(p[1] & 0xffff) / 128.0f, y = (float)(signed char)p[2];
  for (int k = 0; k < 8; k++) v[k] = (int)(p[k & 3] >> k);
`)
	for range 8 {
		g.statement(3)
	}
	g.b.WriteString(`  int *o = (int *)out + 8 * i;
  o[0] = a; o[1] = b; o[2] = c; o[3] = d; __builtin_memcpy(o + 4, &x, 4); __builtin_memcpy(o + 5, &y, 4);
  o[6] = v[0] ^ v[1] ^ v[2] ^ v[3]; o[7] = v[4] ^ v[5] ^ v[6] ^ v[7];
}
`)
	return g.b.String()
}

// TestRandomPrograms compares generated C programs with the host, at three optimisation levels each.
func TestRandomPrograms(t *testing.T) {
	cc := clang(t)
	for seed := range int64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			text := randomProgram(seed)
			compareWithHost(t, cc, text)
			if t.Failed() {
				t.Log(text)
			}
		})
	}
}
