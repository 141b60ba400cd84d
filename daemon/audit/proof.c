#include "daemon/audit/proof.h"

#include "daemon/base/mem.h"

/* A subtree beside the path from the root to the leaf. */
struct part {
	uint64_t first, end;
	struct tree tree;
};
struct proof {
	uint64_t size, at;
	size_t n;
	struct part parts[PROOF_MAX]; /* from the root downwards */
};

enum err
proof_new(uint64_t index, uint64_t size, struct proof **out)
{
	uint64_t first = 0, end = size;
	struct proof *p;

	if (index >= size || size > INT64_MAX)
		return ERR_OUT_OF_RANGE;
	p = mem_new(1, sizeof(*p));
	if (!p)
		return ERR_MEMORY;
	p->size = size;
	while (end - first > 1) {
		uint64_t middle = first + tree_split(end - first);
		struct part *beside = &p->parts[p->n++];
		if (index < middle) {
			beside->first = middle;
			beside->end = end;
			end = middle;
		} else {
			beside->first = first;
			beside->end = middle;
			first = middle;
		}
	}
	*out = p;
	return ERR_OK;
}

void
proof_free(struct proof *p)
{
	mem_free(p);
}

void
proof_leaf(struct proof *p, const uint8_t hash[HASH_BYTES])
{
	uint64_t at = p->at++;

	for (size_t i = 0; i < p->n; i++)
		if (at >= p->parts[i].first && at < p->parts[i].end) {
			tree_append(&p->parts[i].tree, hash);
			return;
		}
}

enum err
proof_end(const struct proof *p, uint8_t out[PROOF_MAX][HASH_BYTES], size_t *n_out)
{
	if (p->at < p->size)
		return ERR_OUT_OF_RANGE;
	/* a proof is written from the leaf upwards */
	for (size_t i = 0; i < p->n; i++)
		tree_root(&p->parts[i].tree, out[p->n - 1 - i]);
	*n_out = p->n;
	return ERR_OK;
}
