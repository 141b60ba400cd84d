#include "vault/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/wire/ask.h"

#define HEAD             "sallyport-boot 1\n"
#define DIGEST_LINE      (sizeof "digest " - 1 + 2 * (size_t)BOOT_DIGEST_BYTES + 1)
#define SIGNATURE_LINE   (sizeof "signature " - 1 + 2 * (size_t)BOOT_SIGNATURE_BYTES + 1)
#define LINE_FIELDS_MAX  10
#define STATEMENT_PREFIX "sallyport-boot/1\n"

/* ── what it holds ── */

enum err
boot_init(struct boot *b, const char *install, const char *node, bool test)
{
	memset(b, 0, sizeof *b);
	if (!str_visible(install, sizeof b->install - 1) || !str_visible(node, sizeof b->node - 1))
		return ERR_CHARACTERS;
	enum err e = str_set(b->install, sizeof b->install, install);
	if (e == ERR_OK)
		e = str_set(b->node, sizeof b->node, node);
	b->test = test;
	return e;
}

enum err
boot_add_officer(struct boot *b, const struct boot_officer *o)
{
	if (!str_visible(o->name, sizeof o->name - 1) || !str_visible(o->role, sizeof o->role - 1))
		return ERR_CHARACTERS;
	for (size_t i = 0; i < b->officers_n; i++) {
		/* one key under two names would be two people who are one */
		if (strcmp(b->officers[i].name, o->name) == 0 || memcmp(b->officers[i].public_key, o->public_key, 32) == 0)
			return ERR_EXISTS;
	}
	if (b->officers_n == BOOT_OFFICERS_MAX)
		return ERR_LIMIT;
	b->officers[b->officers_n++] = *o;
	return ERR_OK;
}

struct boot_key *
boot_key_of(struct boot *b, enum key_purpose p, uint32_t generation)
{
	for (size_t i = 0; i < b->keys_n; i++)
		if (b->keys[i].purpose == p && b->keys[i].generation == generation)
			return &b->keys[i];
	return NULL;
}

enum err
boot_add_key(struct boot *b, const struct boot_key *k)
{
	if (k->generation == 0 || k->wrapped_bytes > BOOT_WRAPPED_MAX)
		return ERR_OUT_OF_RANGE;
	if (boot_key_of(b, k->purpose, k->generation))
		return ERR_EXISTS;
	if (k->state == KEY_ACTIVE && boot_active(b, k->purpose))
		return ERR_EXISTS;
	if (b->keys_n == BOOT_KEYS_MAX)
		return ERR_LIMIT;
	b->keys[b->keys_n++] = *k;
	return ERR_OK;
}

const struct boot_key *
boot_active(const struct boot *b, enum key_purpose p)
{
	for (size_t i = 0; i < b->keys_n; i++)
		if (b->keys[i].purpose == p && b->keys[i].state == KEY_ACTIVE)
			return &b->keys[i];
	return NULL;
}

const struct boot_officer *
boot_officer_of(const struct boot *b, const char *name)
{
	for (size_t i = 0; i < b->officers_n; i++)
		if (strcmp(b->officers[i].name, name) == 0)
			return &b->officers[i];
	return NULL;
}

/* ── writing it as text ── */

static enum err
add_hex(struct buf *out, const uint8_t *bytes, size_t n)
{
	char hex[2 * BOOT_WRAPPED_MAX + 1];
	if (n == 0)
		return buf_add_text(out, " -");
	str_hex(bytes, n, hex);
	return buf_printf(out, " %s", hex);
}

static enum err
add_officer(struct buf *out, const struct boot_officer *o)
{
	enum err e = buf_printf(out, "officer %s %s", o->name, o->role);
	if (e == ERR_OK)
		e = add_hex(out, o->public_key, sizeof o->public_key);
	return e == ERR_OK ? buf_add_text(out, "\n") : e;
}

