//go:build cgodriver

// Every function of libcuda that is named here is a jump through a slot. Before the library is loaded a slot leads to
// unloaded; load fills it.
#include "load.h"
#include <dlfcn.h>
#include <stddef.h>

static int unloaded(void) { return 3; } // CUDA_ERROR_NOT_INITIALIZED
static int absent(void) { return 500; } // CUDA_ERROR_NOT_FOUND

#if defined(__x86_64__)
#define JUMP(slot) "jmp *" slot "(%rip)"
#elif defined(__aarch64__)
#define JUMP(slot) "adrp x16, " slot "\n\tldr x16, [x16, :lo12:" slot "]\n\tbr x16"
#else
#error "jumps are written for amd64 and arm64"
#endif

#define FOREIGN
#define CU(name, version, parameters) \
	__attribute__((visibility("hidden"), used)) void *slot_##name = unloaded; \
	__asm__(".text\n.globl " #name version "\n.hidden " #name version "\n.type " #name version ", @function\n" \
		#name version ":\n\t" JUMP("slot_" #name) "\n.size " #name version ", . - " #name version);
#include "functions.h"
#undef CU
#undef FOREIGN

// The functions by name: those that this package calls, and after NULL those that package cu names beside them.
static const struct { const char *name; void **slot; } functions[] = {
#define FOREIGN {NULL, NULL},
#define CU(name, version, parameters) {#name version, &slot_##name},
#include "functions.h"
};

const char *load(const char *library, const char **missing) {
	void *handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
	if (!handle) return dlerror();
	int foreign = 0;
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
		if (!functions[i].name) {
			foreign = 1;
			continue;
		}
		void *at = dlsym(handle, functions[i].name);
		if (!at && !foreign && !*missing) *missing = functions[i].name;
		*functions[i].slot = at ? at : (void *)absent;
	}
	return NULL;
}

int nccl_version(const char *library) {
	void *handle = dlopen(library, RTLD_LAZY);
	int (*version)(int *) = handle ? dlsym(handle, "ncclGetVersion") : NULL;
	int v = 0;
	return version && version(&v) == 0 ? v : 0;
}
