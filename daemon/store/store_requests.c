/*
 * What became of requests: chunks of records, kept under the second in which these requests began. A chunk is one row
 * for many requests, so that a request costs its bytes and no row; who asks for one has its second from the id.
 * No table of its own: an older version passes over rows of a kind that it does not know.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/str.h"
#include "daemon/store/store_impl.h"

#define KEY_BYTES  13 /* second 5, when it was written 6, number 2: rising, and never the same after a restart */
#define HELD       "requests.bytes"
#define PRUNED_MAX 32 /* in one call: nobody waits for a long clearing */

static void
put_number(uint8_t *to, unsigned n, uint64_t value)
{
	while (n--) {
		to[n] = (uint8_t)value;
		value >>= 8;
	}
}

static uint64_t
take_number(const uint8_t *from, unsigned n)
{
	uint64_t value = 0;
	while (n--)
		value = value << 8 | *from++;
	return value;
}

static enum err
held(struct store *s, uint64_t *bytes_out)
{
	char text[24];
	*bytes_out = 0;
	enum err e = store_setting_get(s, HELD, text, sizeof text);
	if (e == ERR_NOT_FOUND)
		return ERR_OK;
	return e == ERR_OK ? str_decimal(text, UINT64_MAX, bytes_out) : e;
}

static enum err
hold(struct store *s, uint64_t bytes)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)bytes);
	return store_setting_put(s, HELD, text);
}

enum err
store_requests_put(struct store *s, uint64_t second, const void *records, size_t n, int64_t now_ms)
{
	static uint16_t number;
	uint8_t key[KEY_BYTES];
	uint64_t bytes;
	assert(s->in_batch);
	put_number(key, 5, second);
	put_number(key + 5, 6, (uint64_t)now_ms);
	put_number(key + 11, 2, number++);
	enum err e =
		s->ops->item_put(s->kind, STORE_ITEM_REQUESTS, store_blob_of(key, sizeof key), store_blob_of(records, n));
	if (e == ERR_OK)
		e = held(s, &bytes);
	return e == ERR_OK ? hold(s, bytes + n) : e;
}

struct finding {
	uint64_t second;
	store_requests_fn visit;
	void *arg;
};

static enum err
find(void *arg, struct store_blob key, struct store_blob value, bool *stop_out)
{
	const struct finding *f = arg;
	if (key.n != KEY_BYTES || take_number(key.bytes, 5) != f->second) {
		*stop_out = true;
		return ERR_OK;
	}
	return f->visit(f->arg, value.bytes, value.n, stop_out);
}

enum err
store_requests_find(struct store *s, uint64_t second, store_requests_fn visit, void *arg)
{
	struct finding f = {second, visit, arg};
	uint8_t after[5];
	put_number(after, sizeof after, second);
	return s->ops->item_scan(s->kind, STORE_ITEM_REQUESTS, store_blob_of(after, sizeof after), false, find, &f);
}

struct pruning {
	uint64_t before, bytes, bytes_max;
	uint8_t keys[PRUNED_MAX][KEY_BYTES];
	unsigned n;
};

static enum err
take_old(void *arg, struct store_blob key, struct store_blob value, bool *stop_out)
{
	struct pruning *p = arg;
	if (p->n == PRUNED_MAX || key.n != KEY_BYTES ||
		(take_number(key.bytes, 5) >= p->before && p->bytes <= p->bytes_max)) {
		*stop_out = true;
		return ERR_OK;
	}
	memcpy(p->keys[p->n++], key.bytes, KEY_BYTES);
	p->bytes -= value.n < p->bytes ? value.n : p->bytes;
	return ERR_OK;
}

enum err
store_requests_prune(struct store *s, uint64_t before_second, uint64_t bytes_max)
{
	struct pruning p = {.before = before_second, .bytes_max = bytes_max};
	bool was;
	assert(s->in_batch);
	enum err e = held(s, &p.bytes);
	if (e == ERR_OK)
		e = s->ops->item_scan(s->kind, STORE_ITEM_REQUESTS, store_blob_of("", 0), false, take_old, &p);
	for (unsigned i = 0; e == ERR_OK && i < p.n; i++)
		e = s->ops->item_drop(s->kind, STORE_ITEM_REQUESTS, store_blob_of(p.keys[i], KEY_BYTES), &was);
	return e == ERR_OK && p.n ? hold(s, p.bytes) : e;
}
