#include "daemon/wire/page_note.h"

#include <string.h>

#define TRIES 4 /* a writer needs microseconds: who meets it four times asks again later */

/* Odd while it is being written. The fences order the words between the two numbers. */
static void
write_note(struct page *p, int64_t at_ms, const uint64_t words[PAGE_NOTE_WORDS])
{
	uint32_t turn = atomic_load_explicit(&p->note.turn, memory_order_relaxed);
	atomic_store_explicit(&p->note.turn, turn + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&p->note.at_ms, at_ms, memory_order_relaxed);
	for (unsigned i = 0; i < PAGE_NOTE_WORDS; i++)
		atomic_store_explicit(&p->note.words[i], words[i], memory_order_relaxed);
	atomic_store_explicit(&p->note.turn, turn + 2, memory_order_release);
}

void
page_note_set(struct page *p, int64_t at_ms, const char *text)
{
	uint64_t words[PAGE_NOTE_WORDS] = {0};
	size_t n = strlen(text);
	memcpy(words, text, n < PAGE_NOTE_BYTES ? n : PAGE_NOTE_BYTES - 1);
	write_note(p, at_ms, words);
}

void
page_note_clear(struct page *p)
{
	static const uint64_t none[PAGE_NOTE_WORDS];
	if (atomic_load_explicit(&p->note.at_ms, memory_order_relaxed))
		write_note(p, 0, none);
}

int64_t
page_note_get(const struct page *p, char out[PAGE_NOTE_BYTES])
{
	uint64_t words[PAGE_NOTE_WORDS];
	for (unsigned try = 0; try < TRIES; try++) {
		uint32_t turn = atomic_load_explicit(&p->note.turn, memory_order_acquire);
		int64_t at_ms = atomic_load_explicit(&p->note.at_ms, memory_order_relaxed);
		for (unsigned i = 0; i < PAGE_NOTE_WORDS; i++)
			words[i] = atomic_load_explicit(&p->note.words[i], memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (turn % 2 || turn != atomic_load_explicit(&p->note.turn, memory_order_relaxed))
			continue;
		memcpy(out, words, PAGE_NOTE_BYTES);
		out[PAGE_NOTE_BYTES - 1] = 0; /* the owner may be mad: never trust that it ended its text */
		return at_ms;
	}
	out[0] = 0;
	return 0;
}
