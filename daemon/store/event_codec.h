/*
 * event_codec — stored events and states as bytes (protobuf), and back. Whatever bytes come, the answer is a message or
 * ERR_RECORD_CORRUPT; nothing is read beyond them.
 */
#ifndef DAEMON_STORE_EVENT_CODEC_H
#define DAEMON_STORE_EVENT_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/domain/payment.h"

#define EVENT_CODEC_EVENT_MAX 20480 /* body, detail with 16 KiB of metadata */
#define EVENT_CODEC_STATE_MAX 65536

/* The payload of an event: body, then detail if there is one. ERR_OUT_OF_RANGE: it does not fit. */
enum err event_codec_put(const struct payment_event *ev, uint8_t *out, size_t room, size_t *n_out) MUST;
/* body_out and detail_out may be NULL (skipped). detail_out's has_requested and metadata are empty when there is none.
 */
enum err event_codec_get(const uint8_t *bytes, size_t n, sp_event_body *body_out, sp_event_detail *detail_out) MUST;
/* The state without its id (it is the row's key); the id is blank while this runs. */
enum err event_codec_put_state(sp_payment_state *state, uint8_t *out, size_t room, size_t *n_out) MUST;
enum err event_codec_get_state(const char *id, const uint8_t *bytes, size_t n, sp_payment_state *out) MUST;

#endif
