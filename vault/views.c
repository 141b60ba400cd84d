#include "vault/views.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/str.h"
#include "vault/cvc.h"
#include "vault/hsmlink.h"

/* Texts of ours that fit by their kind are set; one that does not fit shows as empty rather than cut. */
static void
set(char *out, size_t room, const char *text)
{
	if (str_set(out, room, text) != ERR_OK)
		out[0] = '\0';
}

static enum err
count_rows(struct vault *v, const char *sql, uint32_t generation, uint64_t *out)
{
	bool row;
	struct stmt *s = db_stmt(v->db, sql);
	stmt_int(s, 1, generation);
	enum err e = stmt_row(s, &row);
	*out = e == ERR_OK && row ? (uint64_t)col_int(s, 0) : 0;
	stmt_done(s);
	return e;
}

enum err
views_keys(struct vault *v, sp_key_list_rep *out)
{
	enum err e = ERR_OK;
	out->keys_count = (pb_size_t)keyring_list(v->keys, out->keys, sizeof out->keys / sizeof *out->keys);
	for (pb_size_t i = 0; e == ERR_OK && i < out->keys_count; i++) {
		sp_key_view *k = &out->keys[i];
		/* One generation of each so far: then the count is known without a scan of the table. */
		if (strcmp(k->key, "dek") == 0 || strcmp(k->key, "epk") == 0 || strcmp(k->key, "fpk") == 0)
			k->rows = v->cards;
		if (strcmp(k->key, "dek") == 0 && k->generation > 1)
			e = count_rows(v, "SELECT count(*) FROM token WHERE dek = ?1", k->generation, &k->rows);
	}
	return e;
}

static void
show_officers(const struct boot *b, sp_vault_facts_rep *out)
{
	out->officers_count = (pb_size_t)b->officers_n;
	for (size_t i = 0; i < b->officers_n; i++) {
		sp_officer_key *o = &out->officers[i];
		set(o->name, sizeof o->name, b->officers[i].name);
		set(o->role, sizeof o->role, b->officers[i].role);
		o->public_key.size = 32;
		memcpy(o->public_key.bytes, b->officers[i].public_key, 32);
	}
}

void
views_facts(struct vault *v, enum err cause, const sp_hsm_status_rep *hsm, sp_vault_facts_rep *out)
{
	const struct boot_key *ask = boot_active(&v->boot, KEY_ASK);
	out->sealed = cause == ERR_NOT_INITIALISED || v->refusing == ERR_VAULT_SEALED;
	out->cause = (uint32_t)cause;
	set(out->install, sizeof out->install, v->boot.install);
	set(out->node, sizeof out->node, v->boot.node);
	out->test = v->boot.test;
	out->cards = v->cards;
	out->cvc_held = v->cvc ? cvc_count(v->cvc) : 0;
	set(out->hsm_module, sizeof out->hsm_module, hsm->module);
	set(out->hsm_token, sizeof out->hsm_token, hsm->token);
	out->hsm_software = hsm->software;
	set(out->audit_key_kind, sizeof out->audit_key_kind,
		ask && ask->wrapped_bytes > 0 ? "wrapped software"
		: ask                         ? "hsm"
									  : "");
	set(out->arena, sizeof out->arena, secret_kind());
	show_officers(&v->boot, out);
	if (v->log) {
		struct checkpoint c;
		char note[NOTE_BYTES_MAX];
		size_t bytes = 0;
		logbook_position(v->log, &c);
		out->leaves = c.size;
		/* A failed read shows as no checkpoint; the log itself says what is wrong. */
		if (logbook_checkpoint_get(v->log, note, &bytes, &out->checkpoint_size) != ERR_OK)
			out->checkpoint_size = 0;
		out->checkpoint_at_ms = v->checkpoint_at_ms;
	}
}

enum err
views_audit_keys(struct vault *v, sp_audit_keys_rep *out)
{
	const struct boot_key *ask = boot_active(&v->boot, KEY_ASK), *xsk = boot_active(&v->boot, KEY_XSK);
	if (!ask || !xsk)
		return ERR_VAULT_SEALED;
	out->ask_public.size = out->xsk_public.size = 32;
	memcpy(out->ask_public.bytes, ask->public_key, 32);
	memcpy(out->xsk_public.bytes, xsk->public_key, 32);
	set(out->origin_vault, sizeof out->origin_vault, v->origin);
	set(out->origin_ledger, sizeof out->origin_ledger, v->ledger_origin);
	return note_vkey(v->ask_name, ask->public_key, out->vkey, sizeof out->vkey);
}

enum err
views_audit_read(struct vault *v, const sp_vault_audit_read_req *req, sp_vault_audit_read_rep *out)
{
	struct checkpoint now;
	struct buf records;
	size_t note_bytes = 0;
	uint64_t last = 0;
	uint32_t count = 0;
	logbook_position(v->log, &now);
	enum err e = logbook_checkpoint_get(v->log, (char *)out->checkpoint.bytes, &note_bytes, &last);
	if (e != ERR_OK)
		return e;
	out->checkpoint.size = (pb_size_t)note_bytes;
	set(out->origin, sizeof out->origin, v->origin);
	out->size = req->latest ? now.size : req->size ? req->size : last;
	if (out->size > now.size)
		return ERR_OUT_OF_RANGE;
	if (req->from >= out->size || req->limit == 0)
		return ERR_OK;
	uint32_t limit = req->limit < out->size - req->from ? req->limit : (uint32_t)(out->size - req->from);
	buf_init(&records, sizeof out->records.bytes);
	e = logbook_read(v->log, req->from, limit, sizeof out->records.bytes, &records, &count);
	if (e == ERR_OK && records.len > 0)
		memcpy(out->records.bytes, buf_at(&records), records.len);
	out->records.size = (pb_size_t)records.len;
	out->count = count;
	buf_clear(&records);
	return e;
}

static enum err
act_export_begin(struct vault *v, const void *req, struct member *m)
{
	const sp_vault_audit_read_req *r = req;
	char uid[16];
	snprintf(uid, sizeof uid, "%u", r->uid);
	struct leaf l = {
		.event = EVENT_AUDIT_READ, .actor = ACTOR_UID, .actor_id = uid, .object_id = v->origin, .reason = "export"};
	enum err e = views_audit_read(v, r, m->rep);
	return e == ERR_OK ? vault_leaf(v, &l) : e;
}

const struct group_command views_export_begin_command = {.rep_bytes = sizeof(sp_vault_audit_read_rep),
														 .act = act_export_begin};
