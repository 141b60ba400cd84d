/* RFC 6962 vectors, every proof of small trees, and tampering that must never verify. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "daemon/audit/proof.h"
#include "daemon/audit/tree.h"
#include "daemon/base/str.h"

#define LEAVES 70

static uint8_t hashes[LEAVES][HASH_BYTES];
static uint8_t roots[LEAVES + 1][HASH_BYTES];

/* The definition of RFC 6962 2.1, as it stands there: what tree.c is compared with. */
static void
define_root(size_t first, size_t n, uint8_t out[HASH_BYTES])
{
	uint8_t l[HASH_BYTES], r[HASH_BYTES];
	size_t k = 1;

	if (n == 1) {
		memcpy(out, hashes[first], HASH_BYTES);
		return;
	}
	while (k * 2 < n)
		k *= 2;
	define_root(first, k, l);
	define_root(first + k, n - k, r);
	tree_node_hash(l, r, out);
}

static enum err
give_hash(void *arg, uint64_t i, uint8_t out[HASH_BYTES])
{
	size_t *asked = arg;

	assert_true(i < LEAVES);
	memcpy(out, hashes[i], HASH_BYTES);
	(*asked)++;
	return ERR_OK;
}

static int
set_up(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return -1;
	for (unsigned i = 0; i < LEAVES; i++)
		tree_leaf_hash(&i, sizeof(i), hashes[i]);
	crypto_hash_sha256(roots[0], (const uint8_t *)"", 0);
	for (size_t n = 1; n <= LEAVES; n++)
		define_root(0, n, roots[n]);
	return 0;
}

