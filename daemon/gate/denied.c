#include "daemon/gate/denied.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/str.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"

/* The events' numbers; their names are the ledger's to write. */
enum {
#define EVENT(ID, name, log, kind, what) NUMBER_##ID,
#include "policy/event.def"
#undef EVENT
};

#define NETWORK_BYTES 46

struct row {
	char network[NETWORK_BYTES];
	enum err code;
	uint8_t cert_sha256[32]; /* zero when there were several, or none */
	uint64_t count;
};

static struct {
	struct row rows[DENIED_ROWS];
	unsigned n;
	bool waiting; /* the window's end is scheduled */
} all;

void
denied_network(const char *ip, char out[NETWORK_BYTES])
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	uint8_t a[16];
	char text[INET6_ADDRSTRLEN];

	if (inet_pton(AF_INET6, ip, a) == 1 && memcmp(a, mapped, sizeof(mapped)) == 0)
		memmove(a, a + 12, 4); /* an IPv4 address on an IPv6 socket */
	else if (inet_pton(AF_INET6, ip, a) == 1) {
		memset(a + 8, 0, 8);
		(void)snprintf(out, NETWORK_BYTES, "%.40s/64", inet_ntop(AF_INET6, a, text, sizeof(text)) ? text : "?");
		return;
	} else if (inet_pton(AF_INET, ip, a) != 1) {
		if (str_set(out, NETWORK_BYTES, ip) != ERR_OK)
			out[0] = '\0';
		return;
	}
	a[3] = 0;
	(void)snprintf(out, NETWORK_BYTES, "%.40s/24", inet_ntop(AF_INET, a, text, sizeof(text)) ? text : "?");
}

/* The row of this network and code; a new one; or, when the table is full, the last one, which then stands for all
 * others. */
static struct row *
row_of(const char *network, enum err code)
{
	struct row *r;

	for (unsigned i = 0; i < all.n; i++)
		if (all.rows[i].code == code && strcmp(all.rows[i].network, network) == 0)
			return &all.rows[i];
	if (all.n == DENIED_ROWS) {
		r = &all.rows[DENIED_ROWS - 1];
		r->network[0] = '\0';
		memset(r->cert_sha256, 0, sizeof(r->cert_sha256));
		return r;
	}
	r = &all.rows[all.n++];
	*r = (struct row){.code = code};
	memcpy(r->network, network, NETWORK_BYTES);
	return r;
}

static void
window_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	all.waiting = false;
	denied_tell();
}

/* The window begins with its first refusal, so that a quiet gate has no timer. */
static void
wait_for_end(void)
{
	const struct timeval window = {DENIED_WINDOW_MS / 1000, DENIED_WINDOW_MS % 1000 * 1000};

	if (!all.waiting && event_base_once(proc_base(), -1, EV_TIMEOUT, window_over, NULL, &window) == 0)
		all.waiting = true;
}

void
denied_count(enum err code, const sp_caller *who)
{
	const char *category = err_category(code);
	char network[NETWORK_BYTES] = "";
	struct row *r;

	if (strcmp(category, "authentication") != 0 && strcmp(category, "permission") != 0)
		return;
	denied_network(who->ip, network);
	r = row_of(network, code);
	if (r->count == 0)
		memcpy(r->cert_sha256, who->cert_sha256, sizeof(r->cert_sha256));
	else if (memcmp(r->cert_sha256, who->cert_sha256, sizeof(r->cert_sha256)) != 0)
		memset(r->cert_sha256, 0, sizeof(r->cert_sha256));
	r->count++;
	wait_for_end();
}

static enum err
tell(struct peer *ledger, const struct row *r)
{
	sp_ledger_note_req note = sp_ledger_note_req_init_zero;

	note.event = NUMBER_DENIED;
	note.process = PROCESS_GATE;
	note.code = (uint32_t)r->code;
	note.number = r->count;
	memcpy(note.ip, r->network, sizeof(note.ip));
	memcpy(note.cert_sha256, r->cert_sha256, sizeof(note.cert_sha256));
	return tell_ledger_note(ledger, &note);
}

void
denied_tell(void)
{
	struct peer *ledger = proc_peer(PROCESS_LEDGER, 0);
	unsigned told = 0;

	while (ledger && told < all.n && tell(ledger, &all.rows[told]) == ERR_OK)
		told++;
	/* what could not be told waits for another window */
	memmove(all.rows, all.rows + told, (all.n - told) * sizeof(*all.rows));
	all.n -= told;
	if (all.n > 0)
		wait_for_end();
}
