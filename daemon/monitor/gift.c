#include "daemon/monitor/gift.h"

#include <stdio.h>
#include <unistd.h>

#include "daemon/monitor/family.h"
#include "policy/schema/wire.pb.h"

static enum err
give(const struct member *to, sp_gift what, const struct member *about, const char *name, int fd, uint64_t epoch)
{
	sp_give_req g = {.what = what, .epoch = epoch};
	if (about) {
		g.process = (uint32_t)about->process;
		g.index = about->index;
	}
	snprintf(g.name, sizeof g.name, "%s", name);
	return fd < 0 ? ERR_OK : hub_give(to->control, MSG_give, &g, fd);
}

/* For descriptors that were opened for this one gift. */
static enum err
give_and_close(const struct member *to, sp_gift what, const char *name, int fd)
{
	enum err e = give(to, what, NULL, name, fd, 0);
	if (fd >= 0)
		close(fd);
	return e;
}

static enum err
give_pages(const struct member *to)
{
	struct member monitor = {.process = PROCESS_MONITOR};
	bool all = to->process == PROCESS_GATE || to->process == PROCESS_DESK || to->process == PROCESS_LEDGER;
	enum err e = give(to, sp_gift_GIFT_PAGE, to, "page", to->page_rw, 0);
	if (all && e == ERR_OK)
		e = give(to, sp_gift_GIFT_PAGE, &monitor, "page", family.page_ro, 0);
	for (unsigned i = 0; i < family.n && all && e == ERR_OK; i++)
		if (&family.members[i] != to)
			e = give(to, sp_gift_GIFT_PAGE, &family.members[i], "page", family.members[i].page_ro, 0);
	return e;
}

static enum err
give_conf(const struct member *to)
{
	struct buf text;
	buf_init(&text, 60000);
	enum err e = conf_dump(family.site->conf, &text);
	int fd = e == ERR_OK ? site_memfd("conf", buf_at(&text), text.len) : -1;
	if (e == ERR_OK)
		e = fd < 0 ? ERR_MEMORY : give_and_close(to, sp_gift_GIFT_CONFIG, "sallyport.conf", fd);
	buf_clear(&text);
	return e;
}

enum err
gift_tls(const struct member *to)
{
	enum err e = give_and_close(to, sp_gift_GIFT_TLS_KEY, "server.key", site_tls(family.site, "server.key"));
	if (e == ERR_OK)
		e = give_and_close(to, sp_gift_GIFT_TLS_CERT, "server.crt", site_tls(family.site, "server.crt"));
	return e == ERR_OK
			   ? give_and_close(to, sp_gift_GIFT_TLS_CA, "clients-ca.crt", site_tls(family.site, "clients-ca.crt"))
			   : e;
}

enum err
gift_pin(const struct member *to)
{
	int pin = family.site->pin;
	/* one description for every life of the vault: back to its start */
	if (pin >= 0 && lseek(pin, 0, SEEK_SET) != 0)
		return ERR_IO;
	return give(to, sp_gift_GIFT_PIN, NULL, "hsm-pin", pin, 0);
}

static enum err
give_owner(const struct member *to)
{
	sp_give_req g = {.what = sp_gift_GIFT_OWNER, .number = family.site->owner};
	return hub_give(to->control, MSG_give, &g, -1);
}

enum err
gift_all(const struct member *to)
{
	const struct site *s = family.site;
	enum err e = give_conf(to);
	if (e == ERR_OK)
		e = give_pages(to);
	if (e == ERR_OK)
		e = give(to, sp_gift_GIFT_DIR, NULL, process_name(to->process), s->dirs[to->process], 0);
	if (e != ERR_OK)
		return e;
	switch (to->process) {
	case PROCESS_VAULT:
		return gift_pin(to);
	case PROCESS_GATE:
		e = give(to, sp_gift_GIFT_LISTEN, NULL, "api", s->gate[to->index], 0);
		return e == ERR_OK ? gift_tls(to) : e;
	case PROCESS_DESK:
		e = give(to, sp_gift_GIFT_LISTEN, NULL, "desk", s->desk, 0);
		return e == ERR_OK ? give_owner(to) : e;
	default:
		return ERR_OK;
	}
}

enum err
gift_peer(const struct member *to, const struct member *other, int fd, uint64_t epoch)
{
	return give(to, sp_gift_GIFT_PEER, other, "peer", fd, epoch);
}
