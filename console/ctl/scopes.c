#include "console/ctl/scopes.h"

#include <stdio.h>
#include <string.h>

static const char *const names[] = {
#define SCOPE(ID, name, what) name,
#include "policy/scopes.def"
#undef SCOPE
};
#define SCOPES (sizeof names / sizeof *names)

uint64_t
scopes_all(void)
{
	return (UINT64_C(1) << SCOPES) - 1;
}

enum err
scopes_parse(const char *list, uint64_t *bits_out, char bad_out[64])
{
	char text[1024], *save = NULL;

	*bits_out = 0;
	bad_out[0] = 0;
	if (strcmp(list, "all") == 0) {
		*bits_out = scopes_all();
		return ERR_OK;
	}
	if ((size_t)snprintf(text, sizeof text, "%s", list) >= sizeof text)
		return ERR_OUT_OF_RANGE;
	for (char *w = strtok_r(text, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		size_t i = 0;
		while (i < SCOPES && strcmp(names[i], w) != 0)
			i++;
		if (i == SCOPES) {
			snprintf(bad_out, 64, "%.63s", w);
			return ERR_NOT_FOUND;
		}
		*bits_out |= UINT64_C(1) << i;
	}
	return *bits_out ? ERR_OK : ERR_NOT_FOUND;
}

void
scopes_text(uint64_t bits, char *out, size_t size)
{
	size_t n = 0;
	out[0] = 0;
	for (size_t i = 0; i < SCOPES; i++)
		if (bits >> i & 1 && n < size)
			n += (size_t)snprintf(out + n, size - n, "%s%s", n ? "," : "", names[i]);
}
