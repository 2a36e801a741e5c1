// Integer arithmetic of every width, with shifts, divisions, rotations and bit counts.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;

static u32 rotate(u32 x, u32 n) { return x << (n & 31) | x >> (-n & 31); }
static u64 rotate64(u64 x, u32 n) { return x << (n & 63) | x >> (-n & 63); }

#define FOLD(x) h = (h ^ (u64)(x)) * 0x9E3779B97F4A7C15ull, h ^= h >> 31

BODY {
  const u32 *p = (const u32 *)in + 4 * i;
  u32 a = p[0], b = p[1];
  u64 c = (u64)p[2] << 32 | p[3], d = (u64)p[1] << 32 | p[2], h = i;
  FOLD(a + b); FOLD(a - b); FOLD(a * b); FOLD((s32)a >> (b & 31)); FOLD(a >> (b & 31)); FOLD(a << (b & 31));
  FOLD((u64)a * b); FOLD((s64)(s32)a * (s32)b); FOLD(c * d); FOLD(c + d); FOLD(c - d); FOLD(c >> (b & 63)); FOLD((s64)c >> (b & 63));
  FOLD(a / (b | 1)); FOLD(a % (b | 1)); FOLD((s32)a / (s32)(b >> 1 | 1)); FOLD((s32)a % (s32)(b >> 1 | 1));
  FOLD(c / (d | 1)); FOLD(c % (d | 1)); FOLD((s64)c / (s64)(d >> 1 | 1)); FOLD((s64)c % (s64)(d >> 1 | 1));
  FOLD(a / 7); FOLD((s32)a / -13); FOLD(c / 1000003); FOLD((s16)a / 11); FOLD((u16)a % 10);
  FOLD((u8)(a + b)); FOLD((s8)(a - b)); FOLD((u16)(a * b)); FOLD((s16)(a ^ b)); FOLD((s16)a * (s16)b); FOLD((u16)a * (u32)(u16)b);
  FOLD(rotate(a, b)); FOLD(rotate64(c, b)); FOLD(__builtin_popcount(a)); FOLD(__builtin_popcountll(c)); FOLD(__builtin_clz(a | 1));
  FOLD(__builtin_clzll(c | 1)); FOLD(__builtin_ctz(a | 0x80000000u)); FOLD(__builtin_bswap32(a)); FOLD(__builtin_bswap64(c));
  FOLD(a < b); FOLD((s32)a < (s32)b); FOLD(c <= d); FOLD((s64)c > (s64)d); FOLD((u16)a >= (u16)b); FOLD((s8)a < (s8)b);
  FOLD((s32)a < 0 ? -(s32)(a & 0x7fffffff) : (s32)a); FOLD(a > b ? a : b); FOLD((s32)a < (s32)b ? (s32)a : (s32)b);
  FOLD((u64)((unsigned __int128)c * d >> 64)); FOLD((u64)((__int128)(s64)c * (s64)d >> 64));
  FOLD(a & ~b | (c & 0xff)); FOLD(a >> 5 & 0x3f); FOLD((s32)(a << 7) >> 20); FOLD(!a + !b); FOLD((a & 1) && (b & 2) || !(c & 4));
  ((u64 *)out)[i] = h;
}
