/*
 * group — group commit: every command of one turn of the loop in one transaction.
 * Invariants: nothing is answered before COMMIT; a command looks at everything before it writes its first row, so one
 *   that is refused has written none, and its leaves are taken back; should one fail after a write all the same, or the
 *   batch can't be written, every member is told ERR_AUDIT_AWAY, without a body, and nothing of it happened. An effect
 *   on memory (a held code, a wipe) runs in `after` only. (Savepoints would do the same at the price of a copy of each
 *   page that a command touches.)
 * Source: design 40 (where the tree is).
 */
#ifndef VAULT_GROUP_H
#define VAULT_GROUP_H

#include "daemon/wire/peer.h"
#include "vault/vault.h"

#define GROUP_MEMBERS_MAX 256

struct member {
	struct call *call; /* NULL: a command of our own */
	enum err e;        /* what it will be answered */
	void *rep;         /* the answer's struct, owned, wiped when freed */
	/*
	 * Runs once after COMMIT or its failure, with m->e final but for what it changes itself. It may take m->call (set
	 * it NULL) and answer later. state is the command's own and freed by mem_free after it.
	 */
	void (*after)(struct vault *v, struct member *m);
	void *state;
};

struct group_command {
	size_t rep_bytes;  /* sizeof its sp_…_rep */
	bool refusal_body; /* its refusals carry rep too; all others go out without a body, whatever act had filled in */
	/* Look, then write. req is borrowed for the call. */
	enum err (*act)(struct vault *v, const void *req, struct member *m);
	/* Leave what a refusal leaves. May be NULL. */
	void (*deny)(struct vault *v, const void *req, enum err why);
};

/* What the process does about the batch; the tests give others. */
struct group_hooks {
	void (*reply)(struct call *call, enum err e, const void *rep);
	/* ERR_OK after a commit; ERR_DISK_FULL or ERR_IO after a batch that could not be written. */
	void (*written)(struct vault *v, enum err e, size_t members, int64_t took_us);
};

enum err group_new(const struct group_hooks *hooks, struct group **out) MUST;
void group_free(struct group *b); /* empty */
/* group_run: act now, answer at group_commit. call NULL: no answer. req and state are borrowed until it returns. */
void group_run(struct vault *v, struct call *call, const struct group_command *c, const void *req);
/* Everything since the last commit. ERR_OK (also with nothing to do) · ERR_AUDIT_AWAY. */
enum err group_commit(struct vault *v);

#endif
