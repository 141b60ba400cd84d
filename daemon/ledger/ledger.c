#include "daemon/ledger/ledger.h"

struct ledger ledger;

bool
ledger_closed(struct call *call)
{
	if (ledger.store && !ledger.stopping)
		return false;
	call_reply(call, ledger.stopping ? ERR_SHUTTING_DOWN : ERR_VAULT_SEALED, NULL);
	return true;
}

struct peer *
ledger_vault(void)
{
	return proc_peer(PROCESS_VAULT, 0);
}

struct peer *
ledger_courier(void)
{
	return proc_peer(PROCESS_COURIER, 0);
}

struct peer *
ledger_herald(void)
{
	return proc_peer(PROCESS_HERALD, 0);
}

bool
ledger_has(const struct peer *p)
{
	return p && peer_up(p);
}
