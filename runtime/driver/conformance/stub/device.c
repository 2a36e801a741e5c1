// Devices, contexts and memory.
#define _GNU_SOURCE
#include "stub.h"
#include <sys/mman.h>

__thread context *current;
struct config config = { .version = 13000, .gpus = 2, .capability = 90, .memory_mib = 1024, .nvml = 1 };
static int started;
static context contexts[MAX_GPUS];

// STUB_MACHINE says what machine this is: "name=value ...".
__attribute__((constructor)) static void configure(void) {
	static const struct { const char *name; int *at; } fields[] = {
		{"version", &config.version}, {"init", &config.init}, {"gpus", &config.gpus}, {"capability", &config.capability},
		{"memory_mib", &config.memory_mib}, {"fault", &config.fault}, {"old_jit", &config.old_jit}, {"lost", &config.lost},
		{"rows_failed", &config.rows_failed}, {"nvml", &config.nvml}, {"careless", &config.careless},
	};
	enum { COUNT = sizeof fields / sizeof *fields };
	const char *text = getenv("STUB_MACHINE");
	char name[32];
	for (int value, used; text && sscanf(text, " %31[^=]=%d%n", name, &value, &used) == 2; text += used) {
		int i = 0;
		while (i < COUNT && strcmp(fields[i].name, name)) i++;
		ABI(i < COUNT, "a machine has no %s", name);
		*fields[i].at = value;
	}
}

static int handles; // that somebody has to give up: all but those of functions

void *new_handle(size_t size, uint32_t magic) {
	uint32_t *h = calloc(1, size);
	*h = magic;
	if (magic != FUNCTION) __sync_fetch_and_add(&handles, 1);
	return h;
}

int end_handle(uint32_t *magic) {
	*magic = DEAD;
	__sync_fetch_and_sub(&handles, 1);
	return OK;
}

EXPORT int cuDriverGetVersion(int *v) { OUT(v); *v = config.version; return OK; }

EXPORT int cuInit(unsigned flags) {
	ABI(flags == 0, "flags %u", flags);
	if (config.init) return config.init;
	if (config.gpus == 0) return NO_DEVICE;
	started = 1;
	return OK;
}

