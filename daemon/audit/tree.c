#include "daemon/audit/tree.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

void
tree_leaf_hash(const void *record, size_t bytes, uint8_t out[HASH_BYTES])
{
	crypto_hash_sha256_state s;

	crypto_hash_sha256_init(&s);
	crypto_hash_sha256_update(&s, (const uint8_t[]){0x00}, 1);
	crypto_hash_sha256_update(&s, record, bytes);
	crypto_hash_sha256_final(&s, out);
}

void
tree_node_hash(const uint8_t left[HASH_BYTES], const uint8_t right[HASH_BYTES], uint8_t out[HASH_BYTES])
{
	uint8_t both[1 + 2 * HASH_BYTES] = {0x01};

	memcpy(both + 1, left, HASH_BYTES);
	memcpy(both + 1 + HASH_BYTES, right, HASH_BYTES);
	crypto_hash_sha256(out, both, sizeof(both));
}

static unsigned
nodes_of(uint64_t size)
{
	return (unsigned)__builtin_popcountll(size);
}

void
tree_append(struct tree *t, const uint8_t leaf_hash[HASH_BYTES])
{
	unsigned n = nodes_of(t->size);
	uint8_t hash[HASH_BYTES];

	assert(t->size < INT64_MAX);
	memcpy(hash, leaf_hash, HASH_BYTES);
	/* like a carry: every complete pair becomes its parent */
	for (uint64_t carry = t->size; carry & 1; carry >>= 1)
		tree_node_hash(t->frontier[--n], hash, hash);
	memcpy(t->frontier[n], hash, HASH_BYTES);
	t->size++;
}

void
tree_root(const struct tree *t, uint8_t out[HASH_BYTES])
{
	unsigned n = nodes_of(t->size);

	if (n == 0) {
		crypto_hash_sha256(out, (const uint8_t *)"", 0);
		return;
	}
	memcpy(out, t->frontier[--n], HASH_BYTES);
	while (n > 0)
		tree_node_hash(t->frontier[--n], out, out);
}

size_t
tree_frontier(const struct tree *t, uint8_t out[FRONTIER_MAX * HASH_BYTES])
{
	size_t bytes = nodes_of(t->size) * (size_t)HASH_BYTES;

	memcpy(out, t->frontier, bytes);
	return bytes;
}

enum err
tree_restore(uint64_t size, const uint8_t *frontier, size_t bytes, struct tree *out)
{
	if (size > INT64_MAX || bytes != nodes_of(size) * (size_t)HASH_BYTES)
		return ERR_FILE_FORM;
	memset(out, 0, sizeof(*out));
	out->size = size;
	if (bytes > 0)
		memcpy(out->frontier, frontier, bytes);
	return ERR_OK;
}

/* ── proofs ── */

struct prover {
	tree_hash_fn hash;
	void *arg;
	uint8_t (*proof)[HASH_BYTES];
	size_t n;
};

