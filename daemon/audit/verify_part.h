/*
 * verify_part — what the parts of one verification share: verify.c (the whole), verify_log.c (one log), and nobody
 * else.
 */
#ifndef DAEMON_AUDIT_VERIFY_PART_H
#define DAEMON_AUDIT_VERIFY_PART_H

#include "daemon/audit/proof.h"
#include "daemon/audit/verify.h"

#define SMALL_BYTES_MAX 4096
#define FILES_MAX       64 /* files that are not tiles */
#define TS_CHARS        (CLOCK_TEXT_BYTES - 1)

struct small {
	char text[SMALL_BYTES_MAX];
	size_t n;
	bool there;
};
struct found {
	char path[MANIFEST_PATH_MAX];
	uint8_t sum[32];
};

/* One run over an export. */
struct checking {
	struct ustar_reader tar;
	struct verify_report *r;
	const struct verify_ask *ask; /* NULL: nothing special */
	struct small vkey, pem, minisign, checkpoint_pem, manifest, signature;
	struct found found[FILES_MAX];
	unsigned found_n;
	bool keys_read, stop;
	/* the log that is being read */
	struct verify_log *log;
	struct tile_set tiles;
	struct tile_at due; /* the tile that must come next */
	bool tile_due, note_good, records_seen, list_seen, told;
	uint64_t since_size; /* of the earlier export's checkpoint of this log */
	uint8_t since_root[HASH_BYTES];
	bool since;
	struct proof *proof; /* of the record that was asked for */
	char carry[LEAF_BYTES_MAX];
	size_t carry_n;
};

/* Reads the open file to its end; its SHA-256, and its bytes if s is given and they fit. ERR_FILE_FORM · as read. */
enum err verify_read_whole(struct checking *c, const char *path, struct small *s, uint8_t sum_out[32]) MUST;
/* Notes a file that the manifest must list. */
void verify_remember(struct checking *c, const char *path, const uint8_t sum[32]);
/* Is [s, s+n) the folder of a log: "vault", "ledger", or a later epoch of them, "ledger.2"? */
bool verify_log_is_folder(const char *s, size_t n);
/* The open file lies in a log's folder: a new folder ends the log before it. As read. */
enum err verify_log_file(struct checking *c, const char *path, size_t folder_n) MUST;
/* What is still missing of the log that is being read, if any. */
void verify_log_end(struct checking *c);

#endif
