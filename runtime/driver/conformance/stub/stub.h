// A library that poses as the NVIDIA driver: the functions that driver/purego and driver/cgo call, with their true signatures, on
// host memory. What a caller does wrong and the driver would report returns the driver's error; what would be
// undefined at the level of the ABI (null pointers, reserved fields, argument lists) ends the process with a message.
#ifndef STUB_H
#define STUB_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ABI(ok, ...) \
	do { if (!(ok)) { fprintf(stderr, "stub driver: %s: ", __func__); fprintf(stderr, __VA_ARGS__); fputc('\n', stderr); abort(); } } while (0)
#define OUT(p) ABI(p && (uintptr_t)(p) % sizeof *(p) == 0, "result pointer %p", (void *)(p))
#define EXPORT __attribute__((visibility("default")))
#define MAX_GPUS 8

enum { // results
	OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101,
	INVALID_IMAGE = 200, INVALID_CONTEXT = 201, INVALID_PTX = 218, INVALID_HANDLE = 400, ILLEGAL_STATE = 401,
	NOT_FOUND = 500, NOT_READY = 600, ILLEGAL_ADDRESS = 700, PEER_ALREADY = 704, CAPTURE_UNSUPPORTED = 900,
	CAPTURE_INVALIDATED = 901, CAPTURE_UNJOINED = 904, INVALID_CLUSTER_SIZE = 912,
};

// Handles point to structures that begin with a number of their own and are never reused.
enum { CONTEXT = 0x11111111, MODULE, FUNCTION, STREAM, EVENT, GRAPH, EXEC, DEAD };

typedef uint64_t devptr;

typedef struct context {
	uint32_t magic;
	int gpu, retained, fault; // fault: the result of every later call
	int peers[MAX_GPUS];
	int64_t used;
	struct { devptr to; size_t n; uint8_t *bytes; } late; // a copy from memory that is not pinned, under way
} context;

void arrive(context *c); // ends the copy under way

struct launch;
typedef struct entry { // a kernel of the suite
	const char *name;
	int params, offset[10], size[10], shared;
	int (*run)(const struct launch *);
} entry;

typedef struct module { uint32_t magic; context *c; } module;
typedef struct function { uint32_t magic; context *c; module *m; const entry *e; uint32_t dynamic; } function;

typedef struct launch {
	function *f;
	uint32_t grid[3], block[3], cluster[3], shared;
	uint8_t params[256];
} launch;

struct stream;
typedef struct event {
	uint32_t magic;
	context *c;
	uint32_t flags;
	int recorded;
	double ns;
	struct capture *capture;
	struct stream *from;
} event;

typedef struct op {
	enum { LAUNCH, COPY, FILL, STAMP } kind;
	launch l;
	devptr to, from;
	uint64_t n;
	uint32_t word;
	event *e;
	struct op *next;
} op;

typedef struct capture { struct stream *origin; op *first, **last; int spoilt; } capture;

typedef struct stream {
	uint32_t magic;
	context *c;
	capture *capture;
	int loose; // took part in a capture and has work that nobody has waited for
} stream;

typedef struct graph { uint32_t magic; context *c; op *first; } graph;

extern __thread context *current;
extern struct config { int version, init, gpus, capability, memory_mib, fault, old_jit, lost, rows_failed, nvml, careless; } config;

// Every call that needs a context begins with this.
#define NEED_CONTEXT \
	context *c = current; \
	if (!c) return INVALID_CONTEXT; \
	if (c->fault) return c->fault
#define NEED(handle, kind) \
	if (!(handle) || (handle)->magic != (kind)) return INVALID_HANDLE

void *new_handle(size_t size, uint32_t magic);
int end_handle(uint32_t *magic);
int reachable(context *c, devptr a, uint64_t n, int kernel); // whether the GPU may access n bytes at a
int known(devptr a, uint64_t n);                             // whether they are device or pinned memory at all
int run_launch(const launch *l);
int tensor_tile(const uint8_t *map, int32_t x, int32_t y, devptr out); // kernel "tile"
#endif
