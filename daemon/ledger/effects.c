#include "daemon/ledger/effects.h"

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/reserve.h"
#include "daemon/wire/page_account.h"
#include "daemon/wire/proc.h"

static struct reserve reserve = {.fd = -1};
static bool disk_failed;

static void
refuse(enum err why)
{
	if (!disk_failed)
		log_warn("effects are refused: the store can't be written", LOG_E("cause", why));
	disk_failed = true;
	proc_state(PAGE_REFUSING, ERR_AUDIT_AWAY);
}

enum err
effects_open(void)
{
	enum err e = reserve_open(&reserve, "reserve", (uint64_t)conf_int(proc_conf(), CONF_RESERVE));
	if (e != ERR_DISK_FULL)
		return e;
	refuse(e);
	return ERR_OK;
}

enum err
effects_allowed(void)
{
	static const unsigned most[PROCESS_MAX] = {
#define PROCESS(ID, name, instances, what) instances,
#include "policy/processes.def"
#undef PROCESS
	};
	const struct page *pages[64];
	unsigned n = 0;

	if (disk_failed)
		return ERR_AUDIT_AWAY;
	for (enum process p = PROCESS_MONITOR; p < PROCESS_OFFICER; p++)
		for (unsigned i = 0; i < most[p] && n < 64; i++) {
			const struct page *page = p == PROCESS_LEDGER ? proc_page() : proc_page_of(p, i);
			if (page)
				pages[n++] = page;
		}
	struct health h = page_health(pages, n, clock_mono_ms());
	if (h.state == PAGE_SERVING)
		return ERR_OK;
	if (h.state == PAGE_STOPPING)
		return ERR_SHUTTING_DOWN;
	if (h.state == PAGE_STARTING || h.cause == ERR_OK)
		return ERR_NOT_READY;
	return h.state == PAGE_SEALED ? ERR_VAULT_SEALED : h.cause;
}

enum err
effects_processor(const char *account)
{
	const struct page *courier = proc_page_of(PROCESS_COURIER, 0);
	return courier && !page_account_answers(courier, account) ? ERR_PROCESSOR_OUT : ERR_OK;
}

void
effects_failed(enum err e)
{
	/* results of attempts in flight are written into the room that this frees */
	if (e == ERR_DISK_FULL)
		reserve_release(&reserve);
	refuse(e);
}

void effects_probe(enum err (*probe)(void))
{
	if (!disk_failed || reserve_hold(&reserve) != ERR_OK || probe() != ERR_OK)
		return;
	disk_failed = false;
	log_info("effects are taken again", LOG_S("why", "the store can be written"));
	proc_state(PAGE_SERVING, ERR_OK);
}
