/* An officer's statement is read from any bytes: a good one has exactly the lines that it must have. */
#include <assert.h>
#include <string.h>

#include "vault/consent.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct consent_statement s;
	if (consent_parse(bytes, n, &s) == ERR_OK) {
		assert(strlen(s.nonce) == 32 && s.operation[0] && s.install[0]);
		assert(bytes[n - 1] == '\n' && memcmp(bytes, "operation=", 10) == 0);
	}
	return 0;
}
