/* The simulated issuer's books: whatever a file holds, it is read or refused, and what was read can be asked and added
 * to. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/courier/simbook.h"
#include "daemon/courier/simline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct simbook *b;
	const struct simbook_entry *entry;
	char path[32];
	sp_job_req job = sp_job_req_init_zero;
	struct simline line;
	char again[SIMLINE_BYTES_MAX];
	size_t n;

	if (simline_read((const char *)data, size, &line) == ERR_OK) {
		assert(simline_write(&line, again, &n) == ERR_OK);
		assert(n == size && memcmp(again, data, n) == 0);
	}
	int fd = memfd_create("books", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		__builtin_trap();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (simbook_open(path, &b) == ERR_OK) {
		job.kind = sp_JOB_AUTHORIZE;
		job.amount_minor = 5;
		memcpy(job.derived_key, "a-new-key-of-ours", 18);
		if (!simbook_find(b, job.derived_key, job.kind)) {
			uint32_t before = simbook_count(b);
			assert(simbook_add(b, &job, NULL, sp_OUTCOME_APPROVED, script_of_name(""), &entry) == ERR_OK);
			simbook_close(b);
			assert(simbook_open(path, &b) == ERR_OK && simbook_count(b) == before + 1);
		}
		simbook_close(b);
	}
	close(fd);
	return 0;
}
