#include "daemon/store/event_codec.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <stdio.h>
#include <string.h>

enum err
event_codec_put(const struct payment_event *ev, uint8_t *out, size_t room, size_t *n_out)
{
	pb_ostream_t to = pb_ostream_from_buffer(out, room);

	/* Field numbers of the two do not meet, so what comes out is one message to any other reader. */
	if (!pb_encode(&to, sp_event_body_fields, &ev->body) ||
		(ev->detail && !pb_encode(&to, sp_event_detail_fields, ev->detail)))
		return ERR_OUT_OF_RANGE;
	*n_out = to.bytes_written;
	return ERR_OK;
}

enum err
event_codec_get(const uint8_t *bytes, size_t n, sp_event_body *body_out, sp_event_detail *detail_out)
{
	pb_istream_t from = pb_istream_from_buffer(bytes, n), again = from;

	if (body_out && !pb_decode(&from, sp_event_body_fields, body_out))
		return ERR_RECORD_CORRUPT;
	if (detail_out && !pb_decode(&again, sp_event_detail_fields, detail_out))
		return ERR_RECORD_CORRUPT;
	return ERR_OK;
}

enum err
event_codec_put_state(sp_payment_state *state, uint8_t *out, size_t room, size_t *n_out)
{
	pb_ostream_t to = pb_ostream_from_buffer(out, room);
	char first = state->id[0];

	state->id[0] = 0;
	bool ok = pb_encode(&to, sp_payment_state_fields, state);
	state->id[0] = first;
	if (!ok)
		return ERR_OUT_OF_RANGE;
	*n_out = to.bytes_written;
	return ERR_OK;
}

enum err
event_codec_get_state(const char *id, const uint8_t *bytes, size_t n, sp_payment_state *out)
{
	pb_istream_t from = pb_istream_from_buffer(bytes, n);

	payment_clear(out);
	if (!pb_decode(&from, sp_payment_state_fields, out) || out->operations_count == 0)
		return ERR_RECORD_CORRUPT;
	snprintf(out->id, sizeof out->id, "%s", id);
	return ERR_OK;
}
