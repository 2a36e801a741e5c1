// Function calls: many arguments, structs by value, pointers to locals, recursion, function pointers.
#define IN 8
#define OUT 16
#include "foreign.h"

struct pair { u32 a; u64 b; };
struct big { u32 v[9]; double d; u8 tail; };

NOINLINE static u32 many(u8 a, i16 b, u32 c, u64 d, float e, double f, i8 g, u32 *h, u32 i, u32 j) {
	*h += a;
	return (u32)a + (u32)b * 3 + c + (u32)(d >> 7) + (u32)(i32)e + (u32)(i32)f + (u32)g + i * j;
}

NOINLINE static struct pair swap(struct pair p, u32 x) {
	struct pair r = {(u32)p.b ^ x, (u64)p.a << 9 | x};
	return r;
}

NOINLINE static struct big grow(struct big b, u32 n) {
	for (u32 i = 0; i < 9; i++) b.v[i] = b.v[i] * n + i;
	b.d = b.d * 0.5 + n;
	b.tail += 3;
	return b;
}

NOINLINE static u32 fibonacci(u32 n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

NOINLINE static u32 ackermann(u32 m, u32 n) {
	if (m == 0) return n + 1;
	return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

static u32 odd(u32 n);
NOINLINE static u32 even(u32 n) { return n == 0 ? 1 : odd(n - 1); }
NOINLINE static u32 odd(u32 n) { return n == 0 ? 0 : even(n - 1); }

NOINLINE static u32 twice(u32 x) { return x * 2; }
NOINLINE static u32 square(u32 x) { return x * x; }
NOINLINE static u32 invert(u32 x) { return ~x; }
NOINLINE static float halve(float x) { return x * 0.5f; }

typedef u32 (*function)(u32);
NOINLINE static u32 fold(function f, u32 x, u32 n) {
	for (u32 i = 0; i < n; i++) x = f(x) + i;
	return x;
}

NOINLINE static void bump(u32 *p, u32 n) {
	for (u32 i = 0; i < n; i++) p[i] += i;
}

static void program(const u32 *in, u32 *out) {
	u32 h = 5;
	out = put(out, many((u8)in[0], (i16)in[1], in[2], wide(in + 3), (float)(in[5] & 0xffff), (double)(in[6] & 0xfffff), (i8)in[7], &h, in[0] & 7, in[1] & 9));
	out = put(out, h);
	struct pair p = {in[0], wide(in + 1)};
	p = swap(swap(p, in[3]), in[4]);
	out = put64(put(out, p.a), p.b);
	struct big b = {{1, 2, 3, 4, 5, 6, 7, 8, 9}, 1.25, 7};
	b.v[in[0] % 9] = in[1];
	b = grow(grow(b, in[2]), in[3] & 1023);
	out = put(out, b.v[0] ^ b.v[3] ^ b.v[8] + b.tail);
	out = put64(out, bits64(b.d));
	out = put(out, fibonacci(in[0] % 12));
	out = put(out, ackermann(in[0] % 3, in[1] % 5));
	out = put(out, even(in[0] & 31) * 2 + odd(in[1] & 31));
	function table[3] = {twice, square, invert};
	out = put(out, table[in[0] % 3](in[1]));
	out = put(out, fold(table[in[1] % 3], in[0], in[2] & 7));
	u32 a[6] = {in[0], in[1], in[2], in[3], in[4], in[5]};
	bump(a + 1, in[6] % 5);
	out = put(out, a[0] + a[1] * 2 + a[2] * 3 + a[3] * 4 + a[4] * 5 + a[5] * 6);
	out = put(out, bits(halve((float)in[0]) + halve(halve((float)in[1]))));
	out = put(out, in[7] & 1 ? fold(square, in[0], 3) : fold(invert, in[1], 2));
}
