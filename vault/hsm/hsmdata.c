#include "vault/hsm/hsmdata.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/str.h"
#include "vault/hsm/ckr.h"

#define APPLICATION "sallyport"
#define COUNT_BYTES 8
#define FOUND_MAX   8

/* An object's value: a counter, so that of two the newer is known, and the anchor. */
struct anchor {
	char label[P11_LABEL_BYTES];
	uint8_t *bytes; /* out of a get, into a set */
	size_t len;
	uint64_t count;
	CK_OBJECT_HANDLE found[FOUND_MAX];
	CK_ULONG found_n;
};

static enum err
begin(struct anchor *a, const char *node)
{
	if (!str_visible(node, 63))
		return ERR_OUT_OF_RANGE;
	(void)snprintf(a->label, sizeof a->label, "anchor-%s", node);
	return ERR_OK;
}

static CK_RV
find_all(struct p11 *p, struct anchor *a)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE wanted[] = {
		{CKA_CLASS, &class, sizeof class},
		{CKA_TOKEN, &yes, sizeof yes},
		{CKA_LABEL, a->label, strlen(a->label)},
	};
	CK_RV rv = p->f->C_FindObjectsInit(p->session, wanted, sizeof wanted / sizeof *wanted);
	if (rv != CKR_OK)
		return rv;
	rv = p->f->C_FindObjects(p->session, a->found, FOUND_MAX, &a->found_n);
	(void)p->f->C_FindObjectsFinal(p->session);
	/* "no anchor" switches the check for rollback off: only a session that could have seen one may say so */
	return rv == CKR_OK && a->found_n == 0 ? p11_still_in(p) : rv;
}

static uint64_t
get_count(const uint8_t bytes[COUNT_BYTES])
{
	uint64_t n = 0;
	for (int i = 0; i < COUNT_BYTES; i++)
		n = n << 8 | bytes[i];
	return n;
}

/* Keeps the newest of what is there in a->bytes, a->len and a->count. */
static CK_RV
read_newest(struct p11 *p, struct anchor *a, uint8_t out[HSMDATA_MAX])
{
	CK_RV rv = find_all(p, a);
	a->count = 0;
	a->len = 0;
	for (CK_ULONG i = 0; i < a->found_n && rv == CKR_OK; i++) {
		uint8_t value[COUNT_BYTES + HSMDATA_MAX];
		CK_ATTRIBUTE v = {CKA_VALUE, value, sizeof value};
		rv = p->f->C_GetAttributeValue(p->session, a->found[i], &v, 1);
		if (rv == CKR_BUFFER_TOO_SMALL || (rv == CKR_OK && v.ulValueLen < COUNT_BYTES))
			return CKR_OUR_CORRUPT;
		if (rv != CKR_OK || get_count(value) <= a->count)
			continue;
		a->count = get_count(value);
		a->len = v.ulValueLen - COUNT_BYTES;
		memcpy(out, value + COUNT_BYTES, a->len);
	}
	return rv;
}

static CK_RV
do_get(struct p11 *p, void *arg)
{
	struct anchor *a = arg;
	return read_newest(p, a, a->bytes);
}

static CK_RV
do_set(struct p11 *p, void *arg)
{
	struct anchor *a = arg, old = *a;
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_BBOOL yes = CK_TRUE;
	uint8_t value[COUNT_BYTES + HSMDATA_MAX], unused[HSMDATA_MAX];
	CK_RV rv = read_newest(p, &old, unused);
	if (rv != CKR_OK && rv != CKR_OUR_CORRUPT)
		return rv;
	for (int i = 0; i < COUNT_BYTES; i++)
		value[i] = (uint8_t)((old.count + 1) >> (56 - 8 * i));
	memcpy(value + COUNT_BYTES, a->bytes, a->len);
	CK_ATTRIBUTE with[] = {
		{CKA_CLASS, &class, sizeof class},
		{CKA_TOKEN, &yes, sizeof yes},
		{CKA_PRIVATE, &yes, sizeof yes},
		{CKA_LABEL, a->label, strlen(a->label)},
		{CKA_APPLICATION, (void *)(uintptr_t)APPLICATION, strlen(APPLICATION)},
		{CKA_VALUE, value, COUNT_BYTES + a->len},
	};
	CK_OBJECT_HANDLE fresh;
	rv = p->f->C_CreateObject(p->session, with, sizeof with / sizeof *with, &fresh);
	/* only now may the old ones go; one that stays is older and loses by its counter */
	for (CK_ULONG i = 0; i < old.found_n && rv == CKR_OK; i++)
		(void)p->f->C_DestroyObject(p->session, old.found[i]);
	return rv;
}

enum err
hsmdata_get(struct p11 *p, const char *node, uint8_t out[HSMDATA_MAX], size_t *bytes_out)
{
	struct anchor a = {.bytes = out};
	*bytes_out = 0;
	enum err e = begin(&a, node);
	if (e == ERR_OK)
		e = p11_run(p, do_get, &a);
	if (e == ERR_OK)
		*bytes_out = a.len;
	return e;
}

enum err
hsmdata_set(struct p11 *p, const char *node, const uint8_t *bytes, size_t n)
{
	struct anchor a = {.bytes = (uint8_t *)(uintptr_t)bytes, .len = n};
	enum err e = begin(&a, node);
	if (e != ERR_OK)
		return e;
	return n == 0 || n > HSMDATA_MAX ? ERR_OUT_OF_RANGE : p11_run(p, do_set, &a);
}
