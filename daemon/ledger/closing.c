#include "daemon/ledger/closing.h"

#include <pb_decode.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/str.h"
#include "daemon/ledger/ledger.h"
#include "daemon/wire/ask.h"

#define DEADLINE_MS  (10 * 60 * 1000)
#define PAGE         50
#define PAYMENTS_MAX 1000 /* more than can have been between a commit and its message */

static unsigned left; /* payments still to be looked at after the start */
static char cursor[64];
static int64_t since_ms;

static void
told(void *arg, enum err e, const void *rep)
{
	(void)arg, (void)rep;
	/* a vault that was started again holds no codes; and none is held longer than vault.cvc_ttl, whatever happens here
	 */
	if (e && e != ERR_VAULT_SEALED)
		log_warn("a security code may be held until it expires", LOG_E("cause", e));
}

void
closing_tell(const char *payment, const char *token, int64_t created_at_ms)
{
	sp_close_authorization_req req = sp_close_authorization_req_init_zero;
	req.created_at_ms = created_at_ms;
	enum err e = str_set(req.payment, sizeof req.payment, payment);
	if (!e)
		e = str_set(req.token, sizeof req.token, token);
	if (!e)
		e = ask_close_authorization(ledger_vault(), &req, DEADLINE_MS, told, NULL);
	if (e)
		told(NULL, e, NULL);
}

void
closing_start(void)
{
	left = PAYMENTS_MAX;
	cursor[0] = 0;
	since_ms = clock_wall_ms() - conf_int(proc_conf(), CONF_CVC_TTL);
}

static void
tell_page(const struct buf *data)
{
	static sp_payment_view view;
	pb_istream_t in = pb_istream_from_buffer(data->len ? buf_at(data) : NULL, data->len);
	while (in.bytes_left && pb_decode_delimited(&in, sp_payment_view_fields, &view)) {
		left -= left > 0;
		if (view.status != sp_STATUS_PROCESSING && view.status != sp_STATUS_CREATED)
			closing_tell(view.id, view.token, view.created_at_ms);
	}
}

void
closing_tick(void)
{
	static sp_list_query q;
	struct buf data;
	struct store_page page = {.data = &data, .bytes_max = 1u << 20};
	if (!left || store_in_batch(ledger.store) || !ledger_has(ledger_vault()))
		return;
	q = (sp_list_query){.limit = PAGE, .created_gte_ms = since_ms};
	memcpy(q.cursor, cursor, sizeof cursor);
	buf_init(&data, 1u << 20);
	enum err e = store_payment_list(ledger.store, &q, NULL, 0, &page);
	if (!e)
		tell_page(&data);
	buf_clear(&data);
	if (e || !page.has_more)
		left = 0;
	memcpy(cursor, page.next_cursor, sizeof cursor);
}
