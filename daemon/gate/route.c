#include "daemon/gate/route.h"

#include <string.h>

#include "daemon/base/id.h"
#include "daemon/base/str.h"

static const struct api *const apis[] = {
#define API(x) &api_##x,
#include "daemon/gate/api.def"
#undef API
	NULL};

const struct api *const *
route_apis(void)
{
	return apis;
}

/* Tokens have other forms than ours too (tok_test_…, look-alikes of card numbers): the ledger knows which exist. */
static bool
fits_kind(const char *kind, size_t kind_n, const char *text)
{
	char prefix[8] = "";

	if (strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != strlen(text))
		return false;
	if ((kind_n == 3 && memcmp(kind, "tok", 3) == 0) || kind_n >= sizeof(prefix) || memcmp(kind, "any", 3) == 0)
		return *text != '\0';
	memcpy(prefix, kind, kind_n);
	return id_check(prefix, text);
}

static enum err
take_object(const char *kind, size_t kind_n, const char *segment, size_t n, char *out, size_t out_bytes)
{
	if (n == 0 || n >= out_bytes)
		return n == 0 ? ERR_ROUTE : ERR_ID_FORM;
	memcpy(out, segment, n);
	out[n] = '\0';
	if (fits_kind(kind, kind_n, out))
		return ERR_OK;
	*out = '\0';
	return ERR_ID_FORM;
}

enum err
route_match(const char *pattern, const char *target, char *object_out, size_t object_bytes)
{
	enum err form = ERR_OK;

	*object_out = '\0';
	for (;;) {
		size_t p, t;

		if (*target != '/')
			return ERR_ROUTE;
		p = strcspn(pattern + 1, "/") + 1;
		t = strcspn(target + 1, "/?") + 1;
		if (pattern[1] == '{')
			form = take_object(pattern + 2, p - 3, target + 1, t - 1, object_out, object_bytes);
		else if (p != t || memcmp(pattern, target, p) != 0)
			return ERR_ROUTE;
		if (form == ERR_ROUTE)
			return form;
		pattern += p;
		target += t;
		if (!*pattern)
			return *target == '\0' || *target == '?' ? form : ERR_ROUTE;
	}
}

static void
allow(const struct route *r, char *out, size_t bytes)
{
	if (*out)
		strncat(out, ", ", bytes - strlen(out) - 1);
	strncat(out, method_name(r->method), bytes - strlen(out) - 1);
}

enum err
route_find(enum method method, const char *target, char *object_out, size_t object_bytes, char *allow_out,
		   size_t allow_bytes, const struct route **out)
{
	enum err found = ERR_ROUTE;

	*allow_out = '\0';
	*out = NULL;
	for (const struct api *const *a = apis; *a; a++) {
		for (size_t i = 0; i < (*a)->n; i++) {
			const struct route *r = &(*a)->routes[i];
			enum err e = route_match(r->path, target, object_out, object_bytes);

			if (e == ERR_ROUTE)
				continue;
			allow(r, allow_out, allow_bytes);
			if (r->method != method) {
				found = ERR_METHOD;
				continue;
			}
			*out = r;
			return e;
		}
	}
	*object_out = '\0';
	return found;
}