uint64_t
tree_split(uint64_t n)
{
	return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

/* Appends the root of leaves [first, end) to the proof. */
static enum err
add_range(struct prover *p, uint64_t first, uint64_t end)
{
	struct tree t = {.size = 0};
	uint8_t hash[HASH_BYTES];
	enum err e;

	assert(p->n < PROOF_MAX);
	for (uint64_t i = first; i < end; i++) {
		e = p->hash(p->arg, i, hash);
		if (e)
			return e;
		tree_append(&t, hash);
	}
	tree_root(&t, p->proof[p->n++]);
	return ERR_OK;
}

/* The proof is found from the root downwards, and written from the leaf upwards. */
static void
reverse(uint8_t (*proof)[HASH_BYTES], size_t n)
{
	uint8_t kept[HASH_BYTES];

	for (size_t i = 0; i < n / 2; i++) {
		memcpy(kept, proof[i], HASH_BYTES);
		memcpy(proof[i], proof[n - 1 - i], HASH_BYTES);
		memcpy(proof[n - 1 - i], kept, HASH_BYTES);
	}
}

enum err
tree_inclusion(uint64_t index, uint64_t size, tree_hash_fn hash, void *arg, uint8_t proof_out[PROOF_MAX][HASH_BYTES],
			   size_t *n_out)
{
	struct prover p = {.hash = hash, .arg = arg, .proof = proof_out};
	uint64_t first = 0, end = size;
	enum err e;

	if (index >= size || size > INT64_MAX)
		return ERR_OUT_OF_RANGE;
	while (end - first > 1) {
		uint64_t middle = first + tree_split(end - first);
		if (index < middle) {
			e = add_range(&p, middle, end);
			end = middle;
		} else {
			e = add_range(&p, first, middle);
			first = middle;
		}
		if (e)
			return e;
	}
	reverse(proof_out, p.n);
	*n_out = p.n;
	return ERR_OK;
}

enum err
tree_consistency(uint64_t old_size, uint64_t size, tree_hash_fn hash, void *arg,
				 uint8_t proof_out[PROOF_MAX][HASH_BYTES], size_t *n_out)
{
	struct prover p = {.hash = hash, .arg = arg, .proof = proof_out};
	uint64_t first = 0, end = size;
	enum err e = ERR_OK;

	if (old_size > size || size > INT64_MAX)
		return ERR_OUT_OF_RANGE;
	*n_out = 0;
	if (old_size == 0 || old_size == size)
		return ERR_OK;
	while (end != old_size) {
		uint64_t middle = first + tree_split(end - first);
		if (old_size <= middle) {
			e = add_range(&p, middle, end);
			end = middle;
		} else {
			e = add_range(&p, first, middle);
			first = middle;
		}
		if (e)
			return e;
	}
	/* what is left is the last complete subtree of the old tree; when that is all of it, the verifier has it: the old
	 * root */
	if (first > 0) {
		e = add_range(&p, first, end);
		if (e)
			return e;
	}
	reverse(p.proof, p.n);
	*n_out = p.n;
	return ERR_OK;
}

/* RFC 9162 2.1.3.2 (the same proofs as RFC 6962, with the verifier written out). */
enum err
tree_check_inclusion(uint64_t index, uint64_t size, const uint8_t leaf[HASH_BYTES], const uint8_t (*proof)[HASH_BYTES],
					 size_t n, const uint8_t root[HASH_BYTES])
{
	uint64_t at = index, last = size - 1;
	uint8_t hash[HASH_BYTES];

	if (index >= size || n > PROOF_MAX)
		return ERR_VERIFY_FAILED;
	memcpy(hash, leaf, HASH_BYTES);
	for (size_t i = 0; i < n; i++) {
		if (last == 0)
			return ERR_VERIFY_FAILED;
		if ((at & 1) || at == last) {
			tree_node_hash(proof[i], hash, hash);
			for (; !(at & 1) && at != 0; last >>= 1)
				at >>= 1;
		} else {
			tree_node_hash(hash, proof[i], hash);
		}
		at >>= 1;
		last >>= 1;
	}
	return last == 0 && sodium_memcmp(hash, root, HASH_BYTES) == 0 ? ERR_OK : ERR_VERIFY_FAILED;
}

/* RFC 9162 2.1.4.2. */
enum err
tree_check_consistency(uint64_t old_size, const uint8_t old_root[HASH_BYTES], uint64_t size,
					   const uint8_t root[HASH_BYTES], const uint8_t (*proof)[HASH_BYTES], size_t n)
{
	uint64_t at = old_size - 1, last = size - 1;
	uint8_t old[HASH_BYTES], new[HASH_BYTES];
	const bool whole = (old_size & (old_size - 1)) == 0; /* the old tree is one complete subtree */
	size_t i = 0;

	if (old_size > size || n > PROOF_MAX)
		return ERR_VERIFY_FAILED;
	if (old_size == 0)
		return n == 0 ? ERR_OK : ERR_VERIFY_FAILED;
	if (old_size == size)
		return n == 0 && sodium_memcmp(old_root, root, HASH_BYTES) == 0 ? ERR_OK : ERR_VERIFY_FAILED;
	if (n == 0)
		return ERR_VERIFY_FAILED;
	for (; at & 1; last >>= 1)
		at >>= 1;
	memcpy(old, whole ? old_root : proof[i++], HASH_BYTES);
	memcpy(new, old, HASH_BYTES);
	for (; i < n; i++) {
		if (last == 0)
			return ERR_VERIFY_FAILED;
		if ((at & 1) || at == last) {
			tree_node_hash(proof[i], old, old);
			tree_node_hash(proof[i], new, new);
			for (; !(at & 1) && at != 0; last >>= 1)
				at >>= 1;
		} else {
			tree_node_hash(new, proof[i], new);
		}
		at >>= 1;
		last >>= 1;
	}
	if (last != 0 || sodium_memcmp(old, old_root, HASH_BYTES) != 0 || sodium_memcmp(new, root, HASH_BYTES) != 0)
		return ERR_VERIFY_FAILED;
	return ERR_OK;
}
