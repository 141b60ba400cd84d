#include "daemon/courier/gw.h"

#include <string.h>

static const struct gw *const connectors[] = {
#define GW(name) &gw_##name,
#include "daemon/courier/gw.def"
#undef GW
};

const struct gw *
gw_at(size_t i)
{
	return i < sizeof connectors / sizeof *connectors ? connectors[i] : NULL;
}

const struct gw *
gw_of(const char *name)
{
	const struct gw *gw;
	for (size_t i = 0; (gw = gw_at(i)) != NULL; i++)
		if (strcmp(gw->name, name) == 0)
			return gw;
	return NULL;
}
