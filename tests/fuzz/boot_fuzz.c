/* The boot file's parser: whatever it takes must come out the same when it is written again. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "vault/boot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* exact: these are all bytes; else the file goes on behind them (digest and signature) */
static void
same_again(const struct boot *b, const uint8_t *data, size_t size, bool exact)
{
	struct buf again;
	buf_init(&again, BOOT_BYTES_MAX);
	assert(boot_encode(b, &again) == ERR_OK);
	assert(exact ? again.len == size : again.len < size);
	assert(memcmp(buf_at(&again), data, again.len) == 0);
	buf_clear(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct boot b;
	if (boot_parse((const char *)data, size, &b) == ERR_OK)
		same_again(&b, data, size, false);
	if (boot_decode((const char *)data, size, &b) == ERR_OK)
		same_again(&b, data, size, true);
	return 0;
}
