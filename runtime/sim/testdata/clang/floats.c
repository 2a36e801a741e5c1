// Float and double arithmetic; every operation is correctly rounded on both machines, so results must agree in every bit.
typedef unsigned int u32;
typedef unsigned long long u64;

static float unit(u32 x) { return (float)(int)x * 4.6566129e-10f; }
static double unitd(u32 x) { return (double)(int)x / 2147483648.0; }

BODY {
  const u32 *p = (const u32 *)in + 4 * i;
  float a = unit(p[0]), b = unit(p[1]), c = unit(p[2]) * 1000.0f;
  double x = unitd(p[0]) * 100, y = unitd(p[3]), z = unitd(p[2]);
  float f = a + b * c;
  f += a / (b + 3.0f);
  f -= __builtin_sqrtf(__builtin_fabsf(c));
  f = __builtin_fmaf(f, a, b);
  f += __builtin_floorf(c) + __builtin_ceilf(c) * 0.5f + __builtin_truncf(c * 3) + __builtin_rintf(c * 7);
  f += a < b ? a : b;
  f += a > 0 ? 1.5f : -2.5f;
  double g = x * y + z;
  g /= y + 2.0;
  g += __builtin_sqrt(__builtin_fabs(x)) - __builtin_floor(x) + __builtin_fma(x, y, z);
  g += (double)f + (double)(int)c + (double)(u32)p[1] + (double)(long long)(x * 1e6);
  f += (float)g + (float)(int)p[2] + (float)p[3] + (float)(u64)p[1] + (float)(long long)(int)p[0];
  int n = (int)(c * 10) + (int)x;
  u32 m = (u32)(c * c);
  u64 q = (u64)(x * x * 1e3);
  u32 *o = (u32 *)out + 8 * i;
  __builtin_memcpy(o, &f, 4);
  __builtin_memcpy(o + 2, &g, 8);
  o[1] = n; o[4] = m; o[5] = (u32)q; o[6] = (f < g) + 2 * (a == b) + 4 * (x >= y) + 8 * !(c != c); o[7] = (u32)(long long)(g * 1000);
}
