#include "vault/consent.h"

#include <sodium.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/str.h"
#include "vault/refusals.h"

#define NONCE_KEPT_MS (2 * CONSENT_FRESH_MS + 60000)
#define HEAD_LINES    4

struct reader {
	const uint8_t *at;
	size_t left;
};

/* One line of printable UTF-8; false at the end and at anything else. */
static bool
take_line(struct reader *r, const uint8_t **line_out, size_t *bytes_out)
{
	const uint8_t *end = r->left ? memchr(r->at, '\n', r->left) : NULL;
	if (!end)
		return false;
	*line_out = r->at;
	*bytes_out = (size_t)(end - r->at);
	for (size_t i = 0; i < *bytes_out; i++)
		if (r->at[i] < 0x20 || r->at[i] == 0x7f)
			return false;
	r->left -= *bytes_out + 1;
	r->at = end + 1;
	return str_utf8(*line_out, *bytes_out);
}

/* The next line must be name=value; the value is copied. */
static bool
take_field(struct reader *r, const char *name, char *out, size_t room)
{
	const uint8_t *line;
	size_t bytes, head = strlen(name);
	if (!take_line(r, &line, &bytes) || bytes <= head || memcmp(line, name, head) != 0 || line[head] != '=')
		return false;
	bytes -= head + 1;
	if (bytes == 0 || bytes >= room)
		return false;
	memcpy(out, line + head + 1, bytes);
	out[bytes] = '\0';
	return true;
}

enum err
consent_parse(const uint8_t *text, size_t bytes, struct consent_statement *out)
{
	struct reader r = {text, bytes};
	const uint8_t *line;
	size_t n;
	char at[CLOCK_TEXT_BYTES + 8];
	uint8_t nonce[16];
	memset(out, 0, sizeof *out);
	if (!take_field(&r, "operation", out->operation, sizeof out->operation) ||
		!take_field(&r, "install", out->install, sizeof out->install) ||
		!take_field(&r, "nonce", out->nonce, sizeof out->nonce) || !take_field(&r, "at", at, sizeof at))
		return ERR_FILE_FORM;
	if (strlen(out->nonce) != 32 || str_unhex(out->nonce, nonce, sizeof nonce) != ERR_OK ||
		clock_parse(at, &out->at_ms) != ERR_OK)
		return ERR_FILE_FORM;
	while (r.left > 0)
		if (!take_line(&r, &line, &n) || n < 2 || line[0] == '=' || !memchr(line, '=', n))
			return ERR_FILE_FORM;
	return ERR_OK;
}

/*
 * Whose office it is, and what must stand in the statement behind its head, in this order and nothing else: what an
 * officer has not signed is not consented to. An operation that is not here is nobody's.
 */
static const struct office {
	const char *operation, *role, *lines[8];
} offices[] = {
	{"client.add", "security-officer", {"client", "cert_sha256", "not_after", "scopes", "merchants"}},
};

static const struct office *
office_of(const struct boot_officer *o, const char *operation)
{
	for (size_t i = 0; i < sizeof offices / sizeof *offices; i++)
		if (strcmp(offices[i].operation, operation) == 0 && strcmp(offices[i].role, o->role) == 0)
			return &offices[i];
	return NULL;
}

/* The text has been parsed: each line has a name and an equals sign. */
static bool
says_all(const struct office *office, const uint8_t *text, size_t bytes)
{
	struct reader r = {text, bytes};
	const uint8_t *line;
	size_t n, i = 0;
	for (unsigned head = 0; head < HEAD_LINES; head++)
		if (!take_line(&r, &line, &n))
			return false;
	for (; r.left > 0; i++) {
		size_t name =
			i < sizeof office->lines / sizeof *office->lines && office->lines[i] ? strlen(office->lines[i]) : 0;
		if (!name || !take_line(&r, &line, &n) || n <= name || memcmp(line, office->lines[i], name) != 0 ||
			line[name] != '=')
			return false;
	}
	return i < sizeof office->lines / sizeof *office->lines && !office->lines[i];
}

/* Once: the row is unique. Those that could not be fresh any more make room. */
static enum err
use_nonce(struct vault *v, const char *nonce, int64_t now)
{
	struct stmt *s = db_stmt(v->db, "INSERT INTO nonce(nonce, at_ms) VALUES (?1, ?2)");
	stmt_text(s, 1, nonce);
	stmt_int(s, 2, now);
	enum err e = stmt_run(s);
	if (e != ERR_OK)
		return e == ERR_DB_CONFLICT ? ERR_OFFICER_STALE : e;
	s = db_stmt(v->db, "DELETE FROM nonce WHERE at_ms < ?1");
	stmt_int(s, 1, now - NONCE_KEPT_MS);
	return stmt_run(s);
}

static enum err
check(struct vault *v, const sp_check_officer_req *r, const struct boot_officer **officer_out)
{
	struct consent_statement st;
	int64_t now = clock_wall_ms();
	const struct boot_officer *o = boot_officer_of(&v->boot, r->officer);
	*officer_out = o;
	if (!o)
		return ERR_OFFICER_UNKNOWN;
	if (r->signature.size != 64 ||
		crypto_sign_verify_detached(r->signature.bytes, r->statement.bytes, r->statement.size, o->public_key) != 0)
		return ERR_OFFICER_SIGNATURE;
	enum err e = consent_parse(r->statement.bytes, r->statement.size, &st);
	if (e != ERR_OK)
		return e;
	/* A statement for another operation or another installation is no consent to this one. */
	if (strcmp(st.operation, r->operation) != 0 || strcmp(st.install, v->boot.install) != 0)
		return ERR_OFFICER_SIGNATURE;
	const struct office *office = office_of(o, st.operation);
	if (!office)
		return ERR_PERMISSION;
	if (st.at_ms < now - CONSENT_FRESH_MS || st.at_ms > now + CONSENT_FRESH_MS)
		return ERR_OFFICER_STALE;
	if (!says_all(office, r->statement.bytes, r->statement.size))
		return ERR_FILE_FORM;
	return use_nonce(v, st.nonce, now);
}

static struct leaf
leaf_of(const sp_check_officer_req *r)
{
	return (struct leaf){.event = EVENT_OFFICER_OK,
						 .actor = ACTOR_OFFICER,
						 .actor_id = r->officer,
						 .mfa = "ed25519",
						 .object_id = r->officer,
						 .reason = r->operation};
}

static enum err
act(struct vault *v, const void *req, struct member *m)
{
	const struct boot_officer *o = NULL;
	sp_check_officer_rep *rep = m->rep;
	enum err e = vault_effects(v);
	if (e == ERR_OK)
		e = check(v, req, &o);
	if (e == ERR_OK)
		e = str_set(rep->role, sizeof rep->role, o->role);
	if (e != ERR_OK)
		return e;
	struct leaf l = leaf_of(req);
	return vault_leaf(v, &l);
}

static void
deny(struct vault *v, const void *req, enum err why)
{
	struct leaf l = leaf_of(req);
	l.event = EVENT_OFFICER_REFUSED;
	l.outcome = LEAF_DENY;
	l.code = why;
	l.mfa = NULL;
	refusals_leave(v, &l);
}

const struct group_command consent_check_command = {
	.rep_bytes = sizeof(sp_check_officer_rep), .act = act, .deny = deny};
