// Conversions between integers and floats of all widths.
#define IN 8
#define OUT 64
#include "foreign.h"

// Values outside of the target's range have no meaning in C.
static float within(float x, float low, float high) { return x > low && x < high ? x : 0.5f; }
static double within64(double x, double low, double high) { return x > low && x < high ? x : 0.5; }

static void program(const u32 *in, u32 *out) {
	u32 *end = out + OUT;
	u32 a = in[0];
	u64 x = wide(in + 1);
	float f = real(in[3]), g = (float)(i32)in[4] * 0x1p-16f;
	double d = real64(wide(in + 5)), e = (double)(i64)x * 0x1p-32;
	out = put(out, bits((float)a));
	out = put(out, bits((float)(i32)a));
	out = put(out, bits((float)x));
	out = put(out, bits((float)(i64)x));
	out = put(out, bits((float)(u8)a + (float)(i8)(a >> 8) + (float)(u16)a + (float)(i16)(a >> 8)));
	out = put64(out, bits64((double)a));
	out = put64(out, bits64((double)(i32)a));
	out = put64(out, bits64((double)x));
	out = put64(out, bits64((double)(i64)x));
	out = put64(out, bits64((double)(i16)a - (double)(u8)a));
	out = put(out, (u32)(i32)within(f, -2147483648.0f, 2147483648.0f));
	out = put(out, (u32)within(f, -1.0f, 4294967296.0f));
	out = put(out, (u32)(i32)g);
	out = put64(out, (u64)(i64)within(f, -0x1p63f, 0x1p63f));
	out = put64(out, (u64)within(f, -1.0f, 0x1p64f));
	out = put(out, (u32)(i16)within(g, -32768.0f, 32767.0f));
	out = put(out, (u32)(u8)within(g, -1.0f, 255.0f));
	out = put(out, (u32)(i8)within(g, -128.0f, 127.0f));
	out = put(out, (u32)(i32)within64(d, -2147483648.0, 2147483647.0));
	out = put(out, (u32)within64(e, -1.0, 4294967295.0));
	out = put64(out, (u64)(i64)within64(d, -0x1p63, 0x1p63));
	out = put64(out, (u64)within64(e * 0x1p20, -1.0, 0x1p64));
	out = put64(out, (u64)(i64)e);
	out = put(out, bits((float)d));
	out = put(out, bits((float)e));
	out = put64(out, bits64((double)f));
	out = put(out, (u32)(_Bool)f | (u32)(_Bool)(u8)a << 1);
	out = put(out, (u32)(i32)(i8)(u8)a ^ (u32)(u16)(i16)(i8)(a >> 16));
	out = put64(out, (u64)(i64)(i32)a ^ (u64)(i64)(i8)x);
	for (u32 i = 0; out < end; i++) out = put(out, bits((float)(a >> i) + (float)(i32)(a << i)));
}
