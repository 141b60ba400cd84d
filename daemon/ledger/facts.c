#include "daemon/ledger/facts.h"

#include <string.h>

#include "daemon/base/str.h"

/* Two places per token and the older one goes: as good as a list in use order at this size, and no pointers. */
#define WAYS         2
#define SETS         (FACTS_MAX / WAYS)
#define FRESH_MS_MAX (10 * 60 * 1000)

static struct facts table[SETS][WAYS];

static struct facts *
set_of(const char *token)
{
	uint32_t h = 2166136261U;
	for (; *token; token++)
		h = (h ^ (uint8_t)*token) * 16777619U;
	return table[(h ^ (h >> 15)) % SETS];
}

void
facts_from(const sp_token_view *view, struct facts *out)
{
	*out = (struct facts){.card = view->card, .expires_at_ms = view->expires_at_ms};
	if (str_set(out->token, sizeof out->token, view->id) ||
		str_set(out->merchant, sizeof out->merchant, view->merchant) ||
		str_set(out->fingerprint, sizeof out->fingerprint, view->fingerprint) ||
		str_set(out->customer, sizeof out->customer, view->customer))
		*out = (struct facts){0};
}

bool
facts_get(const char *token, const char *merchant, int64_t mono_ms, struct facts *out)
{
	struct facts *set = set_of(token);
	for (unsigned i = 0; i < WAYS; i++)
		if (!strcmp(set[i].token, token) && !strcmp(set[i].merchant, merchant) &&
			mono_ms - set[i].read_at_ms < FRESH_MS_MAX) {
			*out = set[i];
			return true;
		}
	return false;
}

void
facts_put(const sp_token_view *view, int64_t mono_ms)
{
	if (view->max_uses || view->expires_at_ms)
		return;
	struct facts *set = set_of(view->id), *place = &set[0];
	for (unsigned i = 0; i < WAYS; i++) {
		if (!strcmp(set[i].token, view->id)) {
			place = &set[i];
			break;
		}
		if (set[i].read_at_ms < place->read_at_ms)
			place = &set[i];
	}
	facts_from(view, place);
	place->read_at_ms = mono_ms;
}

void
facts_drop(const char *token)
{
	struct facts *set = set_of(token);
	for (unsigned i = 0; i < WAYS; i++)
		if (!strcmp(set[i].token, token))
			set[i] = (struct facts){0};
}
