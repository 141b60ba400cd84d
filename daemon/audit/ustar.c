#include "daemon/audit/ustar.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define END_BYTES (2 * USTAR_BLOCK)

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6], version[2];
	char user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct header) == USTAR_BLOCK, "a header is one block");

static size_t
padding_of(uint64_t size)
{
	return (size_t)(-size & (USTAR_BLOCK - 1));
}

static void
make_header(const char *path, uint64_t size, struct header *h)
{
	const uint8_t *bytes = (const uint8_t *)h;
	char digits[16];
	unsigned sum = 0;

	memset(h, 0, sizeof(*h));
	memcpy(h->name, path, strlen(path));
	memcpy(h->mode, "0000644", 8);
	memcpy(h->uid, "0000000", 8);
	memcpy(h->gid, "0000000", 8);
	snprintf(digits, sizeof(digits), "%011" PRIo64, size);
	memcpy(h->size, digits, sizeof(h->size));
	memcpy(h->mtime, "00000000000", 12);
	memset(h->checksum, ' ', sizeof(h->checksum));
	h->type = '0';
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	memcpy(h->major, "0000000", 8);
	memcpy(h->minor, "0000000", 8);
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += bytes[i];
	snprintf(digits, sizeof(digits), "%06o", sum);
	memcpy(h->checksum, digits, 7);
}

/* ── writing ── */

void
ustar_writer_init(struct ustar_writer *w, ustar_write_fn write, void *arg)
{
	memset(w, 0, sizeof(*w));
	w->write = write;
	w->arg = arg;
	crypto_generichash_init(&w->sum, NULL, 0, USTAR_SUM_BYTES);
}

static enum err
put(struct ustar_writer *w, const void *bytes, size_t n)
{
	crypto_generichash_update(&w->sum, bytes, n);
	w->bytes += n;
	return w->write(w->arg, bytes, n);
}

enum err
ustar_file(struct ustar_writer *w, const char *path, uint64_t size)
{
	struct header h;

	assert(w->left == 0);
	if (!manifest_path(path) || strcmp(w->last, path) >= 0 || size > USTAR_SIZE_MAX)
		return ERR_OUT_OF_RANGE;
	memcpy(w->last, path, strlen(path) + 1);
	w->left = size;
	make_header(path, size, &h);
	return put(w, &h, sizeof(h));
}

enum err
ustar_write(struct ustar_writer *w, const void *bytes, size_t n)
{
	static const uint8_t zeros[USTAR_BLOCK];
	enum err e;

	assert(n <= w->left);
	e = put(w, bytes, n);
	w->left -= n;
	/* w->bytes is a multiple of a block before each file's first byte */
	if (!e && w->left == 0 && padding_of(w->bytes) > 0)
		e = put(w, zeros, padding_of(w->bytes));
	return e;
}

enum err
ustar_finish(struct ustar_writer *w, uint8_t sum_out[USTAR_SUM_BYTES])
{
	static const uint8_t zeros[END_BYTES];
	enum err e = put(w, zeros, sizeof(zeros));

	assert(w->left == 0);
	crypto_generichash_final(&w->sum, sum_out, USTAR_SUM_BYTES);
	return e;
}

/* ── reading ── */

void
ustar_reader_init(struct ustar_reader *r, ustar_read_fn read, void *arg)
{
	memset(r, 0, sizeof(*r));
	r->read = read;
	r->arg = arg;
	crypto_generichash_init(&r->sum, NULL, 0, USTAR_SUM_BYTES);
}

/* At least one unread byte in the room, unless the input has ended. */
static enum err
fill(struct ustar_reader *r)
{
	size_t got;
	enum err e;

	if (r->at < r->held || r->ended)
		return ERR_OK;
	e = r->read(r->arg, r->room, sizeof(r->room), &got);
	if (e)
		return e;
	crypto_generichash_update(&r->sum, r->room, got);
	r->at = 0;
	r->held = got;
	r->bytes += got;
	r->ended = got == 0;
	return ERR_OK;
}

/* Exactly n bytes, which may lie across two fillings. */
static enum err
take(struct ustar_reader *r, uint8_t *out, size_t n)
{
	while (n > 0) {
		enum err e = fill(r);
		size_t part = r->held - r->at < n ? r->held - r->at : n;
		if (e)
			return e;
		if (part == 0)
			return ERR_FILE_FORM;
		memcpy(out, r->room + r->at, part);
		r->at += part;
		out += part;
		n -= part;
	}
	return ERR_OK;
}

static bool
all_zero(const uint8_t *bytes, size_t n)
{
	return sodium_is_zero(bytes, n) == 1;
}

enum err
ustar_read(struct ustar_reader *r, const uint8_t **bytes_out, size_t *n_out)
{
	enum err e;

	*n_out = 0;
	if (r->left == 0)
		return ERR_OK;
	e = fill(r);
	if (e)
		return e;
	if (r->at == r->held)
		return ERR_FILE_FORM;
	*n_out = r->held - r->at < r->left ? r->held - r->at : (size_t)r->left;
	*bytes_out = r->room + r->at;
	r->at += *n_out;
	r->left -= *n_out;
	return ERR_OK;
}

/* The second zero block, and then nothing: bytes after the end would be signed but seen by nobody. */
static enum err
read_end(struct ustar_reader *r)
{
	uint8_t block[USTAR_BLOCK];
	enum err e = take(r, block, sizeof(block));

	if (!e && !all_zero(block, sizeof(block)))
		e = ERR_FILE_FORM;
	if (!e)
		e = fill(r);
	if (!e && r->at < r->held)
		e = ERR_FILE_FORM;
	return e;
}

enum err
ustar_next(struct ustar_reader *r, char path_out[MANIFEST_PATH_MAX], uint64_t *size_out, bool *more_out)
{
	uint8_t block[USTAR_BLOCK];
	struct header h, again;
	const uint8_t *rest;
	uint64_t size = 0;
	size_t n;
	enum err e;

	*more_out = false;
	do {
		e = ustar_read(r, &rest, &n);
		if (e)
			return e;
	} while (n > 0);
	e = take(r, block, r->padding);
	if (!e && !all_zero(block, r->padding))
		e = ERR_FILE_FORM;
	r->padding = 0;
	if (!e)
		e = take(r, block, sizeof(block));
	if (e)
		return e;
	if (all_zero(block, sizeof(block)))
		return read_end(r);
	memcpy(&h, block, sizeof(h));
	for (size_t i = 0; i + 1 < sizeof(h.size) && h.size[i] >= '0' && h.size[i] <= '7'; i++)
		size = size << 3 | (uint64_t)(h.size[i] - '0');
	if (h.name[sizeof(h.name) - 1] != '\0' || !manifest_path(h.name) || strcmp(r->last, h.name) >= 0)
		return ERR_FILE_FORM;
	make_header(h.name, size, &again);
	if (memcmp(&h, &again, sizeof(h)) != 0)
		return ERR_FILE_FORM;
	memcpy(r->last, h.name, sizeof(r->last));
	memcpy(path_out, h.name, MANIFEST_PATH_MAX);
	r->left = *size_out = size;
	r->padding = padding_of(size);
	r->files++;
	*more_out = true;
	return ERR_OK;
}

void
ustar_sum(struct ustar_reader *r, uint8_t sum_out[USTAR_SUM_BYTES])
{
	crypto_generichash_final(&r->sum, sum_out, USTAR_SUM_BYTES);
}
