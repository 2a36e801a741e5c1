// Double precision, and mixed with single.
#define IN 8
#define OUT 64
#include "foreign.h"

static void program(const u32 *in, u32 *out) {
	u32 *end = out + OUT;
	double a = real64(wide(in)), b = real64(wide(in + 2)), c = real64(wide(in + 4));
	double s = (double)(i32)in[6] * 0x1p-20;
	float f = real(in[7]);
	out = put64(out, bits64(a + b));
	out = put64(out, bits64(a - b));
	out = put64(out, bits64(a * b));
	out = put64(out, bits64(a / b));
	out = put64(out, bits64(s / (s * s + 1)));
	out = put64(out, bits64(__builtin_fma(a, b, c)));
	out = put64(out, bits64(__builtin_fma(s, s, -s)));
	out = put64(out, bits64(__builtin_sqrt(a)));
	out = put64(out, bits64(__builtin_sqrt(s * s + 2)));
	out = put64(out, bits64(a < b ? a : b));
	out = put64(out, bits64(__builtin_fabs(c)));
	out = put64(out, bits64(__builtin_copysign(a, b)));
	out = put64(out, bits64(__builtin_floor(s)));
	out = put64(out, bits64(__builtin_ceil(a)));
	out = put64(out, bits64(__builtin_rint(s)));
	out = put64(out, bits64(__builtin_trunc(b)));
	out = put(out, (a < b) | (a <= b) << 1 | (a > b) << 2 | (a >= b) << 3 | (a == b) << 4 | (a != b) << 5 | __builtin_isunordered(a, b) << 6);
	out = put(out, bits((float)a));
	out = put(out, bits((float)s));
	out = put(out, bits((float)(s * 0x1p-130)));
	out = put64(out, bits64((double)f));
	out = put64(out, bits64((double)f * a));
	out = put(out, bits(f + (float)b));
	double x = s - __builtin_floor(s);
	for (; out + 2 <= end; out = put64(out, bits64(x))) x = 3.9 * x * (1 - x);
	if (out < end) put(out, 77);
}
