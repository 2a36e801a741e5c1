// Streams, events, launches, graphs. Everything is done at once, in the order of the calls, unless it is captured.
#define _GNU_SOURCE
#include "stub.h"
#include <time.h>

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int perform(context *c, const op *o) {
	int r = OK;
	switch (o->kind) {
	case LAUNCH: r = run_launch(&o->l); break;
	case COPY: memmove((void *)o->to, (void *)o->from, o->n); break;
	case FILL: for (uint64_t i = 0; i < o->n; i++) ((uint32_t *)o->to)[i] = o->word; break;
	case STAMP: o->e->recorded = 1; o->e->ns = now(); break;
	}
	if (r) c->fault = r; // seen by the next call
	return OK;
}

// give does an operation, or adds it to the stream's capture.
static int give(stream *s, const op *o) {
	if (!s->capture) return perform(s->c, o);
	if (s->capture->spoilt) return CAPTURE_INVALIDATED;
	op *copy = malloc(sizeof *copy);
	*copy = *o;
	copy->next = NULL;
	*s->capture->last = copy;
	s->capture->last = &copy->next;
	s->loose = s != s->capture->origin;
	return OK;
}

#define NEED_STREAM(s) \
	NEED_CONTEXT; \
	NEED(s, STREAM); \
	if ((s)->c != c) return INVALID_HANDLE

EXPORT int cuStreamCreateWithPriority(stream **s, unsigned flags, int priority) {
	OUT(s);
	NEED_CONTEXT;
	ABI(flags == 1, "flags %u: a stream is to be independent of the default stream", flags);
	ABI(priority == 0 || priority == -5, "priority %d", priority);
	*s = new_handle(sizeof **s, STREAM);
	(*s)->c = c;
	return OK;
}

EXPORT int cuStreamDestroy_v2(stream *s) { NEED_STREAM(s); return end_handle(&s->magic); }

// spoil is what calls that must not be made during a capture do to it.
static int spoil(stream *s) { s->capture->spoilt = 1; return CAPTURE_UNSUPPORTED; }

EXPORT int cuStreamSynchronize(stream *s) {
	if (!s) { // the default stream
		NEED_CONTEXT;
		arrive(c);
		return OK;
	}
	NEED_STREAM(s);
	return s->capture ? spoil(s) : OK;
}
EXPORT int cuStreamQuery(stream *s) { NEED_STREAM(s); return s->capture ? spoil(s) : OK; }
EXPORT int cuStreamIsCapturing(stream *s, uint32_t *status) { OUT(status); NEED_STREAM(s); *status = s->capture ? 1 + s->capture->spoilt : 0; return OK; }

EXPORT int cuStreamBeginCapture_v2(stream *s, unsigned mode) {
	NEED_STREAM(s);
	ABI(mode == 1, "capture mode %u", mode);
	if (s->capture) return ILLEGAL_STATE;
	s->capture = calloc(1, sizeof *s->capture);
	s->capture->origin = s;
	s->capture->last = &s->capture->first;
	return OK;
}

// Streams that have joined a capture, to be let go of at its end.
static stream *joined[64];
static int n_joined;

EXPORT int cuStreamEndCapture(stream *s, graph **g) {
	OUT(g);
	NEED_STREAM(s);
	capture *k = s->capture;
	if (!k || k->origin != s) return ILLEGAL_STATE;
	int loose = 0, kept = 0;
	for (int i = 0; i < n_joined; i++)
		if (joined[i]->capture == k) {
			loose |= joined[i]->loose;
			joined[i]->capture = NULL;
			joined[i]->loose = 0;
		} else {
			joined[kept++] = joined[i];
		}
	n_joined = kept;
	s->capture = NULL;
	*g = NULL;
	if (k->spoilt) return CAPTURE_INVALIDATED;
	if (loose) return CAPTURE_UNJOINED;
	*g = new_handle(sizeof **g, GRAPH);
	(*g)->c = c;
	(*g)->first = k->first;
	return OK;
}

EXPORT int cuStreamWaitEvent(stream *s, event *e, unsigned flags) {
	NEED_CONTEXT;
	NEED(s, STREAM);
	NEED(e, EVENT);
	ABI(flags == 0, "flags %u", flags);
	if (!e->capture) return OK; // recorded work is done
	if (s->capture && s->capture != e->capture) return ILLEGAL_STATE;
	if (!s->capture) {
		ABI(n_joined < 64, "too many captured streams for the stub");
		s->capture = e->capture;
		joined[n_joined++] = s;
	}
	if (e->from->capture == s->capture && e->from != s) e->from->loose = 0;
	s->loose = s != s->capture->origin;
	return OK;
}

EXPORT int cuEventCreate(event **e, unsigned flags) {
	OUT(e);
	NEED_CONTEXT;
	ABI(flags == 1 || flags == 3, "flags %u: waiting for an event is to sleep", flags);
	*e = new_handle(sizeof **e, EVENT);
	(*e)->c = c;
	(*e)->flags = flags;
	return OK;
}

EXPORT int cuEventDestroy_v2(event *e) { NEED_CONTEXT; NEED(e, EVENT); return end_handle(&e->magic); }
EXPORT int cuEventSynchronize(event *e) { NEED_CONTEXT; NEED(e, EVENT); return OK; }

