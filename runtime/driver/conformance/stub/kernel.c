// Modules, functions, tensor maps, and the suite's kernels by name.
#include "stub.h"

static const void *param(const launch *l, int i) { return l->params + l->f->e->offset[i]; }
static uint64_t u64(const launch *l, int i) { uint64_t v; memcpy(&v, param(l, i), 8); return v; }
static uint32_t u32(const launch *l, int i) { uint32_t v; memcpy(&v, param(l, i), 4); return v; }

// word returns where a kernel's word is, NULL if the GPU cannot reach it.
static uint32_t *word(const launch *l, devptr a, uint64_t n) {
	return a % 4 == 0 && reachable(l->f->c, a, n, 1) ? (uint32_t *)a : NULL;
}

static int run_nothing(const launch *l) { (void)l; return OK; }

static int run_store(const launch *l) {
	uint32_t *p = word(l, u64(l, 0), 4);
	if (!p) return ILLEGAL_ADDRESS;
	*p = u32(l, 1);
	return OK;
}

static int run_step(const launch *l) {
	uint32_t *p = word(l, u64(l, 0), 4);
	if (!p) return ILLEGAL_ADDRESS;
	*p = 3 * *p + u32(l, 1);
	return OK;
}

static int run_place(const launch *l) {
	const uint32_t *g = l->grid, *k = l->cluster;
	uint32_t n = g[0] * g[1] * g[2], *out = word(l, u64(l, 0), 32ull * n);
	if (!out) return ILLEGAL_ADDRESS;
	for (uint32_t i = 0; i < n; i++, out += 8) {
		uint32_t x = i % g[0], y = i / g[0] % g[1], z = i / g[0] / g[1];
		uint32_t v[8] = {x, y, z, l->block[0], l->block[1], l->block[2],
			x % k[0] + k[0] * (y % k[1] + k[1] * (z % k[2])), k[0] * k[1] * k[2]};
		memcpy(out, v, sizeof v);
	}
	return OK;
}

static int run_last(const launch *l) {
	uint32_t *out = word(l, u64(l, 0), 4);
	if (!out || u32(l, 1) > l->shared) return ILLEGAL_ADDRESS;
	*out = u32(l, 2) + 1;
	return OK;
}

static int run_tile(const launch *l) {
	devptr out = u64(l, 3);
	if (l->block[0] != 32 || !word(l, out, 1024)) return ILLEGAL_ADDRESS;
	return tensor_tile(param(l, 0), (int32_t)u32(l, 1), (int32_t)u32(l, 2), out);
}

static const entry entries[] = {
	{"empty", 0, {0}, {0}, 0, run_nothing},
	{"ten", 10, {0, 8, 16, 24, 32, 40, 48, 56, 64, 72}, {8, 8, 8, 8, 8, 8, 8, 8, 8, 8}, 0, run_nothing},
	{"store", 2, {0, 8}, {8, 4}, 0, run_store},
	{"step", 2, {0, 8}, {8, 4}, 0, run_step},
	{"chain", 2, {0, 8}, {8, 4}, 0, run_step},
	{"place", 1, {0}, {8}, 0, run_place},
	{"last", 3, {0, 8, 12}, {8, 4, 4}, 0, run_last},
	{"tile", 4, {0, 128, 132, 136}, {128, 4, 4, 8}, 1032, run_tile},
};

int run_launch(const launch *l) { return l->f->e->run(l); }

// cuModuleLoadDataEx takes PTX text of the suite: all that it compiles is the list of names. One unknown type is
// an error of the compiler's.
EXPORT int cuModuleLoadDataEx(module **m, const char *image, unsigned count, const uint32_t *options, void **values) {
	OUT(m);
	NEED_CONTEXT;
	ABI(image && (count == 0 || (options && values)), "image %p, %u options", (void *)image, count);
	char *log[2] = {0};
	uintptr_t size[2] = {0};
	for (unsigned i = 0; i < count; i++) {
		uintptr_t v = (uintptr_t)values[i];
		switch (options[i]) {
		case 3: log[0] = (char *)v; break;
		case 4: size[0] = v; break;
		case 5: log[1] = (char *)v; break;
		case 6: size[1] = v; break;
		case 12: ABI(v == 1, "verbosity %zu", v); break;
		case 34:
			if (config.old_jit) return INVALID_VALUE;
			ABI(v == 0, "compiled by %zu threads, not by all", v);
			break;
		default: ABI(0, "option %u is not one that is used", options[i]);
		}
	}
	ABI(log[0] && log[1] && size[0] >= 1024 && size[1] >= 1024, "logs %p, %p of %zu and %zu bytes", (void *)log[0], (void *)log[1], size[0], size[1]);
	const char *end = strrchr(image, '}');
	if (!strstr(image, ".version") || !end) return INVALID_IMAGE;
	ABI(end[1 + strspn(end + 1, "\n")] == 0, "the text does not end where it should, with a zero");
	const char *wrong = strstr(image, ".q32");
	if (wrong) {
		int line = 1;
		for (const char *p = image; p < wrong; p++) line += *p == '\n';
		snprintf(log[1], size[1], "ptxas application ptx input, line %d; error   : Unknown modifier '.q32'", line);
		return INVALID_PTX;
	}
	snprintf(log[0], size[0], "ptxas info    : 0 bytes gmem");
	*m = new_handle(sizeof **m, MODULE);
	(*m)->c = c;
	return OK;
}

