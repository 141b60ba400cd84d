/* sallyport certificate renew — a new key and certificate for the gates, from the small-site CA; a reload puts it in
 * force. */
#include <stdio.h>
#include <string.h>

#include "console/ctl/ca.h"
#include "console/ctl/ctl.h"
#include "console/ctl/layout.h"
#include "daemon/base/clock.h"
#include "daemon/base/conf.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"

#define SERVER_DAYS 397

/* The address that the API listens on goes into the certificate, as at init; "any address" is no name. */
static enum err
listen_host(const struct run *r, char out[CONF_HOST_BYTES])
{
	struct conf *c = conf_new();
	struct buf problems;
	buf_init(&problems, 65536);
	enum err e = c ? conf_load(c, r->paths.etc, &problems) : ERR_MEMORY;
	out[0] = 0;
	if (e == ERR_OK)
		ca_host_of(conf_text(c, CONF_LISTEN), out);
	buf_clear(&problems);
	conf_free(c);
	return e;
}

/* Cut short between the two files the next start names the pair that does not fit: the same command mends it. */
static enum err
write_pair(const char *etc, const struct ca_pair *pair)
{
	char path[PATH_BYTES];
	enum err e = ctl_path(path, etc, "tls/server.key");
	if (e == ERR_OK)
		e = ctl_write_file(path, pair->key, strlen(pair->key), 0600);
	if (e == ERR_OK)
		e = ctl_path(path, etc, "tls/server.crt");
	return e == ERR_OK ? ctl_write_file(path, pair->certificate, strlen(pair->certificate), 0644) : e;
}

static enum err
renew(const struct run *r, unsigned days, uint8_t sha256_out[32], int64_t *until_ms_out)
{
	struct ca_pair root, pair;
	char host[CONF_HOST_BYTES];
	memset(&pair, 0, sizeof pair);
	enum err e = ca_read_root(r->paths.etc, &root);
	if (e == ERR_OK)
		e = listen_host(r, host);
	if (e == ERR_OK)
		e = ca_issue(&root, "sallyport", CA_USE_SERVER, host, days, &pair);
	if (e == ERR_OK)
		e = ca_fingerprint(pair.certificate, sha256_out, until_ms_out);
	if (e == ERR_OK)
		e = write_pair(r->paths.etc, &pair);
	mem_wipe(&root, sizeof root);
	mem_wipe(&pair, sizeof pair);
	return e;
}

static int
act_renew(struct run *r)
{
	const char *text = ctl_flag(r, "--days");
	uint64_t days = SERVER_DAYS;
	uint8_t sha256[32];
	char hex[65], until[CLOCK_TEXT_BYTES];
	int64_t until_ms;

	if (text && (str_decimal(text, 825, &days) != ERR_OK || days == 0))
		return ctl_usage(r, "--days takes 1 to 825");
	enum err e = layout_complete(&r->paths) ? renew(r, (unsigned)days, sha256, &until_ms) : ERR_NOT_INITIALISED;
	if (e != ERR_OK)
		return ctl_fail(r, e, "certificate renew",
						e == ERR_FILE_MISSING ? "there is no small-site CA here: put the files of your own CA into tls/"
											  : NULL);
	str_hex(sha256, sizeof sha256, hex);
	clock_text(until_ms, until);
	if (r->json)
		return ctl_print_json(json_pack("{ss ss}", "sha256", hex, "expires_at", until));
	printf("renewed — the server's certificate, until %.10s\n\n  SHA-256  %s\n\nIn force after a reload.\n"
		   "next: systemctl reload sallyport (with --dir: kill -HUP its sallyportd)\n",
		   until, hex);
	return EXIT_CODE_DONE;
}

static const struct flag flags[] = {{"--days", "N", "how long it is valid (397, at most 825)"}, {NULL, NULL, NULL}};

const struct command cmd_certificate_renew = {
	.words = "certificate renew",
	.args = "",
	.summary = "Make a new key and certificate for the API's listener",
	.about = "For installations whose CA was made by init. Clients that trust ca.crt trust the new one too; open "
			 "connections "
			 "stay. Sites with a CA of their own put tls/server.key and tls/server.crt in place and reload.",
	.example = "sallyport certificate renew",
	.exits = "0 1 2 6 7 9 130",
	.schema = "certificate-renew",
	.flags = flags,
	.act = act_renew,
};
