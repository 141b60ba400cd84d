/* Any bytes as a configuration file: refused or taken; what is taken dumps and reads back the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct conf *c = conf_new(), *d = conf_new();
	struct buf problems, text;
	buf_init(&problems, 4096);
	buf_init(&text, 65536);
	enum err e = conf_parse(c, "fuzz", (const char *)bytes, n, &problems);
	if ((e == ERR_OK) != (problems.len == 0))
		abort();
	if (conf_dump(c, &text) != ERR_OK || conf_parse(d, "dump", (const char *)buf_at(&text), text.len, NULL) != ERR_OK)
		abort();
	for (unsigned k = 0; k < CONF_MAX; k++)
		if (strcmp(conf_text(c, k), conf_text(d, k)) != 0 || conf_int(c, k) != conf_int(d, k))
			abort();
	buf_clear(&problems);
	buf_clear(&text);
	conf_free(c);
	conf_free(d);
	return 0;
}
