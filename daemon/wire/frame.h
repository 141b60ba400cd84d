/*
 * frame — the 16 bytes before each message: written, read and judged against the message table.
 * Invariants: pure (bytes in, bytes out); a frame that this sender may not send to this receiver, or that is longer
 * than its row allows, is refused from its header, before its body has arrived.
 */
#ifndef DAEMON_WIRE_FRAME_H
#define DAEMON_WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/wire/msg.h"

#define FRAME_HEADER_BYTES 16
#define FRAME_BODY_MAX     65536 /* no row has more */
#define FRAME_BYTES_MAX    (FRAME_HEADER_BYTES + FRAME_BODY_MAX)

struct frame {
	size_t bytes; /* of the whole frame; 0: more must arrive first */
	const struct msg_row *row;
	unsigned number;
	bool answer;
	enum err e; /* of an answer */
	uint64_t id;
	const uint8_t *body; /* borrowed from the bytes that were read */
	size_t body_bytes;
};

/*
 * frame_read(bytes, n, from, to, out)
 *   The first frame of a stream that `from` writes and `to` reads.
 *   out       bytes = 0 while the frame is not whole
 *   Returns   ERR_OK · ERR_PROTOCOL (the stream can't be followed any further).
 */
enum err frame_read(const uint8_t *bytes, size_t n, enum process from, enum process to, struct frame *out) MUST;
/* Write the header of a frame with body_bytes bytes of body. */
void frame_write(uint8_t out[FRAME_HEADER_BYTES], unsigned number, bool answer, enum err e, uint64_t id,
				 size_t body_bytes);

#endif
