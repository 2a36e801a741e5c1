// Single precision: arithmetic with all special values, comparisons, roundings to integers.
#define IN 4
#define OUT 40
#include "foreign.h"

static void program(const u32 *in, u32 *out) {
	u32 *end = out + OUT;
	float a = real(in[0]), b = real(in[1]), c = real(in[2]);
	float s = (float)(i32)in[3] * 0x1p-20f;
	out = put(out, bits(a + b));
	out = put(out, bits(a - b));
	out = put(out, bits(a * b));
	out = put(out, bits(a / b));
	out = put(out, bits(s / (s + 3.0f)));
	out = put(out, bits(1.0f / a));
	out = put(out, bits(__builtin_fmaf(a, b, c)));
	out = put(out, bits(__builtin_fmaf(s, s, -s)));
	out = put(out, bits(__builtin_sqrtf(a)));
	out = put(out, bits(__builtin_sqrtf(s * s + 1.0f)));
	out = put(out, bits(__builtin_fabsf(a)));
	out = put(out, bits(-b));
	out = put(out, bits(__builtin_copysignf(a, b)));
	out = put(out, (a < b) | (a <= b) << 1 | (a > b) << 2 | (a >= b) << 3 | (a == b) << 4 | (a != b) << 5);
	out = put(out, !(a < b) | !(a >= b) << 1 | __builtin_isunordered(a, b) << 2 | __builtin_islessgreater(a, b) << 3);
	out = put(out, bits(a < b ? a : b));
	out = put(out, bits(a > b ? a : b));
	out = put(out, a == b ? 0 : bits(__builtin_fminf(a, b)));
	out = put(out, a == b ? 0 : bits(__builtin_fmaxf(a, b)));
	out = put(out, bits(__builtin_floorf(a)));
	out = put(out, bits(__builtin_ceilf(s)));
	out = put(out, bits(__builtin_truncf(s)));
	out = put(out, bits(__builtin_rintf(s)));
	out = put(out, bits(__builtin_nearbyintf(a)));
	out = put(out, bits(__builtin_floorf(s)));
	out = put(out, bits(__builtin_roundf(s)));
	out = put(out, bits(a * b + c));
	out = put(out, (u32)__builtin_isinf(a) | (u32)__builtin_isnan(b) << 2 | (u32)(!!__builtin_isfinite(c)) << 3);
	out = put(out, a > 0 && b > 0 || c < 0 ? 1 : 2);
	// A polynomial and a recurrence.
	float p = 0, x = s - __builtin_floorf(s);
	for (int i = 9; i >= 0; i--) p = p * x + 1.0f / (float)(i + 1);
	out = put(out, bits(p));
	while (out < end) out = put(out, bits(x = 3.7f * x * (1.0f - x)));
}