EXPORT int cuEventRecordWithFlags(event *e, stream *s, unsigned flags) {
	NEED_STREAM(s);
	NEED(e, EVENT);
	if (e->c != c) return INVALID_HANDLE;
	ABI(flags <= 1, "flags %u", flags);
	if (flags == 1 && !s->capture) return INVALID_VALUE;
	if (flags == 1) return give(s, &(op){.kind = STAMP, .e = e});
	e->capture = s->capture;
	e->from = s;
	return s->capture ? OK : perform(c, &(op){.kind = STAMP, .e = e});
}

EXPORT int cuEventElapsedTime(float *ms, event *a, event *b) {
	OUT(ms);
	NEED_CONTEXT;
	NEED(a, EVENT);
	NEED(b, EVENT);
	if ((a->flags | b->flags) & 2 || !a->recorded || !b->recorded) return INVALID_HANDLE;
	*ms = (float)((b->ns - a->ns) / 1e6);
	return OK;
}

EXPORT int cuMemcpyAsync(devptr to, devptr from, size_t n, stream *s) {
	NEED_STREAM(s);
	if (!n || !known(to, n) || !known(from, n)) return INVALID_VALUE;
	return give(s, &(op){.kind = COPY, .to = to, .from = from, .n = n});
}

EXPORT int cuMemsetD32Async(devptr to, unsigned word, size_t n, stream *s) {
	NEED_STREAM(s);
	if (to % 4 || !n || !known(to, 4 * n)) return INVALID_VALUE;
	return give(s, &(op){.kind = FILL, .to = to, .word = word, .n = n});
}

struct attribute { uint32_t id, pad; uint32_t value[16]; };
struct config_ex { uint32_t grid[3], block[3], shared; stream *s; struct attribute *attributes; uint32_t count; };
_Static_assert(sizeof(struct attribute) == 72 && sizeof(struct config_ex) == 56, "sizes of cuda.h");
_Static_assert(offsetof(struct config_ex, s) == 32 && offsetof(struct config_ex, count) == 48, "offsets of cuda.h");

EXPORT int cuLaunchKernelEx(const struct config_ex *k, function *f, void **params, void **extra) {
	ABI(k && (uintptr_t)k % 8 == 0, "configuration at %p", (void *)k);
	stream *s = k->s;
	NEED_STREAM(s);
	NEED(f, FUNCTION);
	if (f->c != c || f->m->magic != MODULE) return INVALID_HANDLE;
	op o = {.kind = LAUNCH, .l = {.f = f, .cluster = {1, 1, 1}, .shared = k->shared}};
	ABI(k->count == 0 || k->attributes, "%u attributes at no address", k->count);
	for (uint32_t i = 0; i < k->count; i++) {
		const struct attribute *a = &k->attributes[i];
		ABI(a->pad == 0, "attribute %u has bytes set between its number and its value", a->id);
		for (int j = a->id == 4 ? 3 : 1; j < 16; j++) ABI(a->value[j] == 0, "attribute %u has bytes set past its value", a->id);
		switch (a->id) {
		case 4: memcpy(o.l.cluster, a->value, 12); break;
		case 6: ABI(a->value[0] == 1, "programmatic serialization %u", a->value[0]); break;
		default: ABI(0, "attribute %u is not one that is used", a->id);
		}
	}
	uint64_t threads = 1, ctas = 1, cluster = 1;
	for (int i = 0; i < 3; i++) {
		threads *= o.l.block[i] = k->block[i];
		ctas *= o.l.grid[i] = k->grid[i];
		cluster *= o.l.cluster[i];
		if (o.l.cluster[i] == 0 || k->grid[i] % o.l.cluster[i]) return INVALID_VALUE;
	}
	if (threads < 1 || threads > 1024 || ctas < 1 || k->grid[0] > INT32_MAX || k->grid[1] > 65535 || k->grid[2] > 65535) return INVALID_VALUE;
	if (cluster > 8) return INVALID_CLUSTER_SIZE;
	if (k->shared > f->dynamic) return INVALID_VALUE;

	const entry *e = f->e;
	ABI(!extra, "a buffer of parameters beside an array of them");
	ABI(!!params == !!e->params, "%d parameters, passed at %p", e->params, (void *)params);
	for (int i = 0; i < e->params; i++) {
		ABI(params[i], "parameter %d at no address", i);
		memcpy(o.l.params + e->offset[i], params[i], e->size[i]);
	}
	return give(s, &o);
}

EXPORT int cuGraphInstantiateWithFlags(graph **exec, graph *g, uint64_t flags) {
	OUT(exec);
	NEED_CONTEXT;
	NEED(g, GRAPH);
	ABI(flags == 0, "flags %lu", flags);
	*exec = new_handle(sizeof **exec, EXEC);
	(*exec)->c = c;
	(*exec)->first = g->first;
	return OK;
}

EXPORT int cuGraphDestroy(graph *g) { NEED_CONTEXT; NEED(g, GRAPH); return end_handle(&g->magic); }
EXPORT int cuGraphExecDestroy(graph *g) { NEED_CONTEXT; NEED(g, EXEC); return end_handle(&g->magic); }
EXPORT int cuGraphUpload(graph *g, stream *s) { NEED_STREAM(s); NEED(g, EXEC); return OK; }

EXPORT int cuGraphLaunch(graph *g, stream *s) {
	NEED_STREAM(s);
	NEED(g, EXEC);
	if (g->c != c || s->capture) return INVALID_VALUE;
	for (const op *o = g->first; o; o = o->next) perform(c, o);
	return OK;
}