EXPORT int cuModuleUnload(module *m) { NEED_CONTEXT; NEED(m, MODULE); return end_handle(&m->magic); }

EXPORT int cuModuleGetFunction(function **f, module *m, const char *name) {
	OUT(f);
	NEED_CONTEXT;
	NEED(m, MODULE);
	ABI(name, "no name");
	for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
		if (!strcmp(entries[i].name, name)) {
			*f = new_handle(sizeof **f, FUNCTION);
			(*f)->c = c;
			(*f)->m = m;
			(*f)->e = &entries[i];
			(*f)->dynamic = 48 << 10;
			return OK;
		}
	return NOT_FOUND;
}

EXPORT int cuFuncGetAttribute(int *v, int attribute, function *f) {
	OUT(v);
	NEED_CONTEXT;
	NEED(f, FUNCTION);
	switch (attribute) {
	case 0: *v = 1024; return OK;
	case 1: *v = f->e->shared; return OK;
	case 3: *v = 0; return OK;
	case 4: *v = 16; return OK;
	}
	ABI(0, "attribute %d is not one that is used", attribute);
	return INVALID_VALUE;
}

EXPORT int cuFuncSetAttribute(function *f, int attribute, int v) {
	NEED_CONTEXT;
	NEED(f, FUNCTION);
	ABI(attribute == 8, "attribute %d is not one that is used", attribute);
	if (v < 0 || v + f->e->shared > 227 << 10) return INVALID_VALUE;
	f->dynamic = v;
	return OK;
}

EXPORT int cuFuncGetParamInfo(function *f, size_t i, size_t *offset, size_t *size) {
	OUT(offset);
	OUT(size);
	NEED_CONTEXT;
	NEED(f, FUNCTION);
	if (i >= (size_t)f->e->params) return INVALID_VALUE;
	// As an H100 answers: places are counted from 0x210 of a constant bank, alignments from the bank's start.
	size_t at = 0x210;
	for (size_t j = 0; j <= i; j++) {
		size_t bytes = f->e->size[j], align = bytes == 128 ? 64 : bytes;
		at = (at + align - 1) / align * align;
		*offset = at - 0x210;
		at += *size = bytes;
	}
	return OK;
}

// The stub's own tensor map: what it was encoded from. It begins with a number, so that a map cut short shows.
struct map { uint64_t magic, base, dims[2], stride; uint32_t box[2], swizzle, type, rank; uint8_t pad[60]; uint64_t end; };
_Static_assert(sizeof(struct map) == 128, "a tensor map has 128 bytes");

EXPORT int cuTensorMapEncodeTiled(struct map *m, unsigned type, uint32_t rank, void *base, const uint64_t *dims, const uint64_t *strides,
	const uint32_t *box, const uint32_t *steps, unsigned interleave, unsigned swizzle, unsigned promotion, unsigned fill) {
	static const int size[] = {1, 2, 4, 4, 8, 8, 2, 4, 8, 2, 4, 4, 4};
	static const unsigned span[] = {0, 32, 64, 128};
	ABI(m && (uintptr_t)m % 64 == 0, "map at %p, not at a multiple of 64", (void *)m);
	ABI(dims && strides && box && steps, "null arrays");
	ABI(interleave == 0 && promotion <= 3 && fill == 0, "interleave %u, promotion %u, fill %u", interleave, promotion, fill);
	if (rank < 1 || rank > 5 || type > 12 || swizzle > 3 || (uintptr_t)base % 16) return INVALID_VALUE;
	for (uint32_t i = 0; i < rank; i++) {
		ABI(steps[i] == 1, "element stride %u", steps[i]);
		if (dims[i] < 1 || dims[i] > 1ull << 32 || box[i] < 1 || box[i] > 256) return INVALID_VALUE;
		if (i > 0 && (strides[i - 1] % 16 || strides[i - 1] >= 1ull << 40)) return INVALID_VALUE;
	}
	unsigned row = box[0] * size[type];
	if (row % 16 || (swizzle && row > span[swizzle])) return INVALID_VALUE;
	*m = (struct map){.magic = 0x70616D74, .base = (uint64_t)base, .swizzle = span[swizzle], .type = type, .rank = rank, .end = 0x646E65};
	for (uint32_t i = 0; i < rank && i < 2; i++) m->dims[i] = dims[i], m->box[i] = box[i];
	if (rank > 1) m->stride = strides[0];
	return OK;
}

int tensor_tile(const uint8_t *bytes, int32_t x, int32_t y, devptr out) {
	struct map m;
	memcpy(&m, bytes, sizeof m);
	ABI(m.magic == 0x70616D74 && m.end == 0x646E65, "the kernel's parameter is not the tensor map that was encoded");
	ABI(m.rank == 2 && m.type == 9 && m.box[0] == 64 && m.box[1] == 8, "the suite's tile is 8 rows of 64 bf16");
	for (int r = 0; r < 8; r++)
		for (int c = 0; c < 64; c++) {
			int64_t row = y + r, column = x + c;
			uint16_t v = 0;
			if (row >= 0 && column >= 0 && row < (int64_t)m.dims[1] && column < (int64_t)m.dims[0])
				memcpy(&v, (uint8_t *)m.base + row * m.stride + column * 2, 2);
			unsigned at = r * 128 + c * 2;
			if (m.swizzle == 128) at ^= (at >> 7 & 7) << 4;
			memcpy((uint8_t *)out + at, &v, 2);
		}
	return OK;
}
