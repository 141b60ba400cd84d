/*
 * A gate without an appliance: this program is its monitor, its ledger and its vault, so that curl and load tools can
 * talk to the real binary in its real jail. Payments are approved from nothing and kept in an array.
 *   gate_harness GATE FOLDER [PORT]   FOLDER holds server.crt, server.key, ca.crt; ends when its standard input does
 */
#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/id.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/hub.h"
#include "policy/schema/wire.pb.h"

#define PAYMENTS_MAX 65536

static struct event_base *base;
static struct hub monitor, ledger, vault;
static struct {
	struct id id;
	int64_t amount;
} payments[PAYMENTS_MAX];
static unsigned payments_n;
static bool ready;

static void
check(bool fine, const char *what)
{
	if (fine)
		return;
	fprintf(stderr, "gate_harness: %s\n", what);
	exit(1);
}

/* ── the ledger and the vault of a gate that wants to be fed ── */

static void
answer_client_of(struct call *call, const void *req)
{
	sp_client_of_rep rep = {.has_client = true, .epoch = 1};

	(void)req;
	strcpy(rep.client.name, "demo");
	strcpy(rep.install, "lab");
	rep.client.scopes = getenv("SCOPES") ? strtoull(getenv("SCOPES"), NULL, 16) : UINT64_MAX;
	strcpy(rep.client.merchants[0], "demo");
	rep.client.merchants_count = 1;
	call_reply(call, ERR_OK, &rep);
}

static void
fill_payment(sp_payment_view *p, const char *id, int64_t amount)
{
	strcpy(p->id, id);
	strcpy(p->merchant, "demo");
	p->created_at_ms = p->updated_at_ms = clock_wall_ms();
	p->status = sp_STATUS_AUTHORIZED;
	p->amount_minor = p->amount_authorized_minor = amount;
	p->currency = 978;
	p->has_card = true;
	p->card.brand = sp_BRAND_VISA;
	strcpy(p->card.bin, "424242");
	strcpy(p->card.last4, "4242");
	p->card.exp_month = 12;
	p->card.exp_year = 2031;
	strcpy(p->processor, "simulator");
	p->version = 3;
	p->allowed_actions_count = 2;
	p->allowed_actions[0] = sp_KIND_CAPTURE;
	p->allowed_actions[1] = sp_KIND_VOID;
}

static void
answer_payment_create(struct call *call, const void *req)
{
	static sp_payment_create_rep rep;
	const sp_payment_create_req *q = req;
	unsigned at = payments_n++ % PAYMENTS_MAX;

	memset(&rep, 0, sizeof(rep));
	id_new("pay", clock_wall_ms(), &payments[at].id);
	payments[at].amount = q->amount_minor;
	rep.has_payment = true;
	fill_payment(&rep.payment, payments[at].id.text, q->amount_minor);
	if (q->amount_minor == 900021) {
		rep.payment.status = sp_STATUS_DECLINED;
		strcpy(rep.payment.decline_code, "generic_decline");
		call_reply(call, ERR_CARD_DECLINED, &rep);
		return;
	}
	call_reply(call, ERR_OK, &rep);
}

static void
answer_payment_get(struct call *call, const void *req)
{
	static sp_payment_get_rep rep;
	const sp_payment_get_req *q = req;

	memset(&rep, 0, sizeof(rep));
	for (unsigned i = payments_n < PAYMENTS_MAX ? payments_n : PAYMENTS_MAX; i-- > 0;) {
		if (strcmp(payments[i].id.text, q->id) == 0) {
			rep.has_payment = true;
			fill_payment(&rep.payment, q->id, payments[i].amount);
			call_reply(call, ERR_OK, &rep);
			return;
		}
	}
	call_reply(call, ERR_PAYMENT_NOT_FOUND, NULL);
}

static void
answer_payment_operate(struct call *call, const void *req)
{
	static sp_payment_operate_rep rep;
	const sp_payment_operate_req *q = req;

	memset(&rep, 0, sizeof(rep));
	rep.has_payment = rep.has_operation = true;
	fill_payment(&rep.payment, q->payment, 1000);
	strcpy(rep.operation.id, "cap_00000000000000000000000000");
	strcpy(rep.operation.payment, q->payment);
	rep.operation.kind = q->kind;
	rep.operation.status = sp_OP_SUCCEEDED;
	rep.operation.amount_minor = q->amount_minor;
	rep.operation.currency = 978;
	call_reply(call, ERR_OK, &rep);
}

static void
answer_tokenize(struct call *call, const void *req)
{
	static sp_tokenize_rep rep;
	const sp_tokenize_req *q = req;
	struct id id;

	if (q->pan.size && q->pan.bytes[q->pan.size - 1] == '1') { /* no Luhn here: numbers that end in 1 are wrong */
		call_reply(call, ERR_CARD_LUHN, NULL);
		return;
	}
	memset(&rep, 0, sizeof(rep));
	id_random("tok", &id);
	strcpy(rep.token.id, id.text);
	rep.has_token = true;
	rep.token.created_at_ms = clock_wall_ms();
	strcpy(rep.token.merchant, q->merchant);
	rep.token.has_card = true;
	rep.token.card.exp_month = q->exp_month;
	rep.token.card.exp_year = q->exp_year;
	rep.card_digest.size = 32;
	call_reply(call, ERR_OK, &rep);
}

/* ── the monitor's part ── */

static void
on_control(void *arg, struct peer *p, unsigned number, const void *req)
{
	(void)arg, (void)p, (void)req;
	ready = ready || number == MSG_ready;
}

static void
turn(void)
{
	hub_turn(&monitor);
	hub_turn(&ledger);
	hub_turn(&vault);
	event_base_loop(base, EVLOOP_ONCE);
}