static enum err
add_key(struct buf *out, const struct boot_key *k)
{
	bool committed = !sodium_is_zero(k->commitment, sizeof k->commitment);
	enum err e =
		buf_printf(out, "key %s %" PRIu32 " %s %" PRIu32 " %" PRId64 " %" PRId64, keylife_purpose_name(k->purpose),
				   k->generation, keylife_state_name(k->state), k->kek, k->created_at_ms, k->activated_at_ms);
	if (e == ERR_OK)
		e = add_hex(out, k->public_key, k->has_public ? sizeof k->public_key : 0);
	if (e == ERR_OK)
		e = add_hex(out, k->wrapped, k->wrapped_bytes);
	if (e == ERR_OK)
		e = add_hex(out, k->commitment, committed ? sizeof k->commitment : 0);
	return e == ERR_OK ? buf_add_text(out, "\n") : e;
}

enum err
boot_encode(const struct boot *b, struct buf *out)
{
	enum err e = buf_printf(out, HEAD "install %s\nnode %s\nmode %s\ncomplete %s\n", b->install, b->node,
							b->test ? "test" : "live", b->complete ? "yes" : "no");
	for (size_t i = 0; i < b->officers_n && e == ERR_OK; i++)
		e = add_officer(out, &b->officers[i]);
	for (size_t i = 0; i < b->keys_n && e == ERR_OK; i++)
		e = add_key(out, &b->keys[i]);
	return e;
}

/* ── reading it: lines of fields, in place in a copy; what is not canonical is found by writing it again ── */

struct line {
	char *field[LINE_FIELDS_MAX];
	size_t n;
};

/* Cuts the next line off *at and splits it. ERR_FILE_FORM at the end, on too many fields or a line without its end. */
static enum err
next_line(char **at, struct line *l)
{
	char *end = strchr(*at, '\n'), *s = *at;
	if (!end)
		return ERR_FILE_FORM;
	*end = 0;
	*at = end + 1;
	for (l->n = 0; l->n < LINE_FIELDS_MAX; s = strchr(s, 0) + 1) {
		l->field[l->n++] = s;
		char *gap = strchr(s, ' ');
		if (!gap)
			return ERR_OK;
		*gap = 0;
	}
	return ERR_FILE_FORM;
}

static bool
is(const struct line *l, const char *word, size_t fields)
{
	return l->n == fields && strcmp(l->field[0], word) == 0;
}

/* "word VALUE" into a fixed array. */
static enum err
take_text(char **at, const char *word, char *out, size_t size)
{
	struct line l;
	enum err e = next_line(at, &l);
	if (e != ERR_OK || !is(&l, word, 2) || !str_visible(l.field[1], size - 1))
		return ERR_FILE_FORM;
	return str_set(out, size, l.field[1]);
}

static enum err
take_choice(char **at, const char *word, const char *yes, const char *no, bool *out)
{
	char value[8];
	enum err e = take_text(at, word, value, sizeof value);
	*out = strcmp(value, yes) == 0;
	return e == ERR_OK && !*out && strcmp(value, no) != 0 ? ERR_FILE_FORM : e;
}

static enum err
take_number(const char *text, uint64_t max, uint64_t *out)
{
	return str_decimal(text, max, out) == ERR_OK ? ERR_OK : ERR_FILE_FORM;
}

/* Hex of 1..max bytes, or "-" for none. */
static enum err
take_hex(const char *text, uint8_t *out, size_t max, size_t *bytes_out)
{
	size_t n = strlen(text);
	*bytes_out = 0;
	if (strcmp(text, "-") == 0)
		return ERR_OK;
	if (n % 2 || n / 2 > max || n == 0)
		return ERR_FILE_FORM;
	*bytes_out = n / 2;
	return str_unhex(text, out, n / 2);
}

static enum err
take_officer(struct boot *b, const struct line *l)
{
	struct boot_officer o = {{0}};
	size_t n;
	if (!is(l, "officer", 4) || str_set(o.name, sizeof o.name, l->field[1]) != ERR_OK ||
		str_set(o.role, sizeof o.role, l->field[2]) != ERR_OK ||
		take_hex(l->field[3], o.public_key, sizeof o.public_key, &n) != ERR_OK || n != sizeof o.public_key)
		return ERR_FILE_FORM;
	return boot_add_officer(b, &o) == ERR_OK ? ERR_OK : ERR_FILE_FORM;
}

