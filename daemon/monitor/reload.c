#include "daemon/monitor/reload.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/monitor/family.h"
#include "daemon/monitor/gift.h"
#include "daemon/monitor/notify.h"
#include "daemon/wire/page_note.h"
#include "policy/schema/wire.pb.h"

#define VERDICT_FILE "config.refused"
#define VERDICT_S    10

/* A credential that came or was corrected: a sealed vault tries it, an open one has no use for it. */
static void
hand_pin(const struct member *m)
{
	site_read_pin(family.site);
	if (gift_pin(m) != ERR_OK)
		log_warn("the credential hsm-pin could not be given", LOG_S("next", "restart"));
}

/* To everyone who runs. One that does not take it starts anew, with the new one: all have the same or none serves. */
static void
hand_out(const sp_reload_req *req)
{
	for (unsigned i = 0; i < family.n; i++) {
		struct member *m = &family.members[i];
		if (m->pid && m->process == PROCESS_GATE && gift_tls(m) != ERR_OK)
			log_warn("a certificate file could not be given", LOG_I("gate", m->index));
		if (m->pid && m->process == PROCESS_VAULT)
			hand_pin(m);
		if (m->pid && hub_give(m->control, MSG_reload, req, -1) != ERR_OK)
			member_end(m, "it does not read its new configuration");
	}
}

/* The new text in req; names of keys that need a restart in held, what is wrong in problems. */
static enum err
read_again(sp_reload_req *req, struct buf *held, struct buf *problems)
{
	struct conf *c = conf_new();
	struct buf text;
	buf_init(&text, sizeof req->config.bytes);
	enum err e = c ? conf_load(c, family.site->etc, problems) : ERR_MEMORY;
	if (e == ERR_OK)
		e = conf_reload(family.site->conf, c, held);
	if (e == ERR_OK)
		e = conf_dump(family.site->conf, &text);
	if (e == ERR_OK) {
		req->config.size = (pb_size_t)text.len;
		memcpy(req->config.bytes, buf_at(&text), text.len);
	}
	buf_clear(&text);
	conf_free(c);
	return e;
}

/* A buffer's first line as a string; cut is fine, `config check` tells all of it. */
static const char *
text_of(const struct buf *b, char out[PAGE_NOTE_BYTES])
{
	const char *at = b->len ? (const char *)buf_at(b) : "";
	const char *end = b->len ? memchr(at, '\n', b->len) : NULL;
	size_t n = end ? (size_t)(end - at) : b->len;
	snprintf(out, PAGE_NOTE_BYTES, "%.*s", (int)(n < PAGE_NOTE_BYTES ? n : PAGE_NOTE_BYTES - 1), at);
	return out;
}

/*
 * What `config reload` found and we can't see. It is good for this reload only: a file that lies there longer belongs
 * to a command that died between writing it and asking us.
 */
static enum err
take_verdict(struct buf *problems)
{
	char path[SITE_PATH_BYTES + 24], text[PAGE_NOTE_BYTES];
	struct stat st;
	snprintf(path, sizeof path, "%s/" VERDICT_FILE, family.site->run);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return ERR_OK;
	bool ours = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
				(st.st_uid == geteuid() || st.st_uid == family.site->owner) &&
				clock_wall_ms() / 1000 - st.st_mtime < VERDICT_S;
	ssize_t n = ours ? read(fd, text, sizeof text - 1) : 0;
	close(fd);
	unlink(path);
	if (n <= 0)
		return ERR_OK;
	return buf_add(problems, text, (size_t)n) == ERR_OK ? ERR_CONFIG : ERR_MEMORY;
}

/* ── what was refused stands in our page until a reload is taken ── */

bool
reload_refused(void)
{
	char text[PAGE_NOTE_BYTES];
	return page_note_get(family.page, text) != 0;
}

static void
refuse(enum err e, const char *first)
{
	int64_t now = clock_wall_ms();
	page_note_set(family.page, now, first[0] ? first : err_title(e));
	page_set(family.page, METRIC_CONFIG_REFUSED_AT, (uint64_t)now / 1000);
	atomic_store(&family.page->cause, ERR_CONFIG_REFUSED);
	log_warn("configuration refused, the old one stays", LOG_E("cause", e), LOG_S("first", first),
			 LOG_S("next", "sallyport config check"));
}

static void
take(const sp_reload_req *req, const char *held)
{
	hand_out(req);
	page_note_clear(family.page);
	page_set(family.page, METRIC_CONFIG_REFUSED_AT, 0);
	atomic_store(&family.page->conf_at_ms, clock_wall_ms());
	log_info("configuration reloaded", LOG_I("bytes", req->config.size));
	if (held[0])
		log_warn("these keys need a restart", LOG_S("keys", held));
}

void
reload_now(void)
{
	static sp_reload_req req;
	struct buf problems, held;
	char text[PAGE_NOTE_BYTES];
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
	notify_send(text);
	buf_init(&problems, 16384);
	buf_init(&held, 2048);
	enum err e = take_verdict(&problems);
	if (e == ERR_OK)
		e = read_again(&req, &held, &problems);
	if (e == ERR_OK)
		take(&req, text_of(&held, text));
	else
		refuse(e, text_of(&problems, text));
	buf_clear(&problems);
	buf_clear(&held);
	if (!notify_send("READY=1"))
		family.notified = false; /* the next tick says it again */
}
