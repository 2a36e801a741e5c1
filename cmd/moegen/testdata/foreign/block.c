// Threads of a block together: shared memory and barriers, scan, transposition, histogram, bitonic sort.
#define IN 4
#define OUT 8
#define BLOCK 128
#include "foreign.h"

SHARED u32 line[BLOCK], other[BLOCK];
SHARED float tile[BLOCK / 8][9];
SHARED u32 counts[16];
SHARED double sums[BLOCK];

static void block(const u32 *in, u32 *out) {
	EACH line[tid] = in[tid * IN];
	if (tid < 16) counts[tid] = 0;
	END
	// Inclusive scan.
	for (u32 d = 1; d < BLOCK; d *= 2) {
		EACH other[tid] = tid >= d ? line[tid] + line[tid - d] : line[tid];
		END
		EACH line[tid] = other[tid];
		END
	}
	EACH out[tid * OUT] = line[tid];
	END
	EACH tile[tid / 8][tid % 8] = real(in[tid * IN + 1] & 0x3fffffff);
	END
	EACH out[tid * OUT + 1] = bits(tile[tid % 16][tid / 16]);
	__atomic_fetch_add(&counts[in[tid * IN + 2] & 15], 1 + (in[tid * IN + 2] >> 30), __ATOMIC_RELAXED);
	END
	EACH out[tid * OUT + 2] = counts[tid & 15];
	line[tid] = in[tid * IN + 3];
	END
	for (u32 size = 2; size <= BLOCK; size *= 2)
		for (u32 stride = size / 2; stride > 0; stride /= 2) {
			EACH u32 with = tid ^ stride;
			if (with > tid && (line[tid] > line[with]) == ((tid & size) == 0)) {
				u32 t = line[tid];
				line[tid] = line[with], line[with] = t;
			}
			END
		}
	EACH out[tid * OUT + 3] = line[tid];
	sums[tid] = (double)(i32)in[tid * IN] * 0x1p-7;
	END
	for (u32 d = BLOCK / 2; d > 0; d /= 2) {
		EACH if (tid < d) sums[tid] += sums[tid + d];
		END
	}
	EACH put64(&out[tid * OUT + 4], bits64(sums[0] / (1.0 + tid)));
	END
	// Everyone asks another thread through memory.
	EACH other[(tid * 37 + 11) % BLOCK] = line[tid] ^ tid;
	END
	EACH u32 at = tid;
	for (u32 i = 0; i < 5 + (tid & 3); i++) at = other[at] % BLOCK;
	out[tid * OUT + 6] = at;
	out[tid * OUT + 7] = other[tid];
	END
}