static enum err
take_key(struct boot *b, const struct line *l)
{
	struct boot_key k = {.generation = 0};
	uint64_t generation, kek, created, activated;
	size_t public_bytes, commitment_bytes;
	if (!is(l, "key", 10) || keylife_purpose_of(l->field[1], &k.purpose) != ERR_OK ||
		take_number(l->field[2], UINT32_MAX, &generation) != ERR_OK ||
		keylife_state_of(l->field[3], &k.state) != ERR_OK || take_number(l->field[4], UINT32_MAX, &kek) != ERR_OK ||
		take_number(l->field[5], INT64_MAX, &created) != ERR_OK ||
		take_number(l->field[6], INT64_MAX, &activated) != ERR_OK ||
		take_hex(l->field[7], k.public_key, sizeof k.public_key, &public_bytes) != ERR_OK ||
		take_hex(l->field[8], k.wrapped, sizeof k.wrapped, &k.wrapped_bytes) != ERR_OK ||
		take_hex(l->field[9], k.commitment, sizeof k.commitment, &commitment_bytes) != ERR_OK)
		return ERR_FILE_FORM;
	if ((public_bytes && public_bytes != sizeof k.public_key) ||
		(commitment_bytes && commitment_bytes != sizeof k.commitment))
		return ERR_FILE_FORM;
	k.generation = (uint32_t)generation;
	k.kek = (uint32_t)kek;
	k.created_at_ms = (int64_t)created;
	k.activated_at_ms = (int64_t)activated;
	k.has_public = public_bytes > 0;
	return boot_add_key(b, &k) == ERR_OK ? ERR_OK : ERR_FILE_FORM;
}

static enum err
take_body(char *at, struct boot *out)
{
	char head[32];
	struct line l;
	enum err e = take_text(&at, "sallyport-boot", head, sizeof head);
	if (e == ERR_OK)
		e = take_text(&at, "install", out->install, sizeof out->install);
	if (e == ERR_OK)
		e = take_text(&at, "node", out->node, sizeof out->node);
	if (e == ERR_OK)
		e = take_choice(&at, "mode", "test", "live", &out->test);
	if (e == ERR_OK)
		e = take_choice(&at, "complete", "yes", "no", &out->complete);
	while (e == ERR_OK && *at) {
		e = next_line(&at, &l);
		if (e == ERR_OK)
			e = strcmp(l.field[0], "officer") == 0 ? take_officer(out, &l) : take_key(out, &l);
	}
	return e == ERR_OK ? ERR_OK : ERR_FILE_FORM;
}

enum err
boot_decode(const char *text, size_t bytes, struct boot *out)
{
	struct buf again;
	enum err e = ERR_FILE_FORM;
	char *copy = NULL;
	memset(out, 0, sizeof *out);
	buf_init(&again, BOOT_BYTES_MAX);
	if (bytes > BOOT_BYTES_MAX || memchr(text, 0, bytes))
		goto out;
	copy = mem_new(1, bytes + 1);
	e = copy ? ERR_OK : ERR_MEMORY;
	if (e != ERR_OK)
		goto out;
	memcpy(copy, text, bytes);
	e = take_body(copy, out);
	if (e == ERR_OK)
		e = boot_encode(out, &again);
	/* leading zeros, capitals, another order, another version: there is one way to write a boot file */
	if (e == ERR_OK && (again.len != bytes || memcmp(buf_at(&again), text, bytes) != 0))
		e = ERR_FILE_FORM;
out:
	if (e != ERR_OK)
		memset(out, 0, sizeof *out);
	buf_clear(&again);
	mem_free(copy);
	return e;
}

void
boot_statement(const uint8_t digest[BOOT_DIGEST_BYTES], char out[BOOT_STATEMENT_BYTES])
{
	size_t n = sizeof STATEMENT_PREFIX - 1;
	memcpy(out, STATEMENT_PREFIX, n);
	str_hex(digest, BOOT_DIGEST_BYTES, out + n);
	/* the line feed takes the place of str_hex's NUL */
	out[BOOT_STATEMENT_BYTES - 1] = '\n';
}

