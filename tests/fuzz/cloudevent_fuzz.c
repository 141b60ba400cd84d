/* An outbox entry's data: whatever it is, it becomes one line of JSON or is refused. */
#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/herald/cloudevent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static sp_publish_req req;
	char *line;

	json_set_alloc_funcs(mem_alloc, mem_free);
	memset(&req, 0, sizeof req);
	if (size < 8 || size - 8 > sizeof req.data.bytes)
		return 0;
	/* the first bytes are the attributes, so that text of every kind comes there too */
	memcpy(req.partition_key, data, 8);
	memcpy(req.id, "evt_1", 6);
	memcpy(req.type, "payment.authorized.v1", 22);
	req.data.size = (pb_size_t)(size - 8);
	memcpy(req.data.bytes, data + 8, size - 8);
	if (cloudevent_line(&req, "lab", &line) == ERR_OK) {
		assert(!strchr(line, '\n'));
		json_t *event = json_loads(line, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
		assert(event && json_is_object(json_object_get(event, "data")));
		json_decref(event);
		mem_free(line);
	}
	return 0;
}
