#include "daemon/herald/cloudevent.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/buf.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/herald/plain_object.h"

/* The attributes, escaped six times over at the worst, and the data. */
#define LINE_BYTES_MAX (sizeof(sp_publish_req) * 6)

/* A writer that goes on after its first failure and tells it at the end. */
struct writer {
	struct buf out;
	enum err e;
};

static void
put(struct writer *w, const void *bytes, size_t n)
{
	if (w->e == ERR_OK)
		w->e = buf_add(&w->out, bytes, n);
}

static void
put_text(struct writer *w, const char *text)
{
	put(w, text, strlen(text));
}

static void
put_quoted(struct writer *w, const char *text)
{
	char escape[8];
	put(w, "\"", 1);
	for (const char *from = text; *from;) {
		size_t plain = 0;
		while ((unsigned char)from[plain] >= 0x20 && from[plain] != '"' && from[plain] != '\\')
			plain++;
		put(w, from, plain);
		from += plain;
		if (*from)
			put(w, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", (unsigned char)*from++));
	}
	put(w, "\"", 1);
}

/* Optional attributes may not be there as empty text. */
static void
put_member(struct writer *w, const char *name, const char *text)
{
	if (!*text)
		return;
	if (!str_utf8((const uint8_t *)text, strlen(text)))
		w->e = ERR_JSON;
	put_text(w, ",\"");
	put_text(w, name);
	put_text(w, "\":");
	put_quoted(w, text);
}

/*
 * The data is read only to be sure that it is one object without duplicates: the bytes that came are the bytes that go
 * out, unless they stand on more than one line. Most are as plain as the ledger writes them, and need no parser.
 */
static void
put_data(struct writer *w, const uint8_t *bytes, size_t n)
{
	static const uint8_t none[] = "{}";
	char *again = NULL;
	json_t *data;
	put_text(w, ",\"data\":");
	if (!n) {
		bytes = none;
		n = 2;
	}
	if (plain_object(bytes, n)) {
		put(w, bytes, n);
		return;
	}
	data = json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	/* the parser passes over a NUL behind a number */
	if (!json_is_object(data) || memchr(bytes, 0, n))
		w->e = ERR_JSON;
	else if ((memchr(bytes, '\n', n) || memchr(bytes, '\r', n)) && !(again = json_dumps(data, JSON_COMPACT)))
		w->e = ERR_MEMORY;
	put(w, again ? (const uint8_t *)again : bytes, again ? strlen(again) : n);
	mem_free(again);
	json_decref(data);
}

enum err
cloudevent_line(const sp_publish_req *req, const char *install, char **line_out)
{
	char at[CLOCK_TEXT_BYTES], source[160], schema[80], sequence[21];
	struct writer w = {.e = ERR_OK};

	*line_out = NULL;
	if (!*req->id || !*req->type)
		return ERR_JSON;
	clock_text(req->at_ms, at);
	snprintf(source, sizeof source, "/sallyport/%s", install);
	snprintf(schema, sizeof schema, "urn:sallyport:schema:%s", req->type);
	/* text of equal length: the extension's values are compared as text */
	snprintf(sequence, sizeof sequence, "%020llu", (unsigned long long)req->sequence);

	buf_init(&w.out, LINE_BYTES_MAX);
	put_text(&w, "{\"specversion\":\"1.0\"");
	put_member(&w, "id", req->id);
	put_member(&w, "source", *req->source ? req->source : source);
	put_member(&w, "type", req->type);
	put_member(&w, "subject", req->subject);
	put_member(&w, "time", at);
	put_member(&w, "datacontenttype", "application/json");
	put_member(&w, "dataschema", schema);
	put_member(&w, "partitionkey", req->partition_key);
	put_member(&w, "sequence", sequence);
	put_text(&w, req->livemode ? ",\"livemode\":true" : ",\"livemode\":false");
	put_member(&w, "traceparent", req->traceparent);
	put_data(&w, req->data.bytes, req->data.size);
	put(&w, "}", 2); /* with its NUL */
	if (w.e == ERR_OK && !(*line_out = mem_alloc(w.out.len)))
		w.e = ERR_MEMORY;
	if (w.e == ERR_OK)
		memcpy(*line_out, buf_at(&w.out), w.out.len);
	buf_clear(&w.out);
	return w.e;
}