static bool
verifies(const struct boot *b, const uint8_t digest[BOOT_DIGEST_BYTES], const uint8_t signature[BOOT_SIGNATURE_BYTES])
{
	char statement[BOOT_STATEMENT_BYTES];
	const struct boot_key *ask = boot_active(b, KEY_ASK);
	boot_statement(digest, statement);
	return ask && ask->has_public &&
		   crypto_sign_verify_detached(signature, (const uint8_t *)statement, sizeof statement, ask->public_key) == 0;
}

/* A fixed line at text: the word, lower-case hex of exactly n bytes, a line feed. */
static enum err
take_hex_line(const char *text, const char *word, uint8_t *out, size_t n)
{
	char hex[2 * BOOT_SIGNATURE_BYTES + 1], again[2 * BOOT_SIGNATURE_BYTES + 1];
	size_t w = strlen(word);
	if (memcmp(text, word, w) != 0 || text[w + 2 * n] != '\n')
		return ERR_FILE_FORM;
	memcpy(hex, text + w, 2 * n);
	hex[2 * n] = 0;
	enum err e = str_unhex(hex, out, n);
	if (e != ERR_OK)
		return e;
	str_hex(out, n, again);
	return strcmp(hex, again) == 0 ? ERR_OK : ERR_FILE_FORM;
}

enum err
boot_parse(const char *text, size_t bytes, struct boot *out)
{
	const size_t tail = DIGEST_LINE + SIGNATURE_LINE;
	uint8_t stated[BOOT_DIGEST_BYTES], digest[BOOT_DIGEST_BYTES], signature[BOOT_SIGNATURE_BYTES];
	memset(out, 0, sizeof *out);
	if (bytes < tail || bytes > BOOT_BYTES_MAX)
		return ERR_FILE_FORM;
	const char *at = text + bytes - tail;
	enum err e = take_hex_line(at, "digest ", stated, sizeof stated);
	if (e == ERR_OK)
		e = take_hex_line(at + DIGEST_LINE, "signature ", signature, sizeof signature);
	if (e != ERR_OK)
		return ERR_FILE_FORM;
	crypto_hash_sha256(digest, (const uint8_t *)text, bytes - tail);
	if (memcmp(digest, stated, sizeof digest) != 0)
		return ERR_CRYPTO;
	e = boot_decode(text, bytes - tail, out);
	if (e == ERR_OK && !verifies(out, digest, signature))
		e = ERR_CRYPTO;
	if (e != ERR_OK)
		memset(out, 0, sizeof *out);
	return e;
}

enum err
boot_digest(const struct boot *b, uint8_t out[BOOT_DIGEST_BYTES])
{
	struct buf text;
	buf_init(&text, BOOT_BYTES_MAX);
	enum err e = boot_encode(b, &text);
	if (e == ERR_OK)
		crypto_hash_sha256(out, buf_at(&text), text.len);
	buf_clear(&text);
	return e;
}

/* ── the file ── */

static enum err
of_errno(void)
{
	return errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_IO;
}

enum err
boot_load(const char *path, struct boot *out)
{
	enum err e = ERR_OK;
	char *text = NULL;
	size_t n = 0;
	memset(out, 0, sizeof *out);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? ERR_FILE_MISSING : errno == EACCES ? ERR_FILE_RIGHTS : ERR_IO;
	text = mem_new(1, BOOT_BYTES_MAX + 1);
	if (!text) {
		e = ERR_MEMORY;
		goto out;
	}
	for (ssize_t got = 1; got > 0 && n <= BOOT_BYTES_MAX; n += (size_t)got) {
		got = read(fd, text + n, BOOT_BYTES_MAX + 1 - n);
		if (got < 0 && errno == EINTR)
			got = 0;
		if (got < 0)
			e = ERR_IO;
		if (got <= 0)
			break;
	}
	if (e == ERR_OK)
		e = boot_parse(text, n, out);
out:
	mem_free(text);
	(void)close(fd);
	return e;
}

static enum err
write_all(int fd, const uint8_t *bytes, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, bytes, n);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return of_errno();
		bytes += put;
		n -= (size_t)put;
	}
	return fsync(fd) == 0 ? ERR_OK : of_errno();
}

