#include "vault/refusals.h"

#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/base/str.h"

/* More clients and codes than that in ten seconds share the last row, named "*". */
#define ROWS 64

struct row {
	char client[64];
	enum err code;
	int64_t n;
};

struct refusals {
	struct row rows[ROWS];
	size_t n;
	int64_t told_mono_ms;
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
refusals_count(struct refusals *r, const char *client, enum err code)
{
	size_t i = 0;
	while (i < r->n && (r->rows[i].code != code || strcmp(r->rows[i].client, client) != 0))
		i++;
	if (i == ROWS)
		i = ROWS - 1;
	struct row *row = &r->rows[i];
	if (i == r->n) {
		r->n++;
		row->code = code;
		if (i == ROWS - 1 || str_set(row->client, sizeof row->client, client) != ERR_OK)
			memcpy(row->client, "*", 2);
	}
	row->n++;
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
		struct leaf l = {.event = EVENT_TOKEN_REFUSED,
						 .actor = ACTOR_CLIENT,
						 .actor_id = r->client,
						 .object_id = r->client,
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
