#include "vault/refusals.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"

/* More clients and codes than that in ten seconds share the last row, named "*". */
#define ROWS 64

struct row {
	char actor[64];
	enum audit_event event;
	enum err code;
	int64_t n;
};

struct refusals {
	struct row rows[ROWS];
	size_t n;
	int64_t told_mono_ms;
	int64_t minute;           /* of the clock since start */
	unsigned left[EVENT_MAX]; /* leaves in that minute */
};

enum err
refusals_new(struct refusals **out)
{
	*out = mem_new(1, sizeof **out);
	return *out ? ERR_OK : ERR_MEMORY;
}

void
refusals_free(struct refusals *r)
{
	mem_free(r);
}

void
refusals_count(struct refusals *r, enum audit_event event, const char *actor, enum err code)
{
	size_t i = 0;
	while (i < r->n && (r->rows[i].code != code || r->rows[i].event != event || strcmp(r->rows[i].actor, actor) != 0))
		i++;
	if (i == ROWS)
		i = ROWS - 1;
	struct row *row = &r->rows[i];
	if (i == r->n) {
		r->n++;
		row->code = code;
		row->event = event;
		if (i == ROWS - 1 || str_set(row->actor, sizeof row->actor, actor) != ERR_OK)
			memcpy(row->actor, "*", 2);
	}
	row->n++;
}

void
refusals_leave(struct vault *v, const struct leaf *l)
{
	struct refusals *r = v->refusals;
	int64_t minute = clock_mono_ms() / 60000;
	if (minute != r->minute)
		memset(r->left, 0, sizeof r->left);
	r->minute = minute;
	if (r->left[l->event] >= REFUSALS_PER_MINUTE)
		refusals_count(r, l->event, l->actor_id, l->code);
	else if (vault_leaf(v, l) == ERR_OK)
		r->left[l->event]++;
}

bool
refusals_due(const struct refusals *r, int64_t mono_ms)
{
	return r->n > 0 && mono_ms - r->told_mono_ms >= REFUSALS_EVERY_MS;
}

enum err
refusals_tell(struct vault *v)
{
	enum err e = ERR_OK;
	for (size_t i = 0; e == ERR_OK && i < v->refusals->n; i++) {
		const struct row *r = &v->refusals->rows[i];
		struct leaf l = {.event = r->event,
						 .actor = r->event == EVENT_TOKEN_REFUSED     ? ACTOR_CLIENT
								  : r->event == EVENT_OFFICER_REFUSED ? ACTOR_OFFICER
																	  : ACTOR_PROCESS,
						 .actor_id = r->actor,
						 .object_id = r->actor,
						 .outcome = LEAF_DENY,
						 .code = r->code,
						 .count = r->n};
		e = vault_leaf(v, &l);
	}
	return e;
}

void
refusals_told(struct refusals *r, int64_t mono_ms)
{
	memset(r->rows, 0, sizeof r->rows);
	r->n = 0;
	r->told_mono_ms = mono_ms;
}