EXPORT int cuGetErrorName(int r, const char **text) {
	OUT(text);
	static const struct { int r; const char *name; } names[] = {
		{INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"}, {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"}, {NO_DEVICE, "CUDA_ERROR_NO_DEVICE"},
		{46, "CUDA_ERROR_DEVICE_UNAVAILABLE"}, {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT"}, {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE"},
		{214, "CUDA_ERROR_ECC_UNCORRECTABLE"}, {INVALID_PTX, "CUDA_ERROR_INVALID_PTX"}, {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE"},
		{NOT_FOUND, "CUDA_ERROR_NOT_FOUND"}, {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {802, "CUDA_ERROR_SYSTEM_NOT_READY"},
		{803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"}, {999, "CUDA_ERROR_UNKNOWN"},
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].r == r) { *text = names[i].name; return OK; }
	*text = NULL;
	return INVALID_VALUE;
}

#define NEED_GPU(d) \
	if (!started) return NOT_INITIALIZED; \
	if ((d) < 0 || (d) >= config.gpus) return INVALID_DEVICE

EXPORT int cuDeviceGetCount(int *n) { OUT(n); if (!started) return NOT_INITIALIZED; *n = config.gpus; return OK; }
EXPORT int cuDeviceGet(int *d, int i) { OUT(d); NEED_GPU(i); *d = i; return OK; }

EXPORT int cuDeviceGetName(char *name, int len, int d) {
	ABI(name && len > 0, "%p, %d", (void *)name, len);
	NEED_GPU(d);
	snprintf(name, len, "Stub GPU %d", d);
	return OK;
}

EXPORT int cuDeviceGetPCIBusId(char *bus, int len, int d) {
	ABI(bus && len >= 13, "%p, %d", (void *)bus, len);
	NEED_GPU(d);
	snprintf(bus, len, "0000:%02X:00.0", 0x1B + d);
	return OK;
}

EXPORT int cuDeviceTotalMem_v2(size_t *n, int d) { OUT(n); NEED_GPU(d); *n = (size_t)config.memory_mib << 20; return OK; }

EXPORT int cuDeviceGetAttribute(int *v, int attribute, int d) {
	OUT(v);
	NEED_GPU(d);
	switch (attribute) {
	case 16: *v = 132; return OK;
	case 38: *v = 50 << 20; return OK;
	case 75: *v = config.capability / 10; return OK;
	case 76: *v = config.capability % 10; return OK;
	case 97: *v = 227 << 10; return OK;
	}
	ABI(0, "attribute %d is not one that is used", attribute);
	return INVALID_VALUE;
}

EXPORT int cuDeviceCanAccessPeer(int *can, int a, int b) { OUT(can); NEED_GPU(a); NEED_GPU(b); *can = a != b; return OK; }

EXPORT int cuDevicePrimaryCtxSetFlags_v2(int d, unsigned flags) {
	NEED_GPU(d);
	ABI(flags == 4, "flags %u: waiting threads are to sleep", flags);
	return OK;
}

EXPORT int cuDevicePrimaryCtxRetain(context **c, int d) {
	OUT(c);
	NEED_GPU(d);
	*c = &contexts[d];
	(*c)->magic = CONTEXT;
	(*c)->gpu = d;
	(*c)->retained++;
	(*c)->fault = config.fault;
	return OK;
}

static int n_ranges; // of memory

// What is left when the last GPU is given up has leaked, but on a machine of the careless.
EXPORT int cuDevicePrimaryCtxRelease_v2(int d) {
	NEED_GPU(d);
	ABI(contexts[d].retained-- > 0, "released more often than retained");
	for (int i = 0; i < MAX_GPUS; i++)
		if (contexts[i].retained) return OK;
	ABI(config.careless || (!handles && !n_ranges), "%d handles and %d pieces of memory are left", handles, n_ranges);
	return OK;
}

EXPORT int cuCtxSetCurrent(context *c) {
	if (c && (c->magic != CONTEXT || !c->retained)) return INVALID_CONTEXT;
	current = c;
	return OK;
}

EXPORT int cuCtxSynchronize(void) { NEED_CONTEXT; return OK; }

EXPORT int cuCtxEnablePeerAccess(context *peer, unsigned flags) {
	NEED_CONTEXT;
	ABI(flags == 0, "flags %u", flags);
	if (!peer || peer->magic != CONTEXT || peer == c) return INVALID_CONTEXT;
	if (c->peers[peer->gpu]) return PEER_ALREADY;
	c->peers[peer->gpu] = 1;
	return OK;
}

EXPORT int cuCtxGetStreamPriorityRange(int *least, int *greatest) {
	OUT(least);
	OUT(greatest);
	NEED_CONTEXT;
	*least = 0;
	*greatest = -5;
	return OK;
}

// Memory that GPUs know: of a device (its number), or pinned of the host (-1, or -2 for a registered mapping).
static struct range { devptr at; uint64_t size; int gpu; } ranges[4096];
static int locked;
static void lock(void) { while (__sync_lock_test_and_set(&locked, 1)) ; }
static void unlock(void) { __sync_lock_release(&locked); }

static int add(devptr at, uint64_t size, int gpu) {
	lock();
	ABI(n_ranges < (int)(sizeof ranges / sizeof *ranges), "too many allocations for the stub");
	ranges[n_ranges++] = (struct range){at, size, gpu};
	unlock();
	return OK;
}

// take removes the range that begins at an address and returns its size, 0 without one.
static uint64_t take(devptr at, int gpu) {
	uint64_t size = 0;
	lock();
	for (int i = 0; i < n_ranges; i++)
		if (ranges[i].at == at && ranges[i].gpu == gpu) {
			size = ranges[i].size;
			ranges[i] = ranges[--n_ranges];
			break;
		}
	unlock();
	return size;
}

static int owner(devptr a, uint64_t n) { // -3: nobody
	int gpu = -3;
	lock();
	for (int i = 0; i < n_ranges; i++)
		if (a >= ranges[i].at && a + n <= ranges[i].at + ranges[i].size) gpu = ranges[i].gpu;
	unlock();
	return gpu;
}

int known(devptr a, uint64_t n) { return owner(a, n) != -3; }

int reachable(context *c, devptr a, uint64_t n, int kernel) {
	int gpu = owner(a, n);
	if (gpu == -3) return 0;
	return !kernel || gpu < 0 || gpu == c->gpu || c->peers[gpu];
}

static int64_t rounded(uint64_t n) { return (n + (2 << 20) - 1) >> 21 << 21; }

EXPORT int cuMemGetInfo_v2(size_t *free, size_t *total) {
	OUT(free);
	OUT(total);
	NEED_CONTEXT;
	*total = ((size_t)config.memory_mib - 64) << 20;
	*free = *total - c->used;
	return OK;
}

static devptr map(uint64_t n) {
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? 0 : (devptr)p;
}

EXPORT int cuMemAlloc_v2(devptr *a, size_t n) {
	OUT(a);
	NEED_CONTEXT;
	if (n == 0) return INVALID_VALUE;
	if (n > (size_t)1 << 50 || c->used + rounded(n) > ((int64_t)config.memory_mib - 64) << 20) return OUT_OF_MEMORY;
	*a = map(rounded(n));
	if (!*a) return OUT_OF_MEMORY;
	memset((void *)*a, 0xA5, n < 4096 ? n : 4096); // undefined content
	c->used += rounded(n);
	return add(*a, n, c->gpu);
}

void arrive(context *c) {
	lock();
	if (c->late.n) memcpy((void *)c->late.to, c->late.bytes, c->late.n);
	free(c->late.bytes);
	c->late.bytes = NULL;
	c->late.n = 0;
	unlock();
}

EXPORT int cuMemFree_v2(devptr a) {
	NEED_CONTEXT;
	arrive(c);
	uint64_t n = take(a, c->gpu);
	if (!n) return INVALID_VALUE;
	c->used -= rounded(n);
	munmap((void *)a, rounded(n));
	return OK;
}

EXPORT int cuMemHostAlloc(void **p, size_t n, unsigned flags) {
	OUT(p);
	NEED_CONTEXT;
	ABI(flags == 1, "flags %u: pinned memory is to be portable", flags);
	if (n == 0) return INVALID_VALUE;
	*p = (void *)map(n);
	return *p ? add((devptr)*p, n, -1) : OUT_OF_MEMORY;
}

EXPORT int cuMemFreeHost(void *p) {
	NEED_CONTEXT;
	uint64_t n = take((devptr)p, -1);
	if (!n) return INVALID_VALUE;
	munmap(p, n);
	return OK;
}

EXPORT int cuMemHostRegister_v2(void *p, size_t n, unsigned flags) {
	NEED_CONTEXT;
	ABI(p && n, "%p, %zu bytes", p, n);
	ABI(flags == (1 | 8), "flags %u: a mapping is to be registered portable and read-only", flags);
	return known((devptr)p, 1) ? INVALID_VALUE : add((devptr)p, n, -2);
}

EXPORT int cuMemHostUnregister(void *p) { NEED_CONTEXT; return take((devptr)p, -2) ? OK : INVALID_VALUE; }

EXPORT int cuMemcpyHtoD_v2(devptr to, const void *from, size_t n) {
	NEED_CONTEXT;
	ABI(from && n, "%p, %zu bytes", from, n);
	if (!reachable(c, to, n, 0)) return INVALID_VALUE;
	arrive(c);
	// The call is over when the bytes are in a buffer of the driver's; the default stream has them arrive.
	lock();
	c->late.to = to;
	c->late.n = n;
	c->late.bytes = memcpy(malloc(n), from, n);
	unlock();
	return OK;
}

EXPORT int cuMemcpyDtoH_v2(void *to, devptr from, size_t n) {
	NEED_CONTEXT;
	ABI(to && n, "%p, %zu bytes", to, n);
	if (!reachable(c, from, n, 0)) return INVALID_VALUE;
	arrive(c);
	memcpy(to, (void *)from, n);
	return OK;
}
