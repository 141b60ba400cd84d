/*
 * sallyport demo — the main job, from outside: curl with the demo client's certificate against the running appliance.
 * Each request and answer is shown; card numbers are masked on the screen and travel to curl through a pipe only.
 * On an installed host without an appliance it makes a test one first, as init would, and starts it; it never makes
 * anything where there is one, nor where one that is no test was begun.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "console/ctl/ctl.h"
#include "console/ctl/layout.h"
#include "console/ctl/program.h"
#include "daemon/base/conf.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"

struct stage {
	struct run *run;
	char base[96], ca[PATH_BYTES], cert[PATH_BYTES], key[PATH_BYTES];
	char nonce[13]; /* makes the idempotency keys of this run its own */
	json_t *log;
	unsigned step, failed;
};

struct answer {
	long status;
	double seconds;
	json_t *body; /* NULL when there is none */
	bool replayed, deduplicated;
};

static void
curl_exec(const struct stage *s, const char *method, const char *path, const char *idempotency, bool has_body,
		  const int in[2], const int out[2])
{
	char url[256], header[96];
	const char *argv[32] = {
		"curl",   "-sS",   "-i",    "--max-time", "40", "--tlsv1.3", "--cacert", s->ca,
		"--cert", s->cert, "--key", s->key,       "-X", method,      "-w",       "\n%{http_code} %{time_total}"};
	size_t n = 16;

	snprintf(url, sizeof url, "%s%s", s->base, path);
	snprintf(header, sizeof header, "Idempotency-Key: %s", idempotency ? idempotency : "");
	if (idempotency) {
		argv[n++] = "-H";
		argv[n++] = header;
	}
	if (has_body) { /* through the pipe: arguments stand in ps */
		argv[n++] = "-H";
		argv[n++] = "Content-Type: application/json";
		argv[n++] = "--data-binary";
		argv[n++] = "@-";
	}
	argv[n] = url;
	/* not longer than we do: Ctrl-C ends both */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	dup2(in[0], STDIN_FILENO);
	dup2(out[1], STDOUT_FILENO);
	execvp("curl", (char *const *)(uintptr_t)argv);
	_exit(127);
}

static void
read_answer(char *text, struct answer *a)
{
	char *tail = strrchr(text, '\n'), *body = strstr(text, "\r\n\r\n");
	if (tail)
		sscanf(tail + 1, "%ld %lf", &a->status, &a->seconds), *tail = 0;
	/* "100 Continue" would be a head of its own */
	if (body && strncmp(text, "HTTP/1.1 100", 12) == 0)
		text = body + 4, body = strstr(text, "\r\n\r\n");
	if (!body)
		return;
	*body = 0;
	a->replayed = strcasestr(text, "\r\nidempotent-replayed: true") != NULL;
	a->deduplicated = strcasestr(text, "\r\ndeduplicated: true") != NULL;
	a->body = json_loads(body + 4, JSON_DISABLE_EOF_CHECK, NULL);
}

static enum err
call(struct stage *s, const char *method, const char *path, const char *idempotency, const char *body, struct answer *a)
{
	int in[2], out[2], status;
	char *text = mem_new(1, 262144);
	size_t n = 0;
	ssize_t got;

	memset(a, 0, sizeof *a);
	if (!text)
		return ERR_MEMORY;
	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) {
		mem_free(text);
		return ERR_IO;
	}
	pid_t pid = fork();
	if (pid == 0)
		curl_exec(s, method, path, idempotency, body != NULL, in, out);
	close(in[0]);
	close(out[1]);
	if (body && write(in[1], body, strlen(body)) < 0)
		n = 0; /* curl tells by its status */
	close(in[1]);
	while (n < 262143 && (got = read(out[0], text + n, 262143 - n)) > 0)
		n += (size_t)got;
	close(out[0]);
	waitpid(pid, &status, 0);
	read_answer(text, a);
	mem_free(text);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return ERR_FILE_MISSING;
	return a->status ? ERR_OK : ERR_NOT_RUNNING;
}

/* What people may see of a body: the middle of the number and the code are hidden. */
static void
mask(const char *body, char *out, size_t size)
{
	snprintf(out, size, "%s", body);
	char *pan = strstr(out, "\"number\":\""), *cvc = strstr(out, "\"cvc\":\"");
	for (char *p = pan ? pan + 16 : NULL; p && *p && *p != '"'; p++)
		if (strcspn(p, "\"") > 4)
			*p = '*';
	for (char *p = cvc ? cvc + 7 : NULL; p && *p && *p != '"'; p++)
		*p = '*';
}

