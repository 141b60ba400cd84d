#include "daemon/domain/payment_view.h"

#include <string.h>

/* Arrays of the stored and the shown message have the same bounds; where they do not, the shown one is the larger. */
#define COPY(to, from)                                                                    \
	do {                                                                                  \
		_Static_assert(sizeof(to) >= sizeof(from), "the view would cut the stored text"); \
		memcpy((to), (from), sizeof(from));                                               \
	} while (0)

/* Only what is used: a metadata array is 16 KiB, and almost always empty. */
static void
copy_metadata(pb_size_t *size_out, pb_byte_t *to, const sp_event_detail *detail)
{
	*size_out = detail ? detail->metadata.size : 0;
	if (*size_out)
		memcpy(to, detail->metadata.bytes, *size_out);
}

static void
copy_requested(const sp_payment_requested *r, sp_payment_view *v)
{
	v->has_card = r->has_card;
	v->card = r->card;
	COPY(v->origin, r->origin);
	COPY(v->customer, r->customer);
	COPY(v->statement_descriptor, r->statement_descriptor);
	COPY(v->description, r->description);
	v->initiator_mit = r->initiator_mit;
}

void
payment_view_of(const sp_payment_state *s, const sp_event_detail *detail, sp_payment_view *v)
{
	sp_operation_kind actions[3];

	*v = (sp_payment_view)sp_payment_view_init_zero;
	COPY(v->id, s->id);
	v->created_at_ms = s->created_at_ms;
	v->updated_at_ms = s->updated_at_ms;
	COPY(v->merchant, s->merchant);
	COPY(v->client, s->client);
	v->status = payment_status(s);
	v->amount_minor = s->amount_minor;
	v->currency = s->currency;
	v->amount_authorized_minor = s->authorized_minor;
	v->amount_captured_minor = s->captured_minor;
	v->amount_refunded_minor = s->refunded_minor;
	v->capture_method = s->capture_method;
	COPY(v->token, s->token);
	COPY(v->order_id, s->order_id);
	COPY(v->processor, s->account);
	v->livemode = s->livemode;
	v->version = s->version;
	v->authorization_expires_at_ms = s->expires_at_ms;
	if (s->operations_count > 0) {
		const sp_operation_state *authorization = &s->operations[0];
		COPY(v->decline_code, authorization->decline_code);
		COPY(v->network_code, authorization->network_code);
		COPY(v->processor_code, authorization->processor_code);
		COPY(v->advice, authorization->advice);
		COPY(v->processor_reference, authorization->processor_reference);
	}
	v->allowed_actions_count = (pb_size_t)payment_allowed_actions(s, actions);
	memcpy(v->allowed_actions, actions, v->allowed_actions_count * sizeof *actions);
	if (detail && detail->has_requested)
		copy_requested(&detail->requested, v);
	copy_metadata(&v->metadata.size, v->metadata.bytes, detail);
}

void
payment_view_operation(const sp_payment_state *s, const sp_operation_state *op, const sp_event_body *body,
					   const sp_event_detail *detail, sp_operation_view *v)
{
	*v = (sp_operation_view)sp_operation_view_init_zero;
	memcpy(v->id, payment_operation_id(s, op), sizeof v->id);
	COPY(v->payment, s->id);
	v->kind = op->kind;
	v->status = op->status;
	v->amount_minor = op->amount_minor;
	v->currency = s->currency;
	v->created_at_ms = op->created_at_ms;
	v->updated_at_ms = op->updated_at_ms;
	v->final = op->final;
	v->attempts = op->attempts;
	v->livemode = s->livemode;
	COPY(v->decline_code, op->decline_code);
	COPY(v->network_code, op->network_code);
	COPY(v->processor_code, op->processor_code);
	COPY(v->advice, op->advice);
	COPY(v->processor_reference, op->processor_reference);
	if (body)
		COPY(v->reason, body->reason);
	/* the authorization's metadata is the payment's */
	if (op->kind != sp_KIND_AUTHORIZE)
		copy_metadata(&v->metadata.size, v->metadata.bytes, detail);
}
