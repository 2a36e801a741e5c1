// Whole algorithms: SHA-256, CRC-32, quicksort with its own stack, Mandelbrot, Gauss elimination, run-length coding.
#define IN 16
#define OUT 17
#include "foreign.h"

static const u32 k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
	0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
	0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
	0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
	0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
	0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static u32 rotate(u32 x, u32 n) { return x >> n | x << (32 - n); }

static void sha256(const u32 *in, u32 *h) {
	u32 w[64];
	for (u32 i = 0; i < 16; i++) w[i] = in[i];
	for (u32 i = 16; i < 64; i++) {
		u32 s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
		u32 s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
	static const u32 start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	u32 v[8];
	for (u32 i = 0; i < 8; i++) v[i] = start[i];
	for (u32 i = 0; i < 64; i++) {
		u32 s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25), s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
		u32 t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
		u32 t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
		for (u32 j = 7; j > 0; j--) v[j] = v[j - 1];
		v[4] += t1, v[0] = t1 + t2;
	}
	for (u32 i = 0; i < 8; i++) h[i] = start[i] + v[i];
}

static u32 crc(const u8 *p, u32 n) {
	u32 table[256], c = ~0u;
	for (u32 i = 0; i < 256; i++) {
		u32 x = i;
		for (u32 j = 0; j < 8; j++) x = x & 1 ? 0xedb88320 ^ x >> 1 : x >> 1;
		table[i] = x;
	}
	while (n--) c = table[(u8)(c ^ *p++)] ^ c >> 8;
	return ~c;
}

static u32 quicksort(const u32 *in) {
	i32 a[16], stack[32];
	u32 top = 0;
	for (u32 i = 0; i < 16; i++) a[i] = (i32)in[i];
	stack[top++] = 0, stack[top++] = 15;
	while (top) {
		i32 high = stack[--top], low = stack[--top], i = low, j = high, pivot = a[(low + high) / 2];
		while (i <= j) {
			while (a[i] < pivot) i++;
			while (a[j] > pivot) j--;
			if (i <= j) {
				i32 t = a[i];
				a[i++] = a[j], a[j--] = t;
			}
		}
		if (low < j) stack[top++] = low, stack[top++] = j;
		if (i < high) stack[top++] = i, stack[top++] = high;
	}
	u32 hash = 0;
	for (u32 i = 0; i < 16; i++) hash = hash * 1000003 ^ (u32)a[i];
	return hash;
}

static u32 mandelbrot(double x, double y) {
	double a = 0, b = 0;
	u32 n = 0;
	while (a * a + b * b < 4 && n < 60) {
		double t = a * a - b * b + x;
		b = 2 * a * b + y, a = t, n++;
	}
	return n ^ (u32)bits64(a);
}

static float solve(const u32 *in) {
	float m[3][4];
	for (u32 i = 0; i < 3; i++)
		for (u32 j = 0; j < 4; j++) m[i][j] = (float)(in[i * 4 + j] & 1023) / 32 + (i == j ? 40 : 0);
	for (u32 i = 0; i < 3; i++)
		for (u32 r = 0; r < 3; r++) {
			if (r == i) continue;
			float f = m[r][i] / m[i][i];
			for (u32 j = i; j < 4; j++) m[r][j] -= f * m[i][j];
		}
	return m[0][3] / m[0][0] + m[1][3] / m[1][1] * 2 + m[2][3] / m[2][2] * 4;
}

static u32 runs(const u32 *in) {
	u8 coded[64];
	u32 n = 0, hash = 0;
	for (u32 i = 0; i < 64;) {
		u32 j = i, bit = in[i / 32] >> i % 32 & 1;
		while (j < 64 && (in[j / 32] >> j % 32 & 1) == bit) j++;
		coded[n++] = (u8)(j - i);
		i = j;
	}
	for (u32 i = 0; i < n; i++) hash = hash * 257 + coded[i];
	return hash + n;
}

static void program(const u32 *in, u32 *out) {
	u32 *end = out + OUT;
	sha256(in, out);
	out = put(out + 8, crc((const u8 *)in, 61));
	out = put(out, quicksort(in));
	out = put(out, mandelbrot((double)(i32)in[0] * 0x1p-30, (double)(i32)in[1] * 0x1p-30));
	out = put(out, bits(solve(in)));
	out = put(out, runs(in));
	u64 seed = wide(in), hash = 1469598103934665603ull;
	for (u32 i = 0; i < 50; i++) {
		seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
		hash = (hash ^ (seed & 255)) * 1099511628211ull;
	}
	out = put64(out, hash);
	for (u32 i = 1; out < end; i++) out = put(out, crc((const u8 *)(in + (i & 7)), i));
}
