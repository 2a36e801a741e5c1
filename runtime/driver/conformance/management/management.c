// A library that poses as NVIDIA's management library, and as NCCL, on a machine with the two GPUs of the stub driver. All is
// well with the first GPU. What is wrong with the second is given by macros: -DTHROTTLE=0x48. Calls that are wrong at the
// level of the ABI end the process.
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef THROTTLE
#define THROTTLE 1 // idle
#endif
#ifndef ECC_ERRORS
#define ECC_ERRORS 0
#endif
#ifndef PROCESSES
#define PROCESSES 0
#endif
#ifndef LINKS_DOWN
#define LINKS_DOWN 0
#endif
#ifndef LOST
#define LOST 0
#endif
#ifndef POWER_LIMIT
#define POWER_LIMIT 700000
#endif
#ifndef CLOCK
#define CLOCK 1980
#endif
#ifndef WIDTH
#define WIDTH 16
#endif

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, IS_LOST = 15 };
enum { GPUS = 2, LINKS = 18, PROCESS = 4711 };
typedef struct device { uint32_t magic; int number; } device;
static device devices[GPUS] = { { 0xD0D0D0D0, 0 }, { 0xD0D0D0D0, 1 } };
static int started;

typedef struct { char legacy[16]; uint32_t domain, bus, device, id, subsystem; char text[32]; } pci;
typedef struct { uint32_t version; uint64_t total, reserved, free, used; } memory;
typedef struct { uint32_t pid; uint64_t used; uint32_t gpu, slice; } process;
_Static_assert(sizeof(pci) == 68 && sizeof(memory) == 40 && sizeof(process) == 24, "layouts of nvml.h");

#define EXPORT __attribute__((visibility("default")))
#define ABI(ok, ...) \
	do { if (!(ok)) { fprintf(stderr, "stub management: %s: ", __func__); fprintf(stderr, __VA_ARGS__); fputc('\n', stderr); abort(); } } while (0)
#define OUT(p) ABI(p && (uintptr_t)(p) % sizeof *(p) == 0, "result pointer %p", (void *)(p))
#define DEVICE ABI(started && d && d->magic == 0xD0D0D0D0, "device %p", (void *)d)
#define SECOND(value, otherwise) (d->number == 1 ? (value) : (otherwise))

EXPORT int nvmlInit_v2(void) { started = 1; return OK; }

EXPORT int nvmlSystemGetDriverVersion(char *text, unsigned len) {
	ABI(text && len >= 80, "%p, %u", (void *)text, len);
	snprintf(text, len, "580.00.stub");
	return OK;
}

EXPORT int nvmlDeviceGetCount_v2(unsigned *n) { OUT(n); *n = GPUS; return OK; }

EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned i, device **d) {
	ABI(d, "result pointer");
	if (i >= GPUS) return INVALID;
	if (LOST && i == 1) return IS_LOST;
	*d = &devices[i];
	return OK;
}

EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, device **d) {
	(void)bus;
	(void)d;
	return NOT_FOUND;
}

EXPORT int nvmlDeviceGetName(device *d, char *text, unsigned len) {
	DEVICE;
	ABI(text && len >= 96, "%p, %u", (void *)text, len);
	snprintf(text, len, "Stub GPU %d", d->number);
	return OK;
}

static void address(pci *p, int bus) {
	memset(p, 0xAA, sizeof *p);
	snprintf(p->legacy, sizeof p->legacy, "0000:%02X:00.0", bus);
	snprintf(p->text, sizeof p->text, "00000000:%02X:00.0", bus);
}

EXPORT int nvmlDeviceGetPciInfo_v3(device *d, pci *p) { DEVICE; ABI(p, "result pointer"); address(p, 0x1B + d->number); return OK; }

EXPORT int nvmlDeviceGetMemoryInfo_v2(device *d, memory *m) {
	DEVICE;
	ABI(m && m->version == (sizeof *m | 2 << 24), "version %#x", m->version);
	m->total = 1024ull << 20;
	m->reserved = 64ull << 20;
	m->used = SECOND(PROCESSES, 0) ? 700ull << 20 : 0;
	m->free = m->total - m->reserved - m->used;
	return OK;
}

EXPORT int nvmlDeviceGetCudaComputeCapability(device *d, int *major, int *minor) { DEVICE; OUT(major); OUT(minor); *major = 9; *minor = 0; return OK; }

#define READ(name, type, value) EXPORT int name(device *d, type *v) { DEVICE; OUT(v); *v = value; return OK; }
#define READ_OF(name, type, condition, value) \
	EXPORT int name(device *d, unsigned which, type *v) { DEVICE; OUT(v); ABI(condition, "number %u", which); *v = value; return OK; }