static const char *
bold(const struct stage *s)
{
	return s->run->color ? "\033[1m" : "";
}
static const char *
plain(const struct stage *s)
{
	return s->run->color ? "\033[0m" : "";
}

static const char *const shown_members[] = {"id",
											"status",
											"amount",
											"currency",
											"amount_authorized",
											"amount_captured",
											"amount_refunded",
											"code",
											"decline_code",
											"detail",
											"fingerprint",
											NULL};

static void
print_answer(const struct stage *s, const struct answer *a, bool ok)
{
	printf("   %s%ld%s %s %6.1f ms", bold(s), a->status, plain(s), ok ? "✓" : "✗ not as expected", a->seconds * 1000);
	if (a->replayed)
		printf("  Idempotent-Replayed");
	if (a->deduplicated)
		printf("  Deduplicated");
	putchar('\n');
	for (const char *const *m = shown_members; *m; m++) {
		json_t *v = json_object_get(a->body, *m);
		if (json_is_string(v))
			printf("     %-18s %s\n", *m, json_string_value(v));
		else if (json_is_integer(v))
			printf("     %-18s %lld\n", *m, (long long)json_integer_value(v));
	}
	json_t *card = json_object_get(a->body, "card");
	if (card)
		printf("     %-18s %s …%s\n", "card", json_string_value(json_object_get(card, "brand")),
			   json_string_value(json_object_get(card, "last4")));
}

/* One scene: say it, do it, show it, check the status. The caller owns a->body. */
static enum err
scene(struct stage *s, const char *title, const char *method, const char *path, const char *key_tail, const char *body,
	  long expected, struct answer *a)
{
	char key[64], shown[512];
	enum err e;

	snprintf(key, sizeof key, "demo-%s-%s", s->nonce, key_tail ? key_tail : "");
	if ((e = call(s, method, path, key_tail ? key : NULL, body, a)) != ERR_OK)
		return e;
	/* a second run finds its card stored already: that is as it should be */
	bool ok = a->status == expected || (expected == 201 && a->deduplicated && a->status == 200);
	s->step++;
	s->failed += !ok;
	json_array_append_new(s->log,
						  json_pack("{si ss ss ss si sb sf}", "step", s->step, "title", title, "method", method, "path",
									path, "status", (int)a->status, "as_expected", (int)ok, "seconds", a->seconds));
	if (s->run->json)
		return ERR_OK;
	printf("\n%s%2u. %s%s\n   %s %s\n", bold(s), s->step, title, plain(s), method, path);
	if (body) {
		mask(body, shown, sizeof shown);
		printf("   %s\n", shown);
	}
	print_answer(s, a, ok);
	return ERR_OK;
}

static void
take_id(struct answer *a, const char *member, char out[64])
{
	const char *id = json_string_value(json_object_get(a->body, member));
	snprintf(out, 64, "%s", id ? id : "missing");
	json_decref(a->body);
	a->body = NULL;
}

#define CARD     "{\"card\":{\"number\":\"4242424242424242\",\"exp_month\":12,\"exp_year\":2031,\"cvc\":\"123\"}}"
#define DECLINED "{\"card\":{\"number\":\"4000000000009995\",\"exp_month\":12,\"exp_year\":2031}}"

#define DO(...)                                        \
	do {                                               \
		json_decref(a.body);                           \
		if ((e = scene(s, __VA_ARGS__, &a)) != ERR_OK) \
			return e;                                  \
	} while (0)

