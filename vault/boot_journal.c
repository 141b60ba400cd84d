#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "vault/boot.h"

/* A line: "AT_MS UID WHAT CODE OBJECT|- CHECK\n", CHECK being 8 bytes of SHA-256 over what stands before it, in hex. */
#define CHECK_BYTES 8
#define LINE_MAX_   288
#define JOURNAL_MAX (1024 * 1024)

static void
check_of(const char *text, size_t n, char out[2 * CHECK_BYTES + 1])
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256(hash, (const uint8_t *)text, n);
	str_hex(hash, CHECK_BYTES, out);
}

static enum err
of_errno(void)
{
	return errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_IO;
}

static enum err
encode(const struct boot_note *n, char out[LINE_MAX_], size_t *bytes_out)
{
	char check[2 * CHECK_BYTES + 1];
	if (!str_visible(n->what, sizeof n->what - 1) || !str_visible(n->code, sizeof n->code - 1) ||
		(*n->object && !str_visible(n->object, sizeof n->object - 1)) || n->at_ms < 0)
		return ERR_CHARACTERS;
	int len = snprintf(out, LINE_MAX_, "%" PRId64 " %" PRIu32 " %s %s %s ", n->at_ms, n->uid, n->what, n->code,
					   *n->object ? n->object : "-");
	check_of(out, (size_t)len, check);
	len += snprintf(out + len, LINE_MAX_ - (size_t)len, "%s\n", check);
	*bytes_out = (size_t)len;
	return ERR_OK;
}

/* One write, and back to where it was if it came out short: a torn line in the middle would hide all that follow. */
static enum err
append(int fd, const char *line, size_t n)
{
	off_t end = lseek(fd, 0, SEEK_END);
	if (end < 0)
		return ERR_IO;
	ssize_t put = write(fd, line, n);
	enum err e = put < 0 ? of_errno() : ERR_OK;
	if (e == ERR_OK && (size_t)put != n)
		e = ERR_DISK_FULL;
	if (e == ERR_OK && fdatasync(fd) != 0)
		e = of_errno();
	if (e != ERR_OK && ftruncate(fd, end) != 0)
		e = ERR_IO;
	return e;
}

/* A torn last line of an earlier cut goes before anything is added behind it. */
static enum err
drop_torn(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char last = '\n';
	while (end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n')
		end--;
	return end >= 0 && ftruncate(fd, end) == 0 ? ERR_OK : ERR_IO;
}

enum err
boot_journal_add(const char *path, const struct boot_note *n)
{
	char line[LINE_MAX_];
	size_t bytes;
	enum err e = encode(n, line, &bytes);
	if (e != ERR_OK)
		return e;
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return of_errno();
	/* sealed for weeks under attack: the journal is bounded, and no attempt is evaluated that it can't hold */
	if (lseek(fd, 0, SEEK_END) > JOURNAL_MAX)
		e = ERR_DISK_FULL;
	if (e == ERR_OK)
		e = drop_torn(fd);
	if (e == ERR_OK)
		e = append(fd, line, bytes);
	(void)close(fd);
	return e;
}

static enum err
take_field(char **at, char *out, size_t size)
{
	char *gap = strchr(*at, ' ');
	if (!gap)
		return ERR_FILE_FORM;
	*gap = 0;
	enum err e = str_visible(*at, size - 1) ? str_set(out, size, *at) : ERR_FILE_FORM;
	*at = gap + 1;
	return e;
}

/* line ends in NUL where its line feed was. */
static enum err
decode(char *line, struct boot_note *out)
{
	char at[24], uid[12], check[2 * CHECK_BYTES + 1];
	uint64_t number;
	const char *last = strrchr(line, ' ');
	memset(out, 0, sizeof *out);
	if (!last)
		return ERR_FILE_FORM;
	check_of(line, (size_t)(last + 1 - line), check);
	if (strcmp(last + 1, check) != 0)
		return ERR_FILE_FORM;
	if (take_field(&line, at, sizeof at) != ERR_OK || take_field(&line, uid, sizeof uid) != ERR_OK ||
		take_field(&line, out->what, sizeof out->what) != ERR_OK ||
		take_field(&line, out->code, sizeof out->code) != ERR_OK ||
		take_field(&line, out->object, sizeof out->object) != ERR_OK)
		return ERR_FILE_FORM;
	if (strcmp(out->object, "-") == 0)
		*out->object = 0;
	if (str_decimal(at, INT64_MAX, &number) != ERR_OK)
		return ERR_FILE_FORM;
	out->at_ms = (int64_t)number;
	if (str_decimal(uid, UINT32_MAX, &number) != ERR_OK)
		return ERR_FILE_FORM;
	out->uid = (uint32_t)number;
	return ERR_OK;
}

static enum err
read_all(int fd, char *text, size_t room, size_t *n_out)
{
	size_t n = 0;
	for (;;) {
		ssize_t got = read(fd, text + n, room - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ERR_IO;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*n_out = n;
	return ERR_OK;
}

enum err
boot_journal_read(const char *path, boot_note_fn each, void *arg, size_t *count_out)
{
	const size_t room = JOURNAL_MAX + 2 * LINE_MAX_;
	struct boot_note note;
	size_t n = 0;
	*count_out = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? ERR_OK : ERR_IO;
	char *text = mem_new(1, room + 1);
	enum err e = text ? read_all(fd, text, room, &n) : ERR_MEMORY;
	(void)close(fd);
	if (e == ERR_OK && memchr(text, 0, n))
		e = ERR_FILE_FORM;
	for (char *at = text, *end; e == ERR_OK && (end = strchr(at, '\n')); at = end + 1) {
		*end = 0;
		e = decode(at, &note);
		if (e == ERR_OK)
			e = each(arg, &note);
		if (e == ERR_OK)
			(*count_out)++;
	}
	mem_free(text);
	return e;
}

enum err
boot_journal_clear(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? ERR_OK : ERR_IO;
	enum err e = ftruncate(fd, 0) == 0 && fsync(fd) == 0 ? ERR_OK : ERR_IO;
	(void)close(fd);
	return e;
}
