// Half precision: conversions and arithmetic.
#define IN 4
#define OUT 16
#include "foreign.h"

static inline _Float16 half(u16 x) {
	union { u16 u; _Float16 h; } v = {x};
	return v.h;
}

static inline u32 half_bits(_Float16 x) {
	union { _Float16 h; u16 u; } v = {x};
	return x != x ? 0x7e00 : v.u;
}

static void program(const u32 *in, u32 *out) {
	_Float16 a = half((u16)in[0]), b = half((u16)(in[0] >> 16));
	float f = real(in[1]), g = (float)(i32)in[2] * 0x1p-20f;
	out = put(out, bits((float)a));
	out = put(out, half_bits((_Float16)f));
	out = put(out, half_bits((_Float16)g));
	out = put(out, half_bits(a + b));
	out = put(out, half_bits(a - b));
	out = put(out, half_bits(a * b));
	out = put(out, half_bits(a / b));
	out = put(out, half_bits(-a));
	out = put(out, (a < b) | (a <= b) << 1 | (a == b) << 2 | (a != b) << 3 | (a > b) << 4);
	out = put64(out, bits64((double)a));
	out = put(out, half_bits((_Float16)(i32)(in[3] & 0xffff)));
	out = put(out, (u32)(i32)(a > -1000 && a < 1000 ? a : (_Float16)1));
	out = put(out, half_bits(a > b ? a : b));
	out = put(out, bits((float)a * (float)b + g));
	out = put(out, half_bits((_Float16)(g * 0x1p-12f)));
}