static enum err
first_half(struct stage *s, char token[64], char payment[64])
{
	struct answer a = {0};
	char path[160], body[256], again[64];
	enum err e;

	DO("A card goes in, a token comes out", "POST", "/v1/tokens", "tok1", CARD, 201);
	take_id(&a, "id", token);
	DO("The same card again gives the same token", "POST", "/v1/tokens", "tok2", CARD, 200);
	take_id(&a, "id", again);
	if (strcmp(token, again) != 0)
		s->failed++;
	snprintf(body, sizeof body,
			 "{\"amount\":4999,\"currency\":\"EUR\",\"token\":\"%s\",\"capture_method\":\"manual\",\"order_id\":"
			 "\"order-%s\"}",
			 token, s->nonce);
	DO("Authorize 49.99 EUR", "POST", "/v1/payments", "pay1", body, 201);
	take_id(&a, "id", payment);
	snprintf(path, sizeof path, "/v1/payments/%s/capture", payment);
	DO("Capture a part", "POST", path, "cap1", "{\"amount\":2000,\"final\":false}", 201);
	DO("Capture the rest", "POST", path, "cap2", "{}", 201);
	snprintf(path, sizeof path, "/v1/payments/%s/refunds", payment);
	DO("Refund a part", "POST", path, "ref1", "{\"amount\":500,\"reason\":\"one item came back\"}", 201);
	DO("An idempotent retry answers from the first", "POST", path, "ref1",
	   "{\"amount\":500,\"reason\":\"one item came back\"}", 201);
	DO("The same key with another body is refused", "POST", path, "ref1", "{\"amount\":600}", 409);
	snprintf(path, sizeof path, "/v1/payments/%s", payment);
	DO("The payment as it is now", "GET", path, NULL, NULL, 200);
	json_decref(a.body);
	return ERR_OK;
}

static enum err
follow(struct stage *s, const char *payment)
{
	struct answer a = {0};
	char path[160];
	enum err e;

	snprintf(path, sizeof path, "/v1/payments/%s", payment);
	for (int i = 0; i < 50; i++) {
		if ((e = call(s, "GET", path, NULL, NULL, &a)) != ERR_OK)
			return e;
		const char *status = json_string_value(json_object_get(a.body, "status"));
		bool waiting = status && strcmp(status, "processing") == 0;
		json_decref(a.body);
		if (!waiting)
			break;
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	}
	return ERR_OK;
}

static enum err
second_half(struct stage *s, const char *token)
{
	struct answer a = {0};
	char path[160], body[256], id[64], declined[64];
	enum err e;

	snprintf(body, sizeof body, "{\"amount\":1500,\"currency\":\"EUR\",\"token\":\"%s\",\"capture_method\":\"manual\"}",
			 token);
	DO("Authorize another", "POST", "/v1/payments", "pay2", body, 201);
	take_id(&a, "id", id);
	snprintf(path, sizeof path, "/v1/payments/%s/void", id);
	DO("… and void it", "POST", path, "void1", "{}", 200);
	DO("A card that will be declined", "POST", "/v1/tokens", "tok3", DECLINED, 201);
	take_id(&a, "id", declined);
	snprintf(body, sizeof body, "{\"amount\":9900,\"currency\":\"USD\",\"token\":\"%s\"}", declined);
	DO("A decline", "POST", "/v1/payments", "pay3", body, 402);
	snprintf(body, sizeof body, "{\"amount\":2500,\"currency\":\"EUR\",\"token\":\"%s\"}", token);
	DO("Authorize without waiting", "POST", "/v1/payments?mode=async", "pay4", body, 202);
	take_id(&a, "id", id);
	if ((e = follow(s, id)) != ERR_OK)
		return e;
	snprintf(path, sizeof path, "/v1/payments/%s", id);
	DO("… and follow it to its end", "GET", path, NULL, NULL, 200);
	const char *status = json_string_value(json_object_get(a.body, "status"));
	s->failed += !status || strcmp(status, "captured") != 0;
	json_decref(a.body);
	return ERR_OK;
}

static enum err
set_stage(struct stage *s)
{
	struct conf *c = conf_new();
	struct buf problems;
	uint8_t raw[6];
	enum err e = c ? ERR_OK : ERR_MEMORY;

	buf_init(&problems, 65536);
	if (e == ERR_OK)
		e = conf_load(c, s->run->paths.etc, &problems);
	if (e == ERR_OK && strcmp(conf_text(c, CONF_MODE), "test") != 0)
		e = ERR_TEST_CARD_IN_LIVE;
	if (e == ERR_OK) {
		snprintf(s->base, sizeof s->base, "https://%s", conf_text(c, CONF_LISTEN));
		e = ctl_path(s->ca, s->run->paths.etc, "ca.crt");
	}
	if (e == ERR_OK)
		e = ctl_path(s->cert, s->run->paths.etc, "clients/demo.crt");
	if (e == ERR_OK)
		e = ctl_path(s->key, s->run->paths.etc, "clients/demo.key");
	randombytes_buf(raw, sizeof raw);
	str_hex(raw, sizeof raw, s->nonce);
	s->log = json_array();
	buf_clear(&problems);
	conf_free(c);
	return e;
}

