// Shifts, rotations, bit counts, bit fields.
#define IN 8
#define OUT 48
#include "foreign.h"

struct fields {
	u32 a : 3, b : 11;
	i32 c : 7, d : 9;
	u64 e : 33, f : 21;
	i64 g : 10;
};

static void program(const u32 *in, u32 *out) {
	u32 *end = out + OUT;
	u32 a = in[0], b = in[1], n = in[2] & 31, m = in[3] & 63;
	u64 x = wide(in + 4), y = wide(in + 6);
	out = put(out, a << n);
	out = put(out, a >> n);
	out = put(out, (u32)((i32)a >> n));
	out = put64(out, x << m);
	out = put64(out, x >> m);
	out = put64(out, (u64)((i64)x >> m));
	out = put(out, a << n | a >> (-n & 31));
	out = put64(out, x << m | x >> (-m & 63));
	out = put(out, (u32)(((u64)a << 32 | b) >> n));
	out = put(out, a << 5 | b >> 27);
	out = put(out, (u32)(u16)((u16)a >> (n & 15)) | (u32)(i16)((i16)b >> (n & 15)) << 16);
	out = put(out, (u32)(u8)((u8)a << (n & 7)));
	out = put(out, (u32)__builtin_popcount(a) | (u32)__builtin_popcountll(x) << 8);
	out = put(out, (u32)__builtin_clz(a | 1) | (u32)__builtin_clzll(x | 1) << 8);
	out = put(out, (u32)__builtin_ctz(a | 0x80000000) | (u32)__builtin_ctzll(x | 1ull << 63) << 8);
	out = put(out, (u32)__builtin_ffs((i32)a) | (u32)__builtin_parity(b) << 8);
	out = put(out, __builtin_bswap32(a) ^ __builtin_bswap16((u16)b));
	out = put64(out, __builtin_bswap64(x));
	out = put(out, (a & b) ^ (~a | b) ^ (a & ~b));
	out = put64(out, (x & y) | (~x ^ y));
	u32 r = a;
	r = (r & 0x55555555) << 1 | (r >> 1 & 0x55555555);
	r = (r & 0x33333333) << 2 | (r >> 2 & 0x33333333);
	r = (r & 0x0f0f0f0f) << 4 | (r >> 4 & 0x0f0f0f0f);
	out = put(out, __builtin_bswap32(r));
	struct fields f = {0};
	f.a = a, f.b = b, f.c = (i32)(a << 25) >> 25, f.d = (i32)(b << 23) >> 23;
	f.e = x, f.f = y, f.g = (i64)(x << 54) >> 54;
	f.b += f.a, f.e ^= f.f;
	out = put(out, f.a | f.b << 8);
	out = put(out, (u32)f.c ^ (u32)f.d << 8);
	out = put64(out, f.e);
	out = put64(out, f.f ^ (u64)f.g);
	while (out < end) {
		a ^= a << 13, a ^= a >> 17, a ^= a << 5;
		out = put(out, a);
	}
}
