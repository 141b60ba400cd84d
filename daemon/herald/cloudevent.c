#include "daemon/herald/cloudevent.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"

/* Optional attributes may not be there as empty text. */
static int
set_text(json_t *event, const char *name, const char *text)
{
	return *text ? json_object_set_new(event, name, json_string(text)) : 0;
}

enum err
cloudevent_line(const sp_publish_req *req, const char *install, char **line_out)
{
	char at[CLOCK_TEXT_BYTES], source[160], schema[80], sequence[21];
	enum err e = ERR_JSON;
	json_t *event = json_object();
	json_t *data = req->data.size ? json_loadb((const char *)req->data.bytes, req->data.size,
											   JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL)
								  : json_object();

	*line_out = NULL;
	if (!event)
		goto out;
	if (!json_is_object(data) || !*req->id || !*req->type)
		goto out;
	clock_text(req->at_ms, at);
	snprintf(source, sizeof source, "/sallyport/%s", install);
	snprintf(schema, sizeof schema, "urn:sallyport:schema:%s", req->type);
	/* text of equal length: the extension's values are compared as text */
	snprintf(sequence, sizeof sequence, "%020llu", (unsigned long long)req->sequence);

	int bad = set_text(event, "specversion", "1.0") || set_text(event, "id", req->id) ||
			  set_text(event, "source", *req->source ? req->source : source) || set_text(event, "type", req->type) ||
			  set_text(event, "subject", req->subject) || set_text(event, "time", at) ||
			  set_text(event, "datacontenttype", "application/json") || set_text(event, "dataschema", schema) ||
			  set_text(event, "partitionkey", req->partition_key) || set_text(event, "sequence", sequence) ||
			  json_object_set_new(event, "livemode", json_boolean(req->livemode)) ||
			  set_text(event, "traceparent", req->traceparent) || json_object_set(event, "data", data);
	if (bad)
		goto out;
	*line_out = json_dumps(event, JSON_COMPACT);
	e = *line_out ? ERR_OK : ERR_MEMORY;
out:
	json_decref(data);
	json_decref(event);
	return e;
}
