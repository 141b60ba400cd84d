/*
 * logbook_bench [leaves] — a long log: how fast it grows, how long its checkpoint's proof, its opening and a reading
 * take. Targets: a checkpoint each second on a log of a million leaves in less than 5 ms.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/db/logbook.h"

#define BATCH 256

static struct db *d;
static struct logbook *b;
static char dir[] = "/tmp/sallyport-logbench-XXXXXX", path[64];

static void
must(enum err e, const char *what)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "%s: %s\n", what, err_code(e));
	exit(1);
}

static void
open_all(void)
{
	static const uint8_t key[32] = {1};
	must(db_open(path, key, NULL, &d), "open");
	must(db_migrate(d, &logbook_schema, 1), "migrate");
	must(logbook_open(d, "sallyport.bench/a/vault", "bench", "vault", &b), "logbook");
}

static void
batch(unsigned n)
{
	static const uint8_t cert[32] = {7};
	must(db_begin(d), "begin");
	for (unsigned i = 0; i < n; i++) {
		struct leaf l = {.event = EVENT_TOKENIZE,
						 .actor = ACTOR_CLIENT,
						 .actor_id = "demo",
						 .cert_sha256 = cert,
						 .ip = "192.0.2.77",
						 .request = "req_01M7Z03192880WA20PC2QBFWCC",
						 .object_id = "tok_94SEV045HXW9BBJJMGEA6T2W78",
						 .merchant = "demo",
						 .reason = "stored",
						 .key_id = "dek",
						 .key_generation = 1};
		must(logbook_add(b, &l, NULL), "add");
	}
	must(logbook_write(b), "write");
	must(db_commit(d), "commit");
	logbook_committed(b);
	must(db_between_batches(d), "between");
}

static void
checkpoint(uint64_t size)
{
	uint8_t proof[PROOF_MAX][HASH_BYTES], root[HASH_BYTES];
	size_t n;
	int64_t most = 0, all = 0;
	for (int i = 0; i < 200; i++) {
		uint64_t old = size - 1 - (uint64_t)rand() % (size / 2);
		int64_t start = clock_mono_us();
		must(logbook_root(b, size, root), "root");
		must(logbook_consistency(b, old, size, proof, &n), "proof");
		int64_t took = clock_mono_us() - start;
		all += took;
		most = took > most ? took : most;
	}
	printf("root and consistency proof   %6.2f ms mean, %.2f ms most\n", (double)all / 200e3, (double)most / 1e3);
}

static void
read_all(uint64_t size)
{
	struct buf out;
	uint32_t count = 0;
	uint64_t at = 0;
	int64_t start = clock_mono_us();
	buf_init(&out, 1 << 20);
	while (at < size) {
		must(logbook_read(b, at, 4096, 57344, &out, &count), "read");
		at += count;
		buf_reset(&out);
	}
	buf_clear(&out);
	printf("reading all                  %6.2f s\n", (double)(clock_mono_us() - start) / 1e6);
}

int
main(int argc, char **argv)
{
	uint64_t size = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	struct stat st;
	if (!mkdtemp(dir) || size < BATCH)
		return 2;
	snprintf(path, sizeof path, "%s/log.db", dir);
	open_all();
	int64_t start = clock_mono_us();
	for (uint64_t at = 0; at < size; at += BATCH)
		batch((unsigned)(size - at < BATCH ? size - at : BATCH));
	double s = (double)(clock_mono_us() - start) / 1e6;
	printf("leaves                       %6llu in %.1f s, %.0f a second in batches of %d\n", (unsigned long long)size,
		   s, (double)size / s, BATCH);
	checkpoint(size);
	read_all(size);
	logbook_close(b);
	db_close(d);
	start = clock_mono_us();
	open_all();
	printf("opening                      %6.2f ms\n", (double)(clock_mono_us() - start) / 1e3);
	checkpoint(size);
	if (stat(path, &st) == 0)
		printf("on the disk                  %6.0f bytes a leaf\n", (double)st.st_size / (double)size);
	logbook_close(b);
	db_close(d);
	unlink(path);
	rmdir(dir);
	return 0;
}
