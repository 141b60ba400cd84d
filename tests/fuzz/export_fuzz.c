/*
 * Exports from strangers. An even first byte: the rest is the archive as it came. An odd one: the rest says which files
 * a well-formed archive has and what is in them, so that the checks behind the archive's form are reached. Never
 * verified, since nobody here has the auditor's key.
 */
#include <assert.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>

#include "daemon/audit/minisign.h"
#include "daemon/audit/verify.h"

#define ARCHIVE_MAX (1 << 18)
#define NAME        "sallyport.fuzz/node"

struct bytes {
	const uint8_t *at;
	size_t left;
};

static const char *const paths[] = {
	"VERIFY.txt",
	"keys/audit.pem",
	"keys/checkpoint.pem",
	"keys/minisign.pub",
	"keys/vkey",
	"ledger.2/vault",
	"ledger/checkpoint",
	"ledger/more",
	"ledger/records.jsonl",
	"ledger/tile/0/000",
	"ledger/tile/0/000.p/1",
	"ledger/tile/0/001.p/2",
	"ledger/tile/1/000.p/1",
	"ledger/tiles.sha256",
	"manifest.sha256",
	"manifest.sha256.sig",
	"vault/checkpoint",
	"vault/records.jsonl",
	"vault/tile/0/000.p/2",
	"vault/tiles.sha256",
};
static struct verify_ask ask;
static char vkey_text[200], pem_text[MINISIGN_PEM_MAX], ask_text[MINISIGN_PEM_MAX], minisign_text_[MINISIGN_FILE_MAX];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err
give(void *arg, void *out, size_t max, size_t *got_out)
{
	struct bytes *b = arg;

	/* in odd pieces, so that lines and headers lie across them */
	*got_out = b->left < max ? b->left : max;
	if (*got_out > 777)
		*got_out = 777;
	memcpy(out, b->at, *got_out);
	b->at += *got_out;
	b->left -= *got_out;
	return ERR_OK;
}

static enum err
take(void *arg, const void *bytes, size_t n)
{
	return buf_add(arg, bytes, n);
}

/* The true keys' files stand in for three of the contents, or no input would come past them. */
static const char *
known_text(unsigned which)
{
	switch (which) {
	case 1:
		return pem_text;
	case 2:
		return ask_text;
	case 3:
		return minisign_text_;
	case 4:
		return vkey_text;
	default:
		return NULL;
	}
}

static enum err
build(struct bytes in, struct buf *archive)
{
	struct ustar_writer w;
	uint8_t sum[USTAR_SUM_BYTES];
	enum err e = ERR_OK;

	ustar_writer_init(&w, take, archive);
	while (in.left >= 3 && !e) {
		unsigned which = in.at[0] % (sizeof(paths) / sizeof(*paths));
		size_t n = (size_t)(in.at[1] << 8 | in.at[2]);
		const char *known = known_text(which);
		bool replaced = in.at[0] & 0x80;

		in.at += 3;
		in.left -= 3;
		if (known && !replaced) {
			e = ustar_file(&w, paths[which], strlen(known));
			if (!e)
				e = ustar_write(&w, known, strlen(known));
			continue;
		}
		if (n > in.left)
			n = in.left;
		e = ustar_file(&w, paths[which], n);
		if (!e && n > 0)
			e = ustar_write(&w, in.at, n);
		in.at += n;
		in.left -= n;
	}
	return e ? e : ustar_finish(&w, sum);
}

static void
set_up(void)
{
	uint8_t audit[32], xsk[32], secret[64], seed[32] = {7};

	assert(sodium_init() >= 0);
	crypto_sign_seed_keypair(audit, secret, seed);
	seed[0] = 8;
	crypto_sign_seed_keypair(xsk, secret, seed);
	assert(note_vkey(NAME, audit, vkey_text, sizeof(vkey_text) - 1) == ERR_OK);
	assert(minisign_pem(xsk, pem_text) == ERR_OK && minisign_pem(audit, ask_text) == ERR_OK);
	assert(minisign_public(xsk, minisign_text_) == ERR_OK);
	ask.record_seq = 1;
	memcpy(ask.record_log, "vault", 6);
	assert(verify_keys_read(vkey_text, strlen(vkey_text), pem_text, strlen(pem_text), NULL, 0, &ask.keys) == ERR_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verify_report report;
	struct buf archive, told;
	struct bytes in;
	enum err e = ERR_OK;

	if (!ask.keys.given)
		set_up();
	if (size < 2)
		return 0;
	buf_init(&archive, ARCHIVE_MAX);
	buf_init(&told, ARCHIVE_MAX);
	in = (struct bytes){data + 1, size - 1};
	if (data[0] & 1) {
		e = build(in, &archive);
		in = (struct bytes){buf_at(&archive), archive.len};
	}
	if (!e) {
		assert(verify_export(give, &in, "x", 1, data[0] & 2 ? &ask : NULL, &report) == ERR_VERIFY_FAILED);
		assert(report.problems.len > 0);
		assert(verify_report_text(&report, &told) == ERR_OK && verify_report_json(&report, &told) == ERR_OK);
		verify_report_clear(&report);
	}
	buf_clear(&told);
	buf_clear(&archive);
	return 0;
}
