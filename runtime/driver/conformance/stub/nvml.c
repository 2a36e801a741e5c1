// Management: what is read of it.
#include "stub.h"

enum { NVML_UNINITIALIZED = 1, NVML_NOT_FOUND = 6, NVML_NO_DRIVER = 9, NVML_LOST = 15 };
static int started;
static int devices[MAX_GPUS];

EXPORT int nvmlInit_v2(void) { if (!config.nvml) return NVML_NO_DRIVER; started = 1; return OK; }

EXPORT int nvmlSystemGetDriverVersion(char *text, unsigned len) {
	ABI(text && len >= 80, "%p, %u", (void *)text, len);
	if (!started) return NVML_UNINITIALIZED;
	snprintf(text, len, "580.00.stub");
	return OK;
}

EXPORT int nvmlDeviceGetCount_v2(unsigned *n) { OUT(n); *n = config.gpus + config.lost; return OK; }

EXPORT int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **h) {
	OUT(h);
	if (i >= (unsigned)config.gpus) return NVML_LOST;
	*h = &devices[i];
	return OK;
}

EXPORT int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **h) {
	OUT(h);
	unsigned n;
	if (!started || !bus || sscanf(bus, "0000:%02X:00.0", &n) != 1) return NVML_NOT_FOUND;
	*h = &devices[n - 0x1B];
	return OK;
}

#define READ(name, type, value) \
	EXPORT int name(void *h, type *v) { OUT(v); ABI((int *)h >= devices && (int *)h < devices + MAX_GPUS, "device %p", h); *v = value; return OK; }
#define READ_OF(name, type, condition, value) \
	EXPORT int name(void *h, unsigned which, type *v) { OUT(v); ABI((int *)h >= devices && (int *)h < devices + MAX_GPUS, "device %p", h); ABI(condition, "number %u", which); *v = value; return OK; }

READ(nvmlDeviceGetPowerUsage, uint32_t, 123456)
READ(nvmlDeviceGetEnforcedPowerLimit, uint32_t, 700000)
READ(nvmlDeviceGetTotalEnergyConsumption, uint64_t, 5000000000000)
READ(nvmlDeviceGetCurrentClocksEventReasons, uint64_t, 0x4)
READ_OF(nvmlDeviceGetTemperature, uint32_t, which == 0, 41)
READ_OF(nvmlDeviceGetClockInfo, uint32_t, which == 1 || which == 2, which == 1 ? 1980 : 2619)

EXPORT int nvmlDeviceGetRemappedRows(void *h, uint32_t *corrected, uint32_t *uncorrected, uint32_t *pending, uint32_t *failed) {
	OUT(corrected);
	OUT(uncorrected);
	OUT(pending);
	OUT(failed);
	ABI((int *)h >= devices && (int *)h < devices + MAX_GPUS, "device %p", h);
	*corrected = *uncorrected = *pending = 0;
	*failed = config.rows_failed;
	return OK;
}
