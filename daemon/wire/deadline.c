#include "daemon/wire/deadline.h"

#include <assert.h>

#include "daemon/base/mem.h"

static void
place(struct deadlines *h, struct deadline *d, size_t at)
{
	h->heap[at] = d;
	d->place = at;
}

static void
rise(struct deadlines *h, struct deadline *d, size_t at)
{
	for (; at > 1 && h->heap[at / 2]->due_ms > d->due_ms; at /= 2)
		place(h, h->heap[at / 2], at);
	place(h, d, at);
}

static void
sink(struct deadlines *h, struct deadline *d, size_t at)
{
	for (size_t child; (child = 2 * at) <= h->count; at = child) {
		if (child < h->count && h->heap[child + 1]->due_ms < h->heap[child]->due_ms)
			child++;
		if (h->heap[child]->due_ms >= d->due_ms)
			break;
		place(h, h->heap[child], at);
	}
	place(h, d, at);
}

enum err
deadline_add(struct deadlines *h, struct deadline *d, int64_t due_ms)
{
	assert(d->place == 0);
	if (h->count + 2 > h->room) {
		size_t room = h->room ? h->room * 2 : 64;
		struct deadline **heap = mem_grow(h->heap, room * sizeof *heap);
		if (!heap)
			return ERR_MEMORY;
		h->heap = heap;
		h->room = room;
	}
	d->due_ms = due_ms;
	rise(h, d, ++h->count);
	return ERR_OK;
}

void
deadline_remove(struct deadlines *h, struct deadline *d)
{
	size_t at = d->place;
	if (at == 0)
		return;
	d->place = 0;
	struct deadline *last = h->heap[h->count--];
	if (last == d)
		return;
	if (at > 1 && h->heap[at / 2]->due_ms > last->due_ms)
		rise(h, last, at);
	else
		sink(h, last, at);
}

struct deadline *
deadline_first(const struct deadlines *h)
{
	return h->count ? h->heap[1] : NULL;
}

void
deadline_free(struct deadlines *h)
{
	mem_free(h->heap);
	*h = (struct deadlines){NULL, 0, 0};
}
