#include "daemon/domain/idempotency.h"

#include <string.h>

enum idempotency_verdict
idempotency_judge(const struct idempotency_row *row, const uint8_t fingerprint[IDEMPOTENCY_HASH_BYTES], int64_t now_ms,
				  bool waited_for)
{
	if (!row || row->expires_at_ms <= now_ms)
		return IDEMPOTENCY_FRESH;
	/* Another body is told first: waiting would not help it. */
	if (memcmp(row->fingerprint, fingerprint, IDEMPOTENCY_HASH_BYTES) != 0)
		return IDEMPOTENCY_REUSED;
	return waited_for ? IDEMPOTENCY_BUSY : IDEMPOTENCY_REPLAY;
}

static enum err
code_of(const char *code)
{
	for (int e = ERR_OK + 1; e < ERR_MAX; e++)
		if (strcmp(err_code((enum err)e), code) == 0)
			return (enum err)e;
	return ERR_INTERNAL; /* stored by a version whose code is gone */
}

enum err
idempotency_answer(const struct idempotency_row *row, sp_operation_kind kind, sp_operation_status status,
				   unsigned *http_out)
{
	static const struct {
		enum err e;
		unsigned http;
	} answers[] = {[sp_OP_PENDING] = {ERR_OK, 202},
				   [sp_OP_SUCCEEDED] = {ERR_OK, 201},
				   [sp_OP_DECLINED] = {ERR_CARD_DECLINED, 402},
				   [sp_OP_FAILED] = {ERR_PROCESSOR_ERROR, 502},
				   [sp_OP_UNKNOWN] = {ERR_OK, 202},
				   [sp_OP_NEEDS_REVIEW] = {ERR_OK, 202}};
	size_t at = (size_t)status;

	if (row && *row->code) {
		enum err e = code_of(row->code);
		*http_out = row->status ? row->status : (unsigned)err_http(e);
		return e;
	}
	if (row && row->status) {
		*http_out = row->status;
		return ERR_OK;
	}
	if (at >= sizeof answers / sizeof *answers || !answers[at].http)
		at = sp_OP_PENDING;
	*http_out = answers[at].http;
	if (kind == sp_KIND_VOID && at == sp_OP_SUCCEEDED)
		*http_out = 200;
	/* a refund that the processor works on is made and says `pending`; a payment that is processed is not yet one */
	if (kind == sp_KIND_REFUND && at == sp_OP_PENDING)
		*http_out = 201;
	return answers[at].e;
}

bool
idempotency_keeps(enum err e)
{
	switch (e) {
	case ERR_INVALID_STATE:
	case ERR_AMOUNT_ABOVE:
	case ERR_CARD_DECLINED:
		return true;
	default:
		return false;
	}
}

int64_t
idempotency_ttl_ms(sp_operation_kind kind, int64_t ttl_ms)
{
	return kind == sp_KIND_REFUND ? 3 * ttl_ms : ttl_ms;
}
