/* Bodies of every route on any bytes: refused with a code, or read into bounds; the hash of a body that was read
 * exists. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/gate/route.h"
#include "daemon/gate/shape.h"

#define TARGET_BYTES 65536

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const struct shape *
shape_number(unsigned which)
{
	const struct shape *found = NULL;

	for (const struct api *const *a = route_apis(); *a; a++)
		for (size_t i = 0; i < (*a)->n; i++)
			if ((*a)->routes[i].body && (!found || which-- % 8 == 0))
				found = (*a)->routes[i].body;
	return found;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static bool open;
	struct complaints c = {0};
	uint8_t hash[32];
	json_t *body;
	void *target;

	if (!open)
		shape_open();
	open = true;
	if (n < 1 || shape_parse(bytes + 1, n - 1, &body))
		return 0;
	target = mem_new(1, TARGET_BYTES);
	assert(target);
	enum err e = shape_read(shape_number(bytes[0]), body, target, &c);
	assert((e == ERR_OK) == (c.n == 0));
	for (unsigned i = 0; i < c.n; i++)
		assert(c.at[i].code && strlen(c.at[i].pointer) < sizeof(c.at[i].pointer));
	assert(shape_hash("POST", "/", body, "card", hash) == ERR_OK);
	mem_free(target);
	json_decref(body);
	return 0;
}
