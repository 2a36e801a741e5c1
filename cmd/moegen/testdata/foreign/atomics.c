// Atomics on shared memory whose results do not depend on the order.
#define IN 2
#define OUT 16
#define BLOCK 64
#include "foreign.h"

#ifdef __NVPTX__
#define fetch_min(p, x) __atomic_fetch_min(p, x, __ATOMIC_RELAXED)
#define fetch_max(p, x) __atomic_fetch_max(p, x, __ATOMIC_RELAXED)
#else // for want of them in other compilers
#define fetch_min(p, x) (*(p) = *(p) < (x) ? *(p) : (x))
#define fetch_max(p, x) (*(p) = *(p) > (x) ? *(p) : (x))
#endif

SHARED u32 word[8];
SHARED u64 wide_word[4];
SHARED u32 last;

static void block(const u32 *in, u32 *out) {
	EACH if (tid < 8) word[tid] = tid == 1 || tid == 4 ? ~0u : 0;
	if (tid < 4) wide_word[tid] = tid * 1000;
	if (tid == 0) last = 0;
	END
	EACH u32 x = in[tid * IN], y = in[tid * IN + 1];
	__atomic_fetch_add(&word[0], x, __ATOMIC_RELAXED);
	__atomic_fetch_and(&word[1], x | 0xff00ff00, __ATOMIC_RELAXED);
	__atomic_fetch_or(&word[2], x & 0x0ff00ff0, __ATOMIC_RELAXED);
	__atomic_fetch_xor(&word[3], y, __ATOMIC_RELAXED);
	fetch_min(&word[4], y);
	fetch_max(&word[5], y);
	__atomic_fetch_sub(&word[6], x, __ATOMIC_RELAXED);
	__atomic_fetch_add(&wide_word[0], (u64)x * y, __ATOMIC_RELAXED);
	__atomic_fetch_xor(&wide_word[1], (u64)x << 32 | y, __ATOMIC_RELAXED);
	fetch_max(&wide_word[2], (u64)y << 32 | x);
	// A maximum by compare and exchange.
	u32 seen = __atomic_load_n(&word[7], __ATOMIC_RELAXED);
	while ((x ^ y) > seen && !__atomic_compare_exchange_n(&word[7], &seen, x ^ y, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
	// Tickets are all different: their sum is fixed.
	u32 ticket = __atomic_fetch_add(&last, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&wide_word[3], ticket * ticket, __ATOMIC_RELAXED);
	END
	EACH u32 *o = out + tid * OUT;
	for (u32 i = 0; i < 8; i++) o = put(o, word[i] + tid);
	for (u32 i = 0; i < 4; i++) o = put64(o, wide_word[i]);
	END
}
