#include "daemon/gate/docs_page.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/gate/client_cache.h"
#include "daemon/gate/route.h"

/* One sticky error instead of a check per line. */
struct html {
	struct buf *out;
	enum err e;
};

static void
put(struct html *h, const char *text)
{
	if (!h->e)
		h->e = buf_add_text(h->out, text);
}

/* Text of the tables: escaped all the same, since a table may say "<". */
static void
put_text(struct html *h, const char *text)
{
	for (; *text && !h->e; text++) {
		const char *escape = *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : *text == '&' ? "&amp;" : NULL;

		h->e = escape ? buf_add_text(h->out, escape) : buf_add(h->out, text, 1);
	}
}

static void
put_element(struct html *h, const char *open, const char *text, const char *close)
{
	put(h, open);
	put_text(h, text);
	put(h, close);
}

static const char head[] =
	"<!doctype html><html lang=en><meta charset=utf-8><title>Sallyport API</title><style>"
	"body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
	"pre{background:#f3f3f3;padding:.6rem;overflow:auto}code,pre{font-size:14px}"
	"h3{margin:2rem 0 .2rem}td{padding:.1rem 1rem .1rem 0;vertical-align:top}</style>"
	"<h1>Sallyport API</h1><p>HTTP/1.1 over TLS 1.3 with a client certificate; amounts are integer minor units. "
	"For programs: <a href=/openapi.json>openapi.json</a>. "
	"Every refusal is <code>application/problem+json</code>; its <code>type</code> is a page here.";

static void
put_members(struct html *h, const struct shape *s)
{
	put(h, "<table>");
	for (size_t i = 0; i < s->n; i++) {
		const struct member *m = &s->members[i];

		if (m->kind == MEMBER_REFUSED)
			continue;
		put_element(h, "<tr><td><code>", m->name, "</code><td>");
		put(h, m->flags & MEMBER_REQUIRED ? "required<td>" : "<td>");
		put_text(h, m->what ? m->what : "");
	}
	put(h, "</table>");
}

/* "/v1/payments/{pay}/capture" as a shell would take it: /v1/payments/$ID/capture. */
static void
put_path(struct html *h, const char *path, const char *object)
{
	const char *open = strchr(path, '{'), *end = open ? strchr(open, '}') : NULL;
	char text[96];

	if (end)
		(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(open - path), path, object, end + 1);
	else
		(void)snprintf(text, sizeof(text), "%s", path);
	put_text(h, text);
}

static void
put_command(struct html *h, const struct route *r)
{
	put(h, "<pre>curl --cacert ca.crt --cert client.crt --key client.key");
	if (r->method != METHOD_GET && !r->example)
		put_element(h, " -X ", method_name(r->method), "");
	put(h, " \"https://$HOST");
	put_path(h, r->path, "$ID");
	put(h, "\"");
	if (r->flags & ROUTE_KEY)
		put(h, " \\\n     -H \"Idempotency-Key: $(uuidgen)\"");
	if (r->example)
		put_element(h, " \\\n     -H 'Content-Type: application/json' -d '", r->example, "'");
	put(h, "</pre>");
}

static void
put_operation(struct html *h, const struct route *r)
{
	put_element(h, "<h3 id=", r->id, "><code>");
	put_element(h, "", method_name(r->method), " ");
	put_path(h, r->path, "{id}");
	put_element(h, "</code></h3><p>", r->summary, ".");
	if (r->scope != SCOPE_NONE)
		put_element(h, " Needs the scope <code>", client_cache_scope_name((enum scope)r->scope), "</code>.");
	if (r->body)
		put_members(h, r->body);
	if (r->query)
		put_members(h, r->query);
	put_command(h, r);
}

enum err
docs_page_write(struct buf *out)
{
	struct html h = {.out = out};

	put(&h, head);
	for (const struct api *const *a = route_apis(); *a; a++) {
		put_element(&h, "<h2>", (*a)->name, "</h2>");
		for (size_t i = 0; i < (*a)->n; i++)
			put_operation(&h, &(*a)->routes[i]);
	}
	put(&h, "</html>\n");
	return h.e;
}
