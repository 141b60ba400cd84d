/*
 * Stored events and states: whatever bytes the database gives, the answer is a message or "corrupt". What decodes must
 * encode again to something that decodes to the same; and a stream of events, however absurd, either applies with the
 * books in balance or is refused.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/domain/payment_event.h"
#include "daemon/domain/payment_view.h"
#include "daemon/store/event_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAYMENT "pay_01ARZ3NDEKTSV4RRFFQ69G5FAV"

static uint8_t bytes[EVENT_CODEC_STATE_MAX], again[EVENT_CODEC_STATE_MAX];
static sp_event_detail detail;
static sp_payment_view view;
static sp_operation_view operation;

static void
check_books(const sp_payment_state *p)
{
	assert(p->captured_minor <= p->authorized_minor && p->authorized_minor <= p->amount_minor);
	assert(p->refunded_minor <= p->captured_minor && p->refunded_minor >= 0);
	assert(p->operations_count <= PAYMENT_OPERATIONS_MAX);
}

/* Whatever a state says, all that reads it must survive it. */
static void
look_at(const sp_payment_state *p)
{
	sp_operation_kind actions[3];

	assert(payment_allowed_actions(p, actions) <= 3);
	(void)payment_status_name(payment_status(p));
	payment_view_of(p, &detail, &view);
	for (size_t i = 0; i < p->operations_count; i++)
		payment_view_operation(p, &p->operations[i], NULL, &detail, &operation);
}

static void
one_state(const uint8_t *data, size_t size, sp_payment_state *p)
{
	size_t n, m;

	if (event_codec_get_state(PAYMENT, data, size, p) != ERR_OK)
		return;
	look_at(p);
	assert(event_codec_put_state(p, bytes, sizeof bytes, &n) == ERR_OK);
	assert(event_codec_get_state(PAYMENT, bytes, n, p) == ERR_OK);
	assert(event_codec_put_state(p, again, sizeof again, &m) == ERR_OK);
	assert(n == m && memcmp(bytes, again, n) == 0);
}

/* type, length, payload; and so on */
static void
stream(const uint8_t *data, size_t size, sp_payment_state *p)
{
	struct buf json;
	size_t n;

	buf_init(&json, EVENT_CODEC_EVENT_MAX);
	payment_clear(p);
	for (uint32_t version = 1; size >= 3; version++) {
		struct payment_event ev = {
			.type = (sp_event_type)data[0], .version = version, .at_ms = version, .detail = &detail};
		size_t len = (size_t)data[1] << 8 | data[2];
		data += 3, size -= 3;
		len = len > size ? size : len;
		if (event_codec_get(data, len, &ev.body, &detail) != ERR_OK)
			break;
		assert(event_codec_put(&ev, bytes, sizeof bytes, &n) == ERR_OK);
		if (payment_apply(p, PAYMENT, &ev) != ERR_OK)
			break;
		check_books(p);
		look_at(p);
		buf_reset(&json);
		(void)!payment_event_json(p, &ev, &json);
		data += len, size -= len;
	}
	buf_clear(&json);
}

/* Events in the right form and in any order: four bytes choose type, operation and amount. */
static void
disorder(const uint8_t *data, size_t size, sp_payment_state *p)
{
	payment_clear(p);
	detail.has_requested = true;
	for (; size >= 4; data += 4, size -= 4) {
		const struct payment_event_row *row = payment_event_row((sp_event_type)data[0]);
		struct payment_event ev = {.version = p->version + 1, .detail = &detail};
		if (!row)
			break;
		ev.type = row->type;
		ev.body.kind = row->kind;
		ev.body.status = row->status;
		ev.body.amount_minor = data[2];
		ev.body.final = data[3] & 1;
		ev.body.contradicted = data[3] >> 1 & 1;
		if (data[1] & 7)
			memcpy(ev.body.operation, (char[]){(char)('a' + (data[1] & 7)), 0}, 2);
		if (payment_apply(p, PAYMENT, &ev) != ERR_OK)
			break;
		check_books(p);
		look_at(p);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sp_payment_state *p = payment_new();

	assert(p);
	static void (*const ways[])(const uint8_t *, size_t, sp_payment_state *) = {one_state, stream, disorder};
	if (size > 0)
		ways[data[0] % 3](data + 1, size - 1, p);
	mem_free(p);
	return 0;
}
