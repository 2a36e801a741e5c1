// Integer arithmetic of all widths, signed and unsigned, high halves, comparisons, minima.
#define IN 8
#define OUT 80
#include "foreign.h"

static void program(const u32 *in, u32 *out) {
	u32 *end = out + OUT;
	u32 a = in[0], b = in[1], c = in[2];
	i32 sa = (i32)a, sb = (i32)b;
	u64 x = wide(in + 3), y = wide(in + 5);
	i64 sx = (i64)x, sy = (i64)y;
	i32 d = sb == 0 || sb == -1 ? 7 : sb;
	i64 e = sy == 0 || sy == -1 ? 7 : sy;
	out = put(out, a + b);
	out = put(out, a - b);
	out = put(out, a * b + c);
	out = put(out, a / (b | 1));
	out = put(out, a % (b | 1));
	out = put(out, (u32)(sa / d));
	out = put(out, (u32)(sa % d));
	out = put(out, a / 7 + a / 10 * 3 + a % 1000);
	out = put(out, (u32)(sa / 7 + sa % 16 + sa / 8));
	out = put(out, (u32)((u64)a * b >> 32));
	out = put(out, (u32)((i64)sa * sb >> 32));
	out = put64(out, (u64)a * b);
	out = put64(out, (u64)((i64)sa * sb));
	out = put64(out, x + y);
	out = put64(out, x - y);
	out = put64(out, x * y);
	out = put64(out, x / (y | 1));
	out = put64(out, x % (y | 1));
	out = put64(out, (u64)(sx / e));
	out = put64(out, (u64)(sx % e));
	out = put64(out, x / (b | 1) + x % 1000003);
	out = put(out, (u32)(u8)(a * b) << 24 | (u32)(u16)(a + c) << 4 | (u32)(b < c));
	out = put(out, (u32)(i32)(i8)a * 3u + (u32)(i32)(i16)b);
	out = put(out, (u32)(i8)((i8)a / 3) ^ (u32)(u8)((u8)b % 7));
	out = put(out, (u32)(i16)((i16)a / 5) ^ (u32)(u16)((u16)b / 11));
	out = put(out, (a < b) | (sa < sb) << 1 | (a <= b) << 2 | (sa >= sb) << 3 | (a == b) << 4 | (x < y) << 5 | (sx < sy) << 6);
	out = put(out, (sa < sb ? a : b) ^ (a < b ? c : a));
	out = put(out, sa < 0 ? 0u - a : a);
	out = put64(out, sx < sy ? x : y);
	out = put64(out, sx < 0 ? 0 - x : x);
	out = put64(out, (u64)((unsigned __int128)x * y >> 64));
	out = put64(out, (u64)((__int128)sx * sy >> 64));
	unsigned __int128 w = ((unsigned __int128)x << 64 | y) + ((unsigned __int128)y << 64 | x) - a;
	out = put64(out, (u64)(w >> 64));
	out = put64(out, (u64)w);
	u32 sum;
	out = put(out, __builtin_add_overflow(a, b, &sum) + sum);
	out = put(out, __builtin_mul_overflow(a, b, &sum) + sum);
	i32 ssum;
	out = put(out, (u32)__builtin_sub_overflow(sa, sb, &ssum) + (u32)ssum);
	out = put(out, (u32)(sa > 0x40000000 ? 0x7fffffff : sa < -0x40000000 ? -0x7fffffff - 1 : sa * 2));
	while (out < end) out = put(out, a = a * 1664525u + (b ^= c));
}
