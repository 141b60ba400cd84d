/* The boot file's parser: whatever it takes must come out the same when it is written again. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vault/boot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct boot b;
	struct buf again;
	if (boot_parse((const char *)data, size, &b) == ERR_OK)
		abort(); /* nobody signs with our key here */
	if (boot_decode((const char *)data, size, &b) != ERR_OK)
		return 0;
	buf_init(&again, BOOT_BYTES_MAX);
	assert(boot_encode(&b, &again) == ERR_OK);
	assert(again.len == size && memcmp(buf_at(&again), data, size) == 0);
	buf_clear(&again);
	return 0;
}