static void
give(struct peer *control, sp_gift what, enum process process, int fd)
{
	sp_give_req g = sp_give_req_init_zero;

	check(fd >= 0, "a gift is missing");
	g.what = what;
	g.process = (uint32_t)process;
	g.epoch = 1;
	check(!hub_give(control, MSG_give, &g, fd), "giving");
	close(fd);
}

static int
memory_with(const char *text, size_t bytes)
{
	int fd = memfd_create("gift", MFD_CLOEXEC);

	check(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0, "memory");
	check(!text || pwrite(fd, text, bytes, 0) == (ssize_t)bytes, "memory");
	return fd;
}

static int
link_to(struct hub *hub)
{
	int pair[2];

	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
	check(!hub_attach(hub_peer(hub, PROCESS_GATE, 0), pair[0], 1), "attach");
	return pair[1];
}

static int
listener(unsigned short port, unsigned short *port_out)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	check(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
			  bind(fd, (struct sockaddr *)&a, n) == 0 && listen(fd, 1024) == 0 &&
			  getsockname(fd, (struct sockaddr *)&a, &n) == 0,
		  "listen");
	*port_out = ntohs(a.sin_port);
	return fd;
}

static int
file(const char *folder, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static struct page *
start_gate(const char *program, const char *folder, unsigned short port, pid_t *child_out, unsigned short *port_out)
{
	char conf[512] = "mode = test\ninstall = lab\n";
	int pair[2], page_fd = memory_with(NULL, sizeof(struct page));
	struct peer *control = hub_peer(&monitor, PROCESS_GATE, 0);
	sp_go_req go = sp_go_req_init_zero;
	struct page *page = mmap(NULL, sizeof(*page), PROT_READ, MAP_SHARED, page_fd, 0);

	if (getenv("CONF"))
		strncat(conf, getenv("CONF"), sizeof(conf) - strlen(conf) - 1);
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
	*child_out = fork();
	if (*child_out == 0) {
		dup2(pair[1], 3);
		execl(program, "gate", (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	control->control = true;
	check(!hub_attach(control, pair[0], 0), "attach");
	give(control, sp_GIFT_PAGE, PROCESS_GATE, page_fd);
	give(control, sp_GIFT_CONFIG, PROCESS_GATE, memory_with(conf, strlen(conf)));
	give(control, sp_GIFT_LISTEN, PROCESS_GATE, listener(port, port_out));
	give(control, sp_GIFT_TLS_CERT, PROCESS_GATE, file(folder, "server.crt"));
	give(control, sp_GIFT_TLS_KEY, PROCESS_GATE, file(folder, "server.key"));
	give(control, sp_GIFT_TLS_CA, PROCESS_GATE, file(folder, "ca.crt"));
	give(control, sp_GIFT_PEER, PROCESS_LEDGER, link_to(&ledger));
	give(control, sp_GIFT_PEER, PROCESS_VAULT, link_to(&vault));
	check(!peer_tell(control, MSG_go, &go), "go");
	while (!ready || !peer_up(hub_peer(&ledger, PROCESS_GATE, 0)))
		turn();
	return page;
}

static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	char byte[64];

	(void)what;
	if (read((int)fd, byte, sizeof(byte)) <= 0)
		*(bool *)arg = true;
}

int
main(int argc, char **argv)
{
	static const struct answer of_monitor[] = {{MSG_NONE, NULL}};
	static const struct answer of_ledger[] = {{MSG_client_of, answer_client_of},
											  {MSG_payment_create, answer_payment_create},
											  {MSG_payment_get, answer_payment_get},
											  {MSG_payment_operate, answer_payment_operate},
											  {MSG_NONE, NULL}};
	static const struct answer of_vault[] = {{MSG_tokenize, answer_tokenize}, {MSG_NONE, NULL}};
	bool over = false;
	unsigned short port;
	struct rusage use;
	struct page *page;
	pid_t child;
	int status;

	check(argc >= 3, "usage: gate_harness GATE FOLDER [PORT]");
	signal(SIGPIPE, SIG_IGN);
	base = event_base_new();
	check(!hub_open(&monitor, base, PROCESS_MONITOR, 0, of_monitor) &&
			  !hub_open(&ledger, base, PROCESS_LEDGER, 0, of_ledger) &&
			  !hub_open(&vault, base, PROCESS_VAULT, 0, of_vault),
		  "hubs");
	monitor.on_control = on_control;
	page = start_gate(argv[1], argv[2], argc > 3 ? (unsigned short)atoi(argv[3]) : 0, &child, &port);
	printf("ready %u %d %s\n", port, (int)child, page->jail);
	fflush(stdout);
	struct event *input = event_new(base, 0, EV_READ | EV_PERSIST, on_input, &over);
	event_add(input, NULL);
	while (!over && peer_up(hub_peer(&ledger, PROCESS_GATE, 0)))
		turn();
	sp_stop_req stop = {.grace_ms = 1000};
	(void)!peer_tell(hub_peer(&monitor, PROCESS_GATE, 0), MSG_stop, &stop);
	hub_turn(&monitor);
	check(wait4(child, &status, 0, &use) == child, "wait");
	printf("gate ended with %d; %llu requests, %.1f us of processor time each\n", status,
		   (unsigned long long)atomic_load(&page->value[METRIC_REQUESTS]),
		   ((double)use.ru_utime.tv_sec + (double)use.ru_stime.tv_sec) * 1e6 /
				   (double)atomic_load(&page->value[METRIC_REQUESTS]) +
			   (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) /
				   (double)atomic_load(&page->value[METRIC_REQUESTS]));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