/* A rename is on the disk when its directory is. */
static enum err
sync_dir(const char *path)
{
	char dir[1024] = ".";
	const char *slash = strrchr(path, '/');
	if (slash && (size_t)(slash - path) < sizeof dir) {
		memcpy(dir, path, (size_t)(slash - path));
		dir[slash - path] = 0;
	}
	int fd = open(*dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ERR_IO;
	enum err e = fsync(fd) == 0 ? ERR_OK : of_errno();
	(void)close(fd);
	return e;
}

static enum err
replace(const char *path, const struct buf *text)
{
	char tmp[1024];
	if (snprintf(tmp, sizeof tmp, "%s.tmp", path) >= (int)sizeof tmp)
		return ERR_OUT_OF_RANGE;
	/* left over from a cut: it never had the name */
	(void)unlink(tmp);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return of_errno();
	enum err e = write_all(fd, buf_at(text), text->len);
	if (close(fd) != 0 && e == ERR_OK)
		e = of_errno();
	if (e == ERR_OK && rename(tmp, path) != 0)
		e = of_errno();
	if (e == ERR_OK)
		return sync_dir(path);
	(void)unlink(tmp);
	return e;
}

/* ── storing: encode now, sign by the HSM, then replace ── */

struct storing {
	char path[256];
	struct buf text;
	uint8_t digest[BOOT_DIGEST_BYTES];
	uint8_t ask_public[32];
	boot_done_fn done;
	void *arg;
};

static void
forget(struct storing *s)
{
	buf_clear(&s->text);
	mem_free(s);
}

static enum err
finish(struct storing *s, const sp_hsm_sign_rep *rep)
{
	char statement[BOOT_STATEMENT_BYTES], hex[2 * BOOT_SIGNATURE_BYTES + 1];
	boot_statement(s->digest, statement);
	/* a file that the next start would refuse must not replace one that it would take */
	if (!rep || rep->signature.size != BOOT_SIGNATURE_BYTES ||
		crypto_sign_verify_detached(rep->signature.bytes, (const uint8_t *)statement, sizeof statement,
									s->ask_public) != 0)
		return ERR_CRYPTO;
	str_hex(s->digest, sizeof s->digest, hex);
	enum err e = buf_printf(&s->text, "digest %s\n", hex);
	str_hex(rep->signature.bytes, BOOT_SIGNATURE_BYTES, hex);
	if (e == ERR_OK)
		e = buf_printf(&s->text, "signature %s\n", hex);
	return e == ERR_OK ? replace(s->path, &s->text) : e;
}

static void
on_signed(void *arg, enum err e, const void *rep)
{
	struct storing *s = arg;
	boot_done_fn done = s->done;
	void *done_arg = s->arg;
	if (e == ERR_OK)
		e = finish(s, rep);
	forget(s);
	done(done_arg, e);
}

enum err
boot_store(const char *path, const struct boot *b, struct peer *hsm, uint32_t deadline_ms, boot_done_fn done, void *arg)
{
	const struct boot_key *ask = boot_active(b, KEY_ASK);
	sp_hsm_sign_req q = sp_hsm_sign_req_init_zero;
	if (!ask || !ask->has_public)
		return ERR_HSM_KEY;
	struct storing *s = mem_new(1, sizeof *s);
	if (!s)
		return ERR_MEMORY;
	s->done = done;
	s->arg = arg;
	memcpy(s->ask_public, ask->public_key, sizeof s->ask_public);
	buf_init(&s->text, BOOT_BYTES_MAX);
	enum err e = str_set(s->path, sizeof s->path, path);
	if (e == ERR_OK)
		e = boot_encode(b, &s->text);
	if (e != ERR_OK)
		goto out;
	crypto_hash_sha256(s->digest, buf_at(&s->text), s->text.len);
	(void)snprintf(q.key, sizeof q.key, "%s", keylife_purpose_name(KEY_ASK));
	q.generation = ask->generation;
	q.data.size = BOOT_STATEMENT_BYTES;
	boot_statement(s->digest, (char *)q.data.bytes);
	e = ask_hsm_sign(hsm, &q, deadline_ms, on_signed, s);
	if (e == ERR_OK)
		return ERR_OK;
out:
	forget(s);
	return e;
}
