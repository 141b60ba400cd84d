#include "console/ctl/jail_rows.h"

#include <stdio.h>
#include <string.h>

#define CONDITION_BYTES 96

static const struct {
	const char *name, *what;
} processes[PROCESS_MAX] = {
#define PROCESS(ID, name, instances, what) {#name, what},
#include "policy/processes.def"
#undef PROCESS
};

const char *
jail_rows_what(enum process p)
{
	return (unsigned)p < PROCESS_MAX ? processes[p].what : "";
}

enum process
jail_rows_process(const char *name)
{
	for (unsigned p = 0; p < PROCESS_OFFICER; p++)
		if (strcmp(processes[p].name, name) == 0)
			return (enum process)p;
	return PROCESS_MAX;
}

/* ── a row in words ── */

static bool
allows(const struct jail_spec *s, const char *call)
{
	for (size_t i = 0; s && i < s->calls_n; i++)
		if (!s->calls[i].refuse && strcmp(s->calls[i].name, call) == 0)
			return true;
	return false;
}

const char *
jail_rows_network(const struct jail_spec *s)
{
	bool takes = allows(s, "accept4") || allows(s, "accept"), connects = allows(s, "connect");
	return takes && connects ? "listener, connects" : takes ? "listener" : connects ? "connects" : "none";
}

/* Those that every process has, since libraries look at them. */
static bool
is_common(const struct jail_path *p)
{
	return strncmp(p->path, "/dev/", 5) == 0;
}

const char *
jail_rows_files(const struct jail_spec *s, char out[64])
{
	size_t n = 0;
	bool site = false;
	snprintf(out, 64, "none");
	/* a path is of no use to one that has no call to open it with */
	for (size_t i = 0; allows(s, "openat") && i < s->paths_n; i++) {
		const struct jail_path *p = &s->paths[i];
		/* those that the configuration names are one thing to say; sallyport jail PROCESS has them all */
		bool named = p->path[0] == '@' && strcmp(p->path, "@dir") != 0;
		if (is_common(p) || n >= 60 || (named && site))
			continue;
		site |= named;
		if (named) {
			n += (size_t)snprintf(out + n, 64 - n, "%sthe site's own", n ? ", " : "");
			continue;
		}
		n += (size_t)snprintf(out + n, 64 - n, "%s%s%s", n ? ", " : "",
							  strcmp(p->path, "@dir") == 0 ? "its directory" : p->path, p->write ? "" : " (read)");
	}
	return out;
}

const char *
jail_rows_path(const struct run *r, enum process p, const struct jail_path *path, char out[PATH_BYTES])
{
	if (strcmp(path->path, "@dir") != 0 || ctl_path(out, r->paths.state, process_name(p)) != ERR_OK)
		snprintf(out, PATH_BYTES, "%s", path->path);
	return out;
}

/* "" when any arguments may be given. */
static const char *
condition(const struct jail_call *c, char out[CONDITION_BYTES])
{
	static const char *const ordinals[] = {"1st", "2nd", "3rd", "4th", "5th", "6th"};
	out[0] = 0;
	if (c->arg < 0 || c->arg > 5)
		return out;
	if (c->mask == ~0ul)
		snprintf(out, CONDITION_BYTES, "%s argument = %s", ordinals[c->arg], c->want_word);
	else if (c->want == 0)
		snprintf(out, CONDITION_BYTES, "%s argument without %s", ordinals[c->arg], c->mask_word);
	else
		snprintf(out, CONDITION_BYTES, "%s argument & %s = %s", ordinals[c->arg], c->mask_word, c->want_word);
	return out;
}

/* The same two that daemon/base/jail.c makes of THREADS. */
static void
thread_rows(const struct jail_spec *s, struct jail_call out[2])
{
	out[0] = (struct jail_call){.reason = s->threads_reason,
								.mask = 1,
								.want = 1,
								.name = "clone",
								.mask_word = "CLONE_THREAD",
								.want_word = "CLONE_THREAD"};
	out[1] = (struct jail_call){.reason = "its flags lie where a filter can't see them: libraries then use clone",
								.arg = -1,
								.refuse = 1,
								.name = "clone3",
								.want_word = "ENOSYS"};
}

