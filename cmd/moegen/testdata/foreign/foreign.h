// What every program here shares. A program is compiled twice: by clang to PTX, where the kernel "run" is executed by
// many threads, and by the host's compiler, where main does the same thread by thread. Both read and write words:
//
//   host:   program IN_FILE OUT_FILE
//   device: run(in, out)
//
// A program defines IN and OUT (words of a thread), includes this file and defines program(). Cooperative ones define
// BLOCK (threads) and write block() in phases instead: EACH … END runs once for every thread, with a barrier after it.
// What C leaves open stays out: no overflow of signed integers, no conversion out of range, NaNs are made all alike.
typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef short i16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
typedef long long i64;

#define NOINLINE __attribute__((noinline))

#ifdef __NVPTX__
#define KERNEL __attribute__((nvptx_kernel))
#define SHARED __attribute__((address_space(3), loader_uninitialized)) static
#define CONSTANT __attribute__((address_space(4))) static const
#define EACH                                            \
	{                                               \
		const u32 tid = __nvvm_read_ptx_sreg_tid_x();
#define END              \
	}                \
	__syncthreads();
#else
#define SHARED static
#define CONSTANT static const
#define EACH for (u32 tid = 0; tid < BLOCK; tid++) {
#define END }
#endif

static inline u32 bits(float x) {
	union { float f; u32 u; } v = {x};
	return x != x ? 0x7fc00000 : v.u;
}

static inline float real(u32 x) {
	union { u32 u; float f; } v = {x};
	return v.f;
}

static inline u64 bits64(double x) {
	union { double d; u64 u; } v = {x};
	return x != x ? 0x7ff8000000000000ull : v.u;
}

static inline double real64(u64 x) {
	union { u64 u; double d; } v = {x};
	return v.d;
}

static inline u64 wide(const u32 *p) { return p[0] | (u64)p[1] << 32; }

static inline u32 *put(u32 *out, u32 x) {
	*out = x;
	return out + 1;
}

static inline u32 *put64(u32 *out, u64 x) { return put(put(out, (u32)x), (u32)(x >> 32)); }

#ifdef BLOCK
static void block(const u32 *in, u32 *out);
#else
static void program(const u32 *in, u32 *out);
#endif

#ifdef __NVPTX__
KERNEL void run(const u32 *in, u32 *out) {
#ifdef BLOCK
	u32 i = __nvvm_read_ptx_sreg_ctaid_x();
	block(in + i * BLOCK * IN, out + i * BLOCK * OUT);
#else
	u32 i = __nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() + __nvvm_read_ptx_sreg_tid_x();
	program(in + i * IN, out + i * OUT);
#endif
}
#else
#include <stdio.h>
#include <stdlib.h>

#ifndef BLOCK
#define BLOCK 1
#define block program
#endif

// main runs a block, or a thread, for as long as there is input for one.
int main(int argc, char **argv) {
	static u32 in[BLOCK * IN], out[BLOCK * OUT + 1];
	FILE *from = fopen(argv[1], "rb"), *to = fopen(argv[2], "wb");
	if (argc != 3 || !from || !to) return 1;
	while (fread(in, sizeof in, 1, from) == 1) {
		for (u32 i = 0; i <= BLOCK * OUT; i++) out[i] = 0xdeadbeef;
		block(in, out);
		if (out[BLOCK * OUT] != 0xdeadbeef || out[BLOCK * OUT - 1] == 0xdeadbeef) return 2; // OUT is wrong
		fwrite(out, 4, BLOCK * OUT, to);
	}
	return fclose(to) != 0;
}
#endif
