// Control flow that divides a warp: nested conditions, loops with exits in the middle, goto, switches of both kinds.
#define IN 8
#define OUT 16
#include "foreign.h"

static u32 collatz(u32 n) {
	u32 steps = 0;
	for (n = n % 100000 + 1; n != 1; steps++) n = n & 1 ? 3 * n + 1 : n / 2;
	return steps;
}

static u32 dense(u32 x, u32 y) {
	switch (x) {
	case 0: return y + 1;
	case 1: return y * 3;
	case 2: y ^= 0x1234; // falls through
	case 3: return y >> 3;
	case 4: return y % 17;
	case 5: return ~y;
	case 6: return y << 7 | y >> 25;
	case 7: return y / 5;
	case 9: return y & 0xff00ff;
	}
	return 99;
}

static u32 sparse(i32 x) {
	switch (x) {
	case -1000000: return 1;
	case -7: return 2;
	case 0: return 3;
	case 12 ... 15: return 4;
	case 300: return 5;
	case 70000: return 6;
	case 0x7fffffff: return 7;
	default: return x < 0 ? 8 : 9;
	}
}

static u32 early(const u32 *p, u32 limit) {
	u32 sum = 0;
	for (u32 i = 0; i < 8; i++) {
		if (p[i] % 5 == 0) continue;
		if (p[i] % 11 == 0) return sum + 1000;
		for (u32 j = p[i] & 15;; j++) {
			if (j > limit) break;
			if ((j * j ^ sum) % 23 == 7) goto out;
			sum += j;
		}
		if (sum > 5000) break;
	}
	return sum;
out:
	return sum * 3 + 7;
}

static u32 machine(u32 x) {
	u32 state = 0, n = 0, seen = 0;
	while (state != 9 && n++ < 200) {
		seen = seen * 31 + state;
		switch (state) {
		case 0: state = x & 1 ? 1 : 2; break;
		case 1: x = x / 2, state = x & 3 ? 2 : 4; break;
		case 2: x = x * 5 + 1, state = x % 3; break;
		case 3: state = 9; break;
		case 4: x ^= x >> 3, state = x % 7 == 0 ? 3 : 0; break;
		}
	}
	return seen ^ x;
}

static u32 gcd(u32 a, u32 b) {
	while (b) {
		u32 t = a % b;
		a = b, b = t;
	}
	return a;
}

static void program(const u32 *in, u32 *out) {
	u32 *end = out + OUT;
	u32 a = in[0], b = in[1];
	out = put(out, collatz(a));
	out = put(out, dense(a % 11, b));
	out = put(out, dense(b & 15, a));
	static const i32 keys[8] = {-1000000, -7, 0, 13, 300, 70000, 0x7fffffff, 5};
	out = put(out, sparse(keys[a & 7]) * 16 + sparse((i32)b));
	out = put(out, early(in, 20));
	out = put(out, early(in, a & 63));
	out = put(out, machine(a));
	out = put(out, machine(b));
	out = put(out, gcd(a, b));
	u32 r = 0;
	if (a & 1) {
		if (b & 1) r = 1;
		else if (in[2] & 1) r = a % 7 ? 2 : 3;
		else r = 4;
	} else if ((b & 2) && (a & 4) || (in[3] & 8)) {
		do r += a & 3, a >>= 2; while (a);
	} else {
		r = a > b ? (a > in[4] ? 10 : 11) : 12;
	}
	out = put(out, r);
	u32 primes = 0;
	for (u32 n = 2; n < 40 + (b & 63); n++) {
		u32 is = 1;
		for (u32 d = 2; d * d <= n; d++)
			if (n % d == 0) {
				is = 0;
				break;
			}
		primes = primes * (1 + is) + is;
	}
	out = put(out, primes);
	u32 depth = 0;
	for (u32 i = a & 7; i < 10; i++)
		for (u32 j = i; j < 10; j += 1 + (b & 1))
			for (u32 k = j; k > 0; k--) {
				if ((i + j + k) % 9 == 0) goto next;
				depth += k;
			next:;
			}
	out = put(out, depth);
	for (u32 i = 0; out < end; i++) {
		u32 x = in[i & 7] + i;
		out = put(out, x & 0x100 ? collatz(x & 1023) : x & 0x200 ? gcd(x, 360360) : dense(x & 7, x));
	}
}