/* Is what stands in the configuration, if there is one, a test installation? */
static bool
is_test(const struct run *r)
{
	char path[PATH_BYTES];
	struct conf *c = conf_new();
	struct buf problems;
	buf_init(&problems, 65536);
	bool none = ctl_path(path, r->paths.etc, "sallyport.conf") == ERR_OK && access(path, F_OK) != 0;
	bool test =
		none || (c && conf_load(c, r->paths.etc, &problems) == ERR_OK && strcmp(conf_text(c, CONF_MODE), "test") == 0);
	buf_clear(&problems);
	conf_free(c);
	return test;
}

/* init in a process of its own: its plan and its failures are told in its own words. 0: made and started. */
static int
make_and_start(struct run *r)
{
	static const char *const curl[] = {"/usr/bin/env", "curl", "--version", NULL},
							 *const init[] = {"/proc/self/exe", "init", "--software-hsm", "--yes", NULL},
							 *const init_json[] = {"/proc/self/exe", "--json", "init", "--software-hsm", "--yes", NULL};
	char said[8192];
	int status;
	/* under --dir nothing starts it */
	if (r->paths.dir[0])
		return ctl_fail(r, ERR_NOT_INITIALISED, "demo", NULL);
	if (geteuid() != 0)
		return ctl_fail(r, ERR_PERMISSION, "demo", "there is no appliance, and only root may make one");
	if (!is_test(r))
		return ctl_fail(r, ERR_TEST_CARD_IN_LIVE, "demo", "an installation that is no test was begun here");
	if (program_run(curl, said, sizeof said) != 0)
		return ctl_fail(r, ERR_FILE_MISSING, "demo", "curl is not installed");
	if (!r->json)
		puts("There is no appliance on this host: a TEST one is made, with keys in files (software HSM).\n");
	fflush(stdout);
	status = program_run(r->json ? init_json : init, r->json ? said : NULL, sizeof said);
	if (status != 0) {
		if (r->json)
			fputs(said, stdout);
		return status > 0 ? status : EXIT_CODE_FAILED;
	}
	pid_t pid = program_service("start");
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return ctl_fail(r, ERR_NOT_RUNNING, "demo", "an appliance was made, but the service does not start");
	return EXIT_CODE_DONE;
}

static void
print_end(const struct stage *s, const char *token)
{
	printf("\n%u requests, %u not as expected. TEST installation: no money moved.\n\nAuthorize a payment yourself:\n"
		   "  curl --cacert %s --cert %s --key %s -H 'Idempotency-Key: try-%s' --json "
		   "'{\"amount\":1999,\"currency\":\"EUR\",\"token\":\"%s\",\"capture_method\":\"manual\"}' "
		   "%s/v1/payments\n",
		   s->step, s->failed, s->ca, s->cert, s->key, s->nonce, token, s->base);
}

static int
act_demo(struct run *r)
{
	struct stage s = {.run = r};
	char token[64], payment[64];
	int made = layout_complete(&r->paths) ? EXIT_CODE_DONE : make_and_start(r);

	if (made != EXIT_CODE_DONE)
		return made;
	signal(SIGPIPE, SIG_IGN);
	enum err e = set_stage(&s);
	if (e == ERR_OK)
		e = first_half(&s, token, payment);
	if (e == ERR_OK)
		e = second_half(&s, token);
	if (e != ERR_OK) {
		json_decref(s.log);
		return ctl_fail(r, e, "demo", e == ERR_FILE_MISSING ? "curl is not installed" : NULL);
	}
	if (r->json) {
		ctl_print_json(json_pack("{so si ss}", "steps", s.log, "not_as_expected", (int)s.failed, "payment", payment));
	} else {
		print_end(&s, token);
		json_decref(s.log);
	}
	return s.failed ? EXIT_CODE_FAILED : EXIT_CODE_DONE;
}

const struct command cmd_demo = {
	.words = "demo",
	.args = "",
	.summary = "Run the main job with a real client and show each request and answer",
	.about =
		"On an installed host where there is no appliance, root gets a TEST one first: made as by init --software-hsm "
		"--yes, and started. Where there is one it makes nothing; it runs on a test installation only, and only while "
		"that serves. It ends with a curl line to authorize a payment with. Needs curl.",
	.example = "sallyport --dir /srv/sallyport demo",
	.exits = "0 1 2 5 6 7 9 130",
	.schema = "demo",
	.act = act_demo,
};