READ(nvmlDeviceGetPowerUsage, uint32_t, 71500)
READ(nvmlDeviceGetEnforcedPowerLimit, uint32_t, SECOND(POWER_LIMIT, 700000))
READ(nvmlDeviceGetPowerManagementDefaultLimit, uint32_t, 700000)
READ(nvmlDeviceGetTotalEnergyConsumption, uint64_t, 5000000000000)
READ(nvmlDeviceGetCurrentClocksEventReasons, uint64_t, SECOND(THROTTLE, 1))
READ(nvmlDeviceGetCurrPcieLinkGeneration, uint32_t, 1)
READ(nvmlDeviceGetMaxPcieLinkGeneration, uint32_t, 5)
READ(nvmlDeviceGetCurrPcieLinkWidth, uint32_t, SECOND(WIDTH, 16))
READ(nvmlDeviceGetMaxPcieLinkWidth, uint32_t, 16)
READ_OF(nvmlDeviceGetTemperature, uint32_t, which == 0, 41)
READ_OF(nvmlDeviceGetTemperatureThreshold, uint32_t, which == 1, 90)
READ_OF(nvmlDeviceGetClockInfo, uint32_t, which == 1 || which == 2, which == 1 ? 345 : 2619)
READ_OF(nvmlDeviceGetMaxClockInfo, uint32_t, which == 1 || which == 2, which == 1 ? 1980 : 2619)
READ_OF(nvmlDeviceGetDefaultApplicationsClock, uint32_t, which == 1 || which == 2, which == 1 ? 1980 : 2619)
READ_OF(nvmlDeviceGetApplicationsClock, uint32_t, which == 1 || which == 2, which == 1 ? SECOND(CLOCK, 1980) : 2619)

EXPORT int nvmlDeviceGetPowerManagementLimitConstraints(device *d, uint32_t *least, uint32_t *most) {
	DEVICE;
	OUT(least);
	OUT(most);
	*least = 200000;
	*most = 700000;
	return OK;
}

EXPORT int nvmlDeviceGetEccMode(device *d, uint32_t *now, uint32_t *pending) { DEVICE; OUT(now); OUT(pending); *now = *pending = 1; return OK; }

EXPORT int nvmlDeviceGetTotalEccErrors(device *d, uint32_t uncorrected, uint32_t aggregate, uint64_t *n) {
	DEVICE;
	OUT(n);
	ABI(uncorrected <= 1 && aggregate <= 1, "%u, %u", uncorrected, aggregate);
	*n = SECOND(ECC_ERRORS, 0) ? 1 + uncorrected + 2 * aggregate : 0;
	return OK;
}

EXPORT int nvmlDeviceGetRemappedRows(device *d, uint32_t *corrected, uint32_t *uncorrected, uint32_t *pending, uint32_t *failed) {
	DEVICE;
	OUT(corrected);
	OUT(uncorrected);
	OUT(pending);
	OUT(failed);
	*corrected = *failed = 0;
	*uncorrected = *pending = SECOND(ECC_ERRORS, 0) != 0;
	return OK;
}

#define NEED_LINK DEVICE; if (link >= LINKS) return INVALID

EXPORT int nvmlDeviceGetNvLinkState(device *d, uint32_t link, uint32_t *active) {
	NEED_LINK;
	OUT(active);
	*active = SECOND((int)link, LINKS) >= LINKS_DOWN;
	return OK;
}

EXPORT int nvmlDeviceGetNvLinkRemotePciInfo_v2(device *d, uint32_t link, pci *p) { NEED_LINK; ABI(p, "result pointer"); address(p, 5); return OK; }
EXPORT int nvmlDeviceGetNvLinkRemoteDeviceType(device *d, uint32_t link, uint32_t *kind) { NEED_LINK; OUT(kind); *kind = 2; return OK; }

EXPORT int nvmlDeviceGetNvLinkVersion(device *d, uint32_t link, uint32_t *version) { NEED_LINK; OUT(version); *version = 6; return OK; }

EXPORT int nvmlDeviceGetComputeRunningProcesses_v3(device *d, uint32_t *n, process *list) {
	DEVICE;
	OUT(n);
	uint32_t room = *n;
	*n = SECOND(PROCESSES, 0);
	if (room < *n) return INSUFFICIENT_SIZE;
	for (uint32_t i = 0; i < *n; i++) list[i] = (process){ PROCESS + i, i ? ~0ull : 650ull << 20, ~0u, ~0u };
	return OK;
}

EXPORT int nvmlSystemGetProcessName(uint32_t pid, char *text, uint32_t len) {
	ABI(text && len > 16, "%p, %u", (void *)text, len);
	if (pid != PROCESS) return NOT_FOUND;
	snprintf(text, len, "trainer");
	return OK;
}

EXPORT int ncclGetVersion(int *v) { OUT(v); *v = 22703; return OK; }
