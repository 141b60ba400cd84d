#include "daemon/wire/frame.h"

#define ANSWER_BIT 0x8000u

static uint64_t
read_be(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;
	for (unsigned i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static void
write_be(uint8_t *p, unsigned n, uint64_t v)
{
	for (unsigned i = n; i-- > 0; v >>= 8)
		p[i] = (uint8_t)v;
}

enum err
frame_read(const uint8_t *bytes, size_t n, enum process from, enum process to, struct frame *out)
{
	*out = (struct frame){.bytes = 0};
	if (n < 4)
		return ERR_OK;
	uint64_t rest = read_be(bytes, 4);
	if (rest < FRAME_HEADER_BYTES - 4 || rest > FRAME_BYTES_MAX - 4)
		return ERR_PROTOCOL;
	if (n < FRAME_HEADER_BYTES)
		return ERR_OK;
	unsigned word = (unsigned)read_be(bytes + 4, 2), code = (unsigned)read_be(bytes + 6, 2);
	out->answer = (word & ANSWER_BIT) != 0;
	out->number = word & ~ANSWER_BIT;
	out->id = read_be(bytes + 8, 8);
	out->body_bytes = (size_t)rest - (FRAME_HEADER_BYTES - 4);
	/* an answer goes the other way than its row */
	if (!msg_allowed(out->number, out->answer ? to : from, out->answer ? from : to))
		return ERR_PROTOCOL;
	out->row = msg_row_of(out->number);
	if (out->body_bytes > out->row->bytes_max || (out->answer && out->row->kind != MSG_KIND_ASK))
		return ERR_PROTOCOL;
	if (out->answer ? code >= ERR_MAX : code != 0)
		return ERR_PROTOCOL;
	out->e = (enum err)code;
	if (n - 4 < rest)
		return ERR_OK;
	out->body = bytes + FRAME_HEADER_BYTES;
	out->bytes = 4 + (size_t)rest;
	return ERR_OK;
}

void
frame_write(uint8_t out[FRAME_HEADER_BYTES], unsigned number, bool answer, enum err e, uint64_t id, size_t body_bytes)
{
	write_be(out, 4, body_bytes + FRAME_HEADER_BYTES - 4);
	write_be(out + 4, 2, number | (answer ? ANSWER_BIT : 0));
	write_be(out + 6, 2, (uint64_t)e);
	write_be(out + 8, 8, id);
}