static void
knows_the_published_roots(void **state)
{
	static const struct {
		const char *leaf;
		size_t bytes;
		const char *root;
	} rows[] = {
		{"", 0, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
		{"\x00", 1, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
		{"\x10", 1, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
		{"\x20\x21", 2, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
		{"\x30\x31", 2, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
		{"\x40\x41\x42\x43", 4, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
		{"\x50\x51\x52\x53\x54\x55\x56\x57", 8, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
		{"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16,
		 "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
	};
	struct tree t = {.size = 0};
	uint8_t hash[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];

	(void)state;
	tree_root(&t, hash);
	str_hex(hash, HASH_BYTES, hex);
	assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		tree_leaf_hash(rows[i].leaf, rows[i].bytes, hash);
		tree_append(&t, hash);
		tree_root(&t, hash);
		str_hex(hash, HASH_BYTES, hex);
		assert_string_equal(hex, rows[i].root);
	}
}

static void
frontier_gives_every_root_and_comes_back(void **state)
{
	struct tree t = {.size = 0}, back;
	uint8_t root[HASH_BYTES], bytes[FRONTIER_MAX * HASH_BYTES];

	(void)state;
	for (size_t n = 1; n <= LEAVES; n++) {
		tree_append(&t, hashes[n - 1]);
		size_t len = tree_frontier(&t, bytes);
		assert_int_equal(len, (size_t)__builtin_popcountll(n) * HASH_BYTES);
		assert_int_equal(tree_restore(n, bytes, len, &back), ERR_OK);
		tree_root(&back, root);
		assert_memory_equal(root, roots[n], HASH_BYTES);
		assert_int_equal(tree_restore(n, bytes, len - 1, &back), ERR_FILE_FORM);
		assert_int_equal(tree_restore(n, bytes, len + HASH_BYTES, &back), ERR_FILE_FORM);
	}
}

static void
every_inclusion_proof_verifies(void **state)
{
	uint8_t proof[PROOF_MAX][HASH_BYTES];
	size_t n, asked = 0;

	(void)state;
	for (size_t size = 1; size <= LEAVES; size++)
		for (size_t i = 0; i < size; i++) {
			assert_int_equal(tree_inclusion(i, size, give_hash, &asked, proof, &n), ERR_OK);
			assert_int_equal(tree_check_inclusion(i, size, hashes[i], proof, n, roots[size]), ERR_OK);
			/* at another place, in another tree, for another leaf: no */
			for (size_t j = 0; j < size; j++)
				if (j != i) {
					assert_int_not_equal(tree_check_inclusion(j, size, hashes[i], proof, n, roots[size]), ERR_OK);
					assert_int_not_equal(tree_check_inclusion(i, size, hashes[j], proof, n, roots[size]), ERR_OK);
				}
			if (n > 0)
				assert_int_not_equal(tree_check_inclusion(i, size, hashes[i], proof, n - 1, roots[size]), ERR_OK);
			assert_int_not_equal(tree_check_inclusion(i, size, hashes[i], proof, n + 1, roots[size]), ERR_OK);
		}
	assert_int_equal(tree_inclusion(3, 3, give_hash, &asked, proof, &n), ERR_OUT_OF_RANGE);
	assert_int_equal(tree_check_inclusion(0, 0, hashes[0], proof, 0, roots[0]), ERR_VERIFY_FAILED);
}

/* The proof that is made in passing is the one that is made by asking for leaves. */
static void
one_pass_gives_the_same_proof(void **state)
{
	uint8_t proof[PROOF_MAX][HASH_BYTES], passing[PROOF_MAX][HASH_BYTES];
	struct proof *p;
	size_t n, n_passing, asked = 0;

	(void)state;
	for (size_t size = 1; size <= LEAVES; size++)
		for (size_t i = 0; i < size; i++) {
			assert_int_equal(tree_inclusion(i, size, give_hash, &asked, proof, &n), ERR_OK);
			assert_int_equal(proof_new(i, size, &p), ERR_OK);
			for (size_t k = 0; k < size; k++) {
				assert_int_equal(proof_end(p, passing, &n_passing), ERR_OUT_OF_RANGE);
				proof_leaf(p, hashes[k]);
			}
			proof_leaf(p, hashes[0]); /* beyond the size: ignored */
			assert_int_equal(proof_end(p, passing, &n_passing), ERR_OK);
			assert_int_equal(n_passing, n);
			if (n > 0)
				assert_memory_equal(passing, proof, n * HASH_BYTES);
			proof_free(p);
		}
	assert_int_equal(proof_new(5, 5, &p), ERR_OUT_OF_RANGE);
}

static void
every_consistency_proof_verifies(void **state)
{
	uint8_t proof[PROOF_MAX][HASH_BYTES];
	size_t n, asked = 0;

	(void)state;
	for (size_t m = 0; m <= LEAVES; m++) {
		for (size_t size = m; size <= LEAVES; size++) {
			assert_int_equal(tree_consistency(m, size, give_hash, &asked, proof, &n), ERR_OK);
			assert_int_equal(tree_check_consistency(m, roots[m], size, roots[size], proof, n), ERR_OK);
			if (m == 0 || m == size)
				continue;
			for (size_t other = 0; other <= LEAVES; other++) {
				if (other != m)
					assert_int_not_equal(tree_check_consistency(m, roots[other], size, roots[size], proof, n), ERR_OK);
				if (other != size)
					assert_int_not_equal(tree_check_consistency(m, roots[m], size, roots[other], proof, n), ERR_OK);
			}
			assert_int_not_equal(tree_check_consistency(m, roots[m], size, roots[size], proof, n - 1), ERR_OK);
			assert_int_not_equal(tree_check_consistency(m, roots[m], size, roots[size], proof, n + 1), ERR_OK);
		}
	}
	assert_int_equal(tree_consistency(5, 4, give_hash, &asked, proof, &n), ERR_OUT_OF_RANGE);
	assert_int_not_equal(tree_check_consistency(5, roots[5], 4, roots[4], proof, 0), ERR_OK);
}

static void
a_flipped_bit_never_verifies(void **state)
{
	uint8_t proof[PROOF_MAX][HASH_BYTES];
	size_t n, asked = 0;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		size_t size = 2 + randombytes_uniform(LEAVES - 1), i = randombytes_uniform((uint32_t)size);
		bool inclusion = round & 1;
		if (!inclusion)
			i = 1 + randombytes_uniform((uint32_t)size - 1);
		assert_int_equal(inclusion ? tree_inclusion(i, size, give_hash, &asked, proof, &n)
								   : tree_consistency(i, size, give_hash, &asked, proof, &n),
						 ERR_OK);
		assert_true(n > 0);
		proof[randombytes_uniform((uint32_t)n)][randombytes_uniform(HASH_BYTES)] ^=
			(uint8_t)(1U << randombytes_uniform(8));
		assert_int_not_equal(inclusion ? tree_check_inclusion(i, size, hashes[i], proof, n, roots[size])
									   : tree_check_consistency(i, roots[i], size, roots[size], proof, n),
							 ERR_OK);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_published_roots),      cmocka_unit_test(frontier_gives_every_root_and_comes_back),
		cmocka_unit_test(every_inclusion_proof_verifies), cmocka_unit_test(every_consistency_proof_verifies),
		cmocka_unit_test(a_flipped_bit_never_verifies),   cmocka_unit_test(one_pass_gives_the_same_proof),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
