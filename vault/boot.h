/*
 * boot — what the vault must know before its database can be opened: wrapped keys, officers, whose installation it is.
 * Invariants: the file `boot` is replaced whole (write, fsync, rename, fsync of the directory) and never edited; a file
 *   whose digest or ASK signature does not hold is refused; nothing in it is secret (keys are wrapped by the KEK).
 *   The journal `boot.journal` is only ever appended to, each line on the disk before the call returns.
 * Source: design 30 (vault/boot); PCI DSS 4.0.1 3.6.1, 10.2.1.
 *
 * The form is text, one thing a line, fields apart by one space, in this order:
 *   sallyport-boot 1
 *   install NAME
 *   node NAME
 *   mode test|live
 *   complete yes|no
 *   officer NAME ROLE HEX32
 *   key PURPOSE GENERATION STATE KEK CREATED_MS ACTIVATED_MS PUBLIC|- WRAPPED|- COMMITMENT|-
 *   digest HEX32        SHA-256 of all lines above
 *   signature HEX64     Ed25519 by ask over boot_statement()
 */
#ifndef VAULT_BOOT_H
#define VAULT_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "daemon/base/err.h"
#include "daemon/wire/peer.h"
#include "vault/keylife.h"

#define BOOT_FILE             "boot"
#define BOOT_JOURNAL          "boot.journal"
#define BOOT_OFFICERS_MAX     16
#define BOOT_KEYS_MAX         64
#define BOOT_BYTES_MAX        65536
#define BOOT_WRAPPED_MAX      160
#define BOOT_COMMITMENT_BYTES 16
#define BOOT_DIGEST_BYTES     32
#define BOOT_SIGNATURE_BYTES  64

struct boot_officer {
	char name[64]; /* visible ASCII */
	char role[24];
	uint8_t public_key[32]; /* Ed25519 */
};

/* One key of any place. In the HSM: wrapped_bytes is 0; `public_key` for ask and xsk. */
struct boot_key {
	enum key_purpose purpose;
	uint32_t generation; /* from 1 */
	enum key_state state;
	uint32_t kek; /* generation that wrapped it, 0 in the HSM */
	int64_t created_at_ms, activated_at_ms;
	bool has_public;
	uint8_t public_key[32];
	size_t wrapped_bytes;
	uint8_t wrapped[BOOT_WRAPPED_MAX];
	uint8_t commitment[BOOT_COMMITMENT_BYTES];
};

struct boot {
	char install[40], node[64];
	bool test, complete;
	struct boot_officer officers[BOOT_OFFICERS_MAX];
	size_t officers_n;
	struct boot_key keys[BOOT_KEYS_MAX];
	size_t keys_n;
};

/* boot_init: empty, with names. ERR_OUT_OF_RANGE · ERR_CHARACTERS (a name that is not visible ASCII). */
enum err boot_init(struct boot *b, const char *install, const char *node, bool test) MUST;
/* ERR_LIMIT (full) · ERR_EXISTS (that name, key or generation) · ERR_CHARACTERS. */
enum err boot_add_officer(struct boot *b, const struct boot_officer *o) MUST;
enum err boot_add_key(struct boot *b, const struct boot_key *k) MUST;
/* Borrowed; NULL when there is none. */
struct boot_key *boot_key_of(struct boot *b, enum key_purpose p, uint32_t generation);
/* The active generation of a purpose, or NULL. */
const struct boot_key *boot_active(const struct boot *b, enum key_purpose p);
const struct boot_officer *boot_officer_of(const struct boot *b, const char *name);

/*
 * boot_load(path, out)
 *   Read and check: form, digest, and the signature by the file's own active ask (compare that key with the HSM's after
 *   log-in: keyring_unwrap_all does).
 *   Returns   ERR_OK · ERR_FILE_MISSING (never made) · ERR_FILE_FORM · ERR_CRYPTO (digest or signature) · ERR_IO ·
 * ERR_MEMORY. Blocks    on a small file; call it at start only.
 */
enum err boot_load(const char *path, struct boot *out) MUST;
/*
 * boot_store(path, b, hsm, deadline_ms, done, arg)
 *   Sign with the active ask and replace the file. b is borrowed and encoded at once: later changes are not stored.
 *   done runs once with ERR_OK when the file is on the disk, or with what stopped it: ERR_HSM_… · ERR_PEER_AWAY ·
 *   ERR_DEADLINE · ERR_CRYPTO (the HSM's signature does not verify) · ERR_IO · ERR_DISK_FULL. The old file stays then.
 *   Returns   ERR_OK (done will run) · ERR_HSM_KEY (no active ask) · ERR_PEER_… · ERR_MEMORY (done won't run).
 *   Blocks    on two fsyncs, in done's turn.
 */
typedef void (*boot_done_fn)(void *arg, enum err e);
enum err boot_store(const char *path, const struct boot *b, struct peer *hsm, uint32_t deadline_ms, boot_done_fn done,
					void *arg) MUST;

/* The parser and the encoder of the lines above `digest`, pure. ERR_FILE_FORM · ERR_LIMIT · ERR_MEMORY. */
enum err boot_encode(const struct boot *b, struct buf *out) MUST;
enum err boot_decode(const char *text, size_t bytes, struct boot *out) MUST;
/* What ask signs: "sallyport-boot/1\n" and the digest in hex and a line feed: no checkpoint can ever read like it. */
#define BOOT_STATEMENT_BYTES 82
void boot_statement(const uint8_t digest[BOOT_DIGEST_BYTES], char out[BOOT_STATEMENT_BYTES]);
/* The whole file with its signature, checked like boot_load. */
enum err boot_parse(const char *text, size_t bytes, struct boot *out) MUST;
/* Digest of all of it (keys, states, officers, names): part of the anchor and of the start's checks. ERR_MEMORY. */
enum err boot_digest(const struct boot *b, uint8_t out[BOOT_DIGEST_BYTES]) MUST;

/* ── what was tried while sealed ── */

struct boot_note {
	int64_t at_ms;
	char what[32];   /* an event's name, "vault.unseal" */
	char code[48];   /* err_code of how it ended */
	char object[64]; /* "" for none; visible ASCII */
	uint32_t uid;
};

/* On the disk when it returns ERR_OK; if not, do not evaluate the attempt. ERR_IO · ERR_DISK_FULL · ERR_CHARACTERS.
 * Blocks on fdatasync. */
enum err boot_journal_add(const char *path, const struct boot_note *n) MUST;
/*
 * boot_journal_read(path, each, arg, count_out)
 *   each(arg, note) for every whole line in order; its error ends the reading. A torn last line (power cut while it was
 *   written: its attempt was never evaluated) is skipped; any other damage is ERR_FILE_FORM. A missing file has none.
 */
typedef enum err (*boot_note_fn)(void *arg, const struct boot_note *n);
enum err boot_journal_read(const char *path, boot_note_fn each, void *arg, size_t *count_out) MUST;
/* After the leaves of all of them are committed. ERR_IO. */
enum err boot_journal_clear(const char *path) MUST;

#endif
