/*
 * Any bytes from any process to any other, after a proper hello, in pieces: the receiver cuts it off or lives with it.
 * The first byte chooses the two, the second the size of the pieces.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/wire/hub.h"
#include "policy/schema/wire.pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const struct {
	enum process from, to;
} links[] = {
	{PROCESS_GATE, PROCESS_VAULT},    {PROCESS_GATE, PROCESS_LEDGER},    {PROCESS_LEDGER, PROCESS_VAULT},
	{PROCESS_COURIER, PROCESS_VAULT}, {PROCESS_COURIER, PROCESS_LEDGER}, {PROCESS_LEDGER, PROCESS_HERALD},
	{PROCESS_OFFICER, PROCESS_DESK},  {PROCESS_DESK, PROCESS_VAULT},     {PROCESS_DESK, PROCESS_LEDGER},
	{PROCESS_VAULT, PROCESS_HSM},     {PROCESS_HSM, PROCESS_VAULT},      {PROCESS_LEDGER, PROCESS_COURIER},
};

static void
answer(struct call *c, const void *req)
{
	const struct msg_row *row = msg_row_of(call_number(c));
	size_t n;
	/* every byte that was decoded is there to be read */
	volatile uint8_t sum = 0;
	for (size_t i = 0; i < row->request_bytes; i++)
		sum = (uint8_t)(sum + ((const uint8_t *)req)[i]);
	if (row->kind == MSG_KIND_ASK) {
		const uint8_t *raw = call_bytes(c, &n);
		call_reply_raw(c, ERR_OK, raw, n);
	}
}

static void
take(void *arg, enum err e, const void *rep)
{
	(void)arg, (void)e, (void)rep;
}

/* Something to answer, so that answers are read too. */
static void
ask_everything(struct hub *h, struct peer *p)
{
	static const uint8_t nothing[128 * 1024]; /* a zeroed request of any row */
	for (unsigned i = 0; i < MSG_NUMBER_MAX; i++)
		if (msg_allowed(i, h->self, p->process) && msg_row_of(i)->kind == MSG_KIND_ASK &&
			peer_ask(p, (enum msg)i, nothing, 1000, take, NULL) != ERR_OK)
			continue;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static struct answer answers[MSG_NUMBER_MAX + 1];
	static struct hub h;
	int fds[2];
	unsigned rows = 0;
	if (n < 2)
		return 0;
	enum process from = links[bytes[0] % (sizeof links / sizeof *links)].from,
				 to = links[bytes[0] % (sizeof links / sizeof *links)].to;
	size_t piece = 1 + bytes[1] * 16u;
	for (unsigned i = 0; i < MSG_NUMBER_MAX; i++)
		if (msg_allowed(i, from, to) && msg_row_of(i)->to != PROCESS_ANY)
			answers[rows++] = (struct answer){(enum msg)i, answer};
	answers[rows] = (struct answer){MSG_NONE, NULL};
	log_level(SEVERITY_PANIC);
	struct event_base *base = event_base_new();
	if (hub_open(&h, base, to, 0, answers) != ERR_OK || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
		abort();
	struct peer *p = from == PROCESS_OFFICER ? hub_guest(&h, from, 0) : hub_peer(&h, from, 0);
	sp_hello_req hello = {.process = (uint32_t)from, .epoch = 1, .build_id = {.size = HUB_BUILD_ID_BYTES}};
	const uint8_t *frame;
	size_t hello_bytes;
	hub_build_id(hello.build_id.bytes);
	if (hub_attach(p, fds[1], 1) != ERR_OK || peer_encode(MSG_hello, &hello, &frame, &hello_bytes) != ERR_OK ||
		write(fds[0], frame, hello_bytes) != (ssize_t)hello_bytes)
		abort();
	hub_read(p);
	ask_everything(&h, p);
	bytes += 2;
	n -= 2;
	while (n > 0 && !TAILQ_EMPTY(&h.peers)) {
		size_t part = n < piece ? n : piece;
		if (send(fds[0], bytes, part, MSG_NOSIGNAL) != (ssize_t)part)
			break;
		bytes += part;
		n -= part;
		h.again = true;
		hub_once(&h);
	}
	close(fds[0]);
	hub_close(&h);
	event_base_free(base);
	return 0;
}
