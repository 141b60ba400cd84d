#include "vault/hsm/survey.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/str.h"
#include "vault/hsm/ckr.h"
#include "vault/hsm/hsmkey.h"

#define AT_ONCE 64

struct survey {
	char anchor[P11_LABEL_BYTES];
	bool keys, anchors; /* seen: keys of ours; an anchor of our node's name */
};

static CK_RV
look_at(struct p11 *p, CK_OBJECT_HANDLE object, struct survey *s)
{
	char label[P11_LABEL_BYTES];
	uint8_t id[64], ours[HSMKEY_ID_BYTES];
	CK_OBJECT_CLASS class = 0;
	CK_ATTRIBUTE what = {CKA_CLASS, &class, sizeof class}, name = {CKA_LABEL, label, sizeof label - 1},
				 whose = {CKA_ID, id, sizeof id};

	/* no class, no label or too long a one: nothing that we would look for */
	if (p->f->C_GetAttributeValue(p->session, object, &what, 1) != CKR_OK ||
		p->f->C_GetAttributeValue(p->session, object, &name, 1) != CKR_OK || name.ulValueLen >= sizeof label)
		return CKR_OK;
	label[name.ulValueLen] = 0;
	if (class == CKO_DATA) {
		s->anchors |= strcmp(label, s->anchor) == 0;
		return CKR_OK;
	}
	if (!hsmkey_is_label(label))
		return CKR_OK;
	CK_RV rv = p->f->C_GetAttributeValue(p->session, object, &whose, 1);
	hsmkey_id(p, label, ours);
	if (rv != CKR_OK || whose.ulValueLen != sizeof ours || memcmp(id, ours, sizeof ours) != 0)
		return CKR_OUR_TOKEN_USED;
	s->keys = true;
	return CKR_OK;
}

static CK_RV
look_at_all(struct p11 *p, void *arg)
{
	struct survey *s = arg;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE wanted[] = {{CKA_TOKEN, &yes, sizeof yes}};
	CK_OBJECT_HANDLE found[AT_ONCE];
	CK_ULONG n = 0;
	CK_RV rv = p->f->C_FindObjectsInit(p->session, wanted, 1), seen = CKR_OK;

	s->keys = s->anchors = false;
	if (rv != CKR_OK)
		return rv;
	do {
		rv = p->f->C_FindObjects(p->session, found, AT_ONCE, &n);
		for (CK_ULONG i = 0; i < n && rv == CKR_OK && seen == CKR_OK; i++)
			seen = look_at(p, found[i], s);
	} while (rv == CKR_OK && seen == CKR_OK && n > 0);
	(void)p->f->C_FindObjectsFinal(p->session);
	if (rv == CKR_OK)
		rv = seen;
	/* private objects are invisible to a session that was logged out behind our back */
	if (rv == CKR_OK)
		rv = p11_still_in(p);
	return rv == CKR_OK && s->anchors && !s->keys ? CKR_OUR_TOKEN_USED : rv;
}

enum err
survey_run(struct p11 *p, const char *node)
{
	struct survey s = {.keys = false};
	if (!str_visible(node, 63))
		return ERR_OUT_OF_RANGE;
	(void)snprintf(s.anchor, sizeof s.anchor, "anchor-%s", node);
	return p11_run(p, look_at_all, &s);
}
