// Memory: local arrays with computed indices, structs and pointers, copies, unions, tables with addresses in them.
#define IN 16
#define OUT 24
#include "foreign.h"

struct node { struct node *next; u16 key; u8 tag; double weight; };

static const u32 table[16] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3};
static const char text[] = "the quick brown fox jumps over the lazy dog";
const u16 *rows[3] = {(const u16 *)table, (const u16 *)table + 9, (const u16 *)table + 4};
CONSTANT u64 powers[8] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};

struct shape { u8 kind; float size[3]; const char *name; };
static const struct shape shapes[3] = {{1, {1.5f, 2.5f, -3}, "ball"}, {7, {0.25f}, "box"}, {255, {4, 5, 6}, text + 4}};

static u32 list(const u32 *in) {
	struct node nodes[10], *head = 0;
	for (u32 i = 0; i < 10; i++) {
		nodes[i].key = (u16)in[i];
		nodes[i].tag = (u8)i;
		nodes[i].weight = (double)(in[i] & 255) / 4;
		struct node **at = &head; // sorted by key
		while (*at && (*at)->key < nodes[i].key) at = &(*at)->next;
		nodes[i].next = *at;
		*at = &nodes[i];
	}
	u32 hash = 0;
	double sum = 0;
	for (struct node *n = head; n; n = n->next) {
		hash = hash * 31 + n->tag;
		sum = sum * 0.5 + n->weight;
	}
	return hash ^ (u32)bits64(sum) ^ (u32)(bits64(sum) >> 32);
}

static u32 sorted(const u32 *in) {
	u32 a[16];
	for (u32 i = 0; i < 16; i++) a[i] = in[i];
	for (u32 i = 1; i < 16; i++) {
		u32 x = a[i], j = i;
		for (; j > 0 && a[j - 1] > x; j--) a[j] = a[j - 1];
		a[j] = x;
	}
	u32 hash = 0;
	for (u32 i = 0; i < 16; i++) hash = hash * 16777619 ^ a[i];
	return hash + a[7];
}

static u32 unions(u32 x, u32 y) {
	union { u8 b[16]; u16 h[8]; u32 w[4]; u64 q[2]; float f[4]; double d[2]; } v;
	v.w[0] = x, v.w[1] = y, v.w[2] = x ^ y, v.w[3] = x + y;
	v.b[x & 15] ^= 0x5a;
	v.h[y & 7] += 77;
	v.q[0] += v.q[1] >> 3;
	u32 sum = 0;
	for (u32 i = 0; i < 16; i++) sum = sum * 7 + v.b[i];
	return sum ^ v.w[2] ^ bits(v.f[1]);
}

static void program(const u32 *in, u32 *out) {
	u32 *end = out + OUT;
	out = put(out, list(in));
	out = put(out, sorted(in));
	out = put(out, unions(in[0], in[1]));
	out = put(out, table[in[0] & 15] + table[in[1] & 15] * 100);
	out = put(out, (u8)text[in[2] % (sizeof text)] | (u32)sizeof text << 8);
	out = put(out, rows[in[3] % 3][in[4] % 6]);
	out = put64(out, powers[in[5] & 7] + powers[in[6] & 7]);
	const struct shape *s = &shapes[in[7] % 3];
	out = put(out, s->kind + (u8)s->name[in[8] & 1]);
	out = put(out, bits(s->size[0] * s->size[1] + s->size[in[9] % 3]));
	u8 copy[40], *at = copy;
	__builtin_memset(copy, 0x33, sizeof copy);
	__builtin_memcpy(copy + 3, in, 29);
	__builtin_memmove(copy + 5, copy + 1, 20 + (in[0] & 7));
	u32 hash = 0;
	for (u32 i = 0; i < sizeof copy; i++) hash = hash * 131 + *at++;
	out = put(out, hash);
	u32 grid[4][5];
	for (u32 i = 0; i < 4; i++)
		for (u32 j = 0; j < 5; j++) grid[i][j] = in[(i * 5 + j) & 15] >> i;
	u32 trace = 0;
	for (u32 i = 0; i < 30; i++) trace += grid[(trace + i) & 3][i % 5] ^ i;
	out = put(out, trace);
	volatile u32 v = in[10];
	v += 3;
	v ^= v << 2;
	out = put(out, v);
	u64 words[5] = {wide(in), wide(in + 2), wide(in + 4)};
	words[3 + (in[6] & 1)] = words[in[7] % 3];
	out = put64(out, words[0] ^ words[1] << 1 ^ words[3] << 2 ^ words[4] << 3);
	i16 small[7] = {-1, -20, 300};
	small[in[8] % 7] = (i16)in[9];
	i32 sum = 0;
	for (u32 i = 0; i < 7; i++) sum += small[i] * (i32)(i + 1);
	out = put(out, (u32)sum);
	out = put(out, (u32)(&grid[in[0] & 3][in[1] % 5] - &grid[0][0]));
	for (u32 i = 0; out < end; i++) out = put(out, ((const u8 *)in)[in[i & 15] & 63] | (u32)((const u16 *)in)[i] << 8);
}
