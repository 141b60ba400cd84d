/* minisign's files, PEM and manifests: what is read is exactly what would be written. */
#include <assert.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>

#include "daemon/audit/manifest.h"
#include "daemon/audit/minisign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_manifest(const char *text, size_t size)
{
	struct manifest_line line;
	struct buf again;
	bool more = true;
	size_t at = 0;
	enum err e = ERR_OK;

	buf_init(&again, 1 << 16);
	while (more && e == ERR_OK) {
		e = manifest_next(text, size, &at, &line, &more);
		if (more && e == ERR_OK)
			e = manifest_add(&again, line.path, line.sha256);
	}
	if (e == ERR_OK)
		assert(again.len == size && (size == 0 || memcmp(buf_at(&again), text, size) == 0));
	buf_clear(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct minisign_signature s;
	char again[MINISIGN_FILE_MAX];
	uint8_t key[32] = {1}, id[MINISIGN_KEY_ID_BYTES], sum[64] = {0};

	if (size > 8192 || sodium_init() < 0)
		return 0;
	if (minisign_parse(text, size, &s) == ERR_OK) {
		assert(minisign_text(&s, again) == ERR_OK && strlen(again) == size && memcmp(again, text, size) == 0);
		assert(minisign_check(&s, sum, key, s.key_id) != ERR_OK);
	}
	if (minisign_public_parse(text, size, key, id) == ERR_OK)
		assert(size < MINISIGN_FILE_MAX);
	if (minisign_pem_parse(text, size, key) == ERR_OK)
		assert(minisign_pem(key, again) == ERR_OK && memcmp(again, text, size) == 0);
	try_manifest(text, size);
	return 0;
}
