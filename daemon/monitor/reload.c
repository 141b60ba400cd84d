#include "daemon/monitor/reload.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/monitor/family.h"
#include "daemon/monitor/gift.h"
#include "daemon/monitor/notify.h"
#include "policy/schema/wire.pb.h"

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

/* A buffer's text as a string; cut is fine, it is for the journal. */
static const char *
text_of(const struct buf *b, char out[200])
{
	snprintf(out, 200, "%.*s", (int)(b->len < 199 ? b->len : 199), b->len ? (const char *)buf_at(b) : "");
	return out;
}

void
reload_now(void)
{
	static sp_reload_req req;
	struct buf problems, held;
	char text[200];
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
	notify_send(text);
	buf_init(&problems, 16384);
	buf_init(&held, 2048);
	enum err e = read_again(&req, &held, &problems);
	if (e == ERR_OK) {
		hand_out(&req);
		log_info("configuration reloaded", LOG_I("bytes", req.config.size));
		if (held.len)
			log_warn("these keys need a restart", LOG_S("keys", text_of(&held, text)));
	} else {
		log_warn("configuration refused, the old one stays", LOG_E("cause", e),
				 LOG_S("first", text_of(&problems, text)), LOG_S("next", "sallyport config check"));
	}
	buf_clear(&problems);
	buf_clear(&held);
	if (!notify_send("READY=1"))
		family.notified = false; /* the next tick says it again */
}