/* ── for people ── */

static void
print_call(const struct jail_call *c)
{
	char when[CONDITION_BYTES];
	if (c->number < 0)
		printf("  %-16s not on this kind of machine\n", c->name);
	else if (c->refuse)
		printf("  %-16s answers %s: %s\n", c->name, c->want_word, c->reason);
	else if (condition(c, when)[0])
		printf("  %-16s if %s: %s\n", c->name, when, c->reason);
	else
		printf("  %-16s %s\n", c->name, c->reason);
}

static void
print_calls(const struct jail_spec *s, bool refused)
{
	struct jail_call threads[2];
	for (size_t i = 0; i < s->calls_n; i++)
		if ((s->calls[i].refuse != 0) == refused)
			print_call(&s->calls[i]);
	if (!s->threads_later)
		return;
	thread_rows(s, threads);
	print_call(&threads[refused]);
}

static bool
refuses(const struct jail_spec *s)
{
	bool any = s->threads_later;
	for (size_t i = 0; i < s->calls_n; i++)
		any = any || s->calls[i].refuse;
	return any;
}

void
jail_rows_print(const struct run *r, enum process p, const struct jail_spec *s)
{
	char path[PATH_BYTES];
	if (!s) {
		puts("\nIt has no filter and no paths of its own: it starts the others and opens what each of them may use, so "
			 "it "
			 "has\nthe users and groups to give (setuid, setgid) and nothing else of root. The unit limits its calls.");
		return;
	}
	printf("\nSystem calls: %u; any other ends the process\n", jail_count(s));
	print_calls(s, false);
	if (refuses(s))
		puts("\nCalls that fail instead");
	if (refuses(s))
		print_calls(s, true);
	printf("\nPaths (Landlock)%s\n", allows(s, "openat") ? "" : "; it has no call to open them with");
	for (size_t i = 0; i < s->paths_n; i++)
		printf("  %-5s  %s: %s\n", s->paths[i].write ? "write" : "read", jail_rows_path(r, p, &s->paths[i], path),
			   s->paths[i].reason);
	printf("\nNetwork: %s%s%s\n", jail_rows_network(s), s->tcp_reason ? ": " : "", s->tcp_reason ? s->tcp_reason : "");
}

/* ── for programs ── */

static json_t *
call_json(const struct jail_call *c)
{
	char when[CONDITION_BYTES];
	json_t *doc = json_pack("{ss ss}", "call", c->name, "reason", c->reason);
	if (c->refuse)
		json_object_set_new(doc, "answers", json_string(c->want_word));
	else
		json_object_set_new(doc, "condition", json_string(condition(c, when)));
	return doc;
}

void
jail_rows_json(const struct run *r, enum process p, const struct jail_spec *s, json_t *doc)
{
	char path[PATH_BYTES];
	struct jail_call threads[2];
	json_t *calls = json_array(), *refused = json_array(), *paths = json_array();
	for (size_t i = 0; s && i < s->calls_n; i++)
		if (s->calls[i].number >= 0)
			json_array_append_new(s->calls[i].refuse ? refused : calls, call_json(&s->calls[i]));
	if (s && s->threads_later) {
		thread_rows(s, threads);
		json_array_append_new(calls, call_json(&threads[0]));
		json_array_append_new(refused, call_json(&threads[1]));
	}
	for (size_t i = 0; s && i < s->paths_n; i++)
		json_array_append_new(paths, json_pack("{ss ss ss}", "path", jail_rows_path(r, p, &s->paths[i], path), "right",
											   s->paths[i].write ? "write" : "read", "reason", s->paths[i].reason));
	json_object_set_new(doc, "calls", calls);
	json_object_set_new(doc, "refused_calls", refused);
	json_object_set_new(doc, "paths", paths);
}
