#include "daemon/wire/client.h"

#include <errno.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/buf.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/wire/frame.h"
#include "daemon/wire/hub.h"
#include "policy/schema/wire.pb.h"

struct client {
	int fd;
	bool greeted; /* desk's hello came */
	uint64_t id;
	struct buf in;
	uint8_t out[FRAME_BYTES_MAX];
};

/* A socket that is not there: is there an appliance at all? */
static enum err
missing(const char *path)
{
	char parent[sizeof((struct sockaddr_un *)NULL)->sun_path];
	struct stat st;
	if (str_set(parent, sizeof parent, path) != ERR_OK)
		return ERR_NOT_RUNNING;
	for (int up = 0; up < 2; up++) {
		char *slash = strrchr(parent, '/');
		if (!slash || slash == parent)
			return ERR_NOT_RUNNING;
		*slash = 0;
	}
	return stat(parent, &st) == 0 ? ERR_NOT_RUNNING : ERR_NOT_INITIALISED;
}

static enum err
connect_to(int fd, const char *path, int64_t until_ms)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (str_set(to.sun_path, sizeof to.sun_path, path) != ERR_OK)
		return ERR_NOT_RUNNING;
	for (;;) {
		if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
			return ERR_OK;
		switch (errno) {
		case EAGAIN: /* its backlog is full */
			if (clock_mono_ms() >= until_ms)
				return ERR_DEADLINE;
			poll(NULL, 0, 5);
			break;
		case EINTR:
			break;
		case EACCES:
		case EPERM:
			return ERR_PERMISSION;
		case ENOENT:
		case ENOTDIR:
			return missing(path);
		default:
			return ERR_NOT_RUNNING;
		}
	}
}

static enum err
wait_for(int fd, short events, int64_t until_ms)
{
	for (;;) {
		int64_t left = until_ms - clock_mono_ms();
		struct pollfd p = {fd, events, 0};
		if (left <= 0)
			return ERR_DEADLINE;
		int n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
		if (n > 0)
			return ERR_OK;
		if (n < 0 && errno != EINTR)
			return ERR_INTERNAL;
	}
}

static enum err
send_all(struct client *c, size_t bytes, int64_t until_ms)
{
	enum err e = ERR_OK;
	for (size_t done = 0; done < bytes && e == ERR_OK;) {
		ssize_t n = send(c->fd, c->out + done, bytes - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			done += (size_t)n;
		else if (errno == EAGAIN || errno == EINTR)
			e = wait_for(c->fd, POLLOUT, until_ms);
		else
			e = ERR_PEER_AWAY;
	}
	mem_wipe(c->out, bytes);
	return e;
}

static enum err
send_message(struct client *c, enum msg number, const void *req, uint64_t id, int64_t until_ms)
{
	const struct msg_row *row = msg_row_of(number);
	pb_ostream_t out = pb_ostream_from_buffer(c->out + FRAME_HEADER_BYTES, row->bytes_max);
	if (!pb_encode(&out, row->request, req))
		return ERR_PROTOCOL;
	frame_write(c->out, number, false, ERR_OK, id, out.bytes_written);
	return send_all(c, FRAME_HEADER_BYTES + out.bytes_written, until_ms);
}

/* The next whole frame; it stays in the buffer until the caller eats it. */
static enum err
next_frame(struct client *c, struct frame *f, int64_t until_ms)
{
	for (;;) {
		uint8_t *at;
		enum err e = frame_read(buf_at(&c->in), c->in.len, PROCESS_DESK, PROCESS_OFFICER, f);
		if (e != ERR_OK || f->bytes)
			return e;
		if ((e = wait_for(c->fd, POLLIN, until_ms)) != ERR_OK || (e = buf_room(&c->in, 16384, &at)) != ERR_OK)
			return e;
		ssize_t n = recv(c->fd, at, 16384, MSG_DONTWAIT);
		if (n > 0)
			buf_added(&c->in, (size_t)n);
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			/* root is never turned away: this desk is only just coming or going */
			return c->greeted ? ERR_PEER_AWAY : geteuid() == 0 ? ERR_NOT_RUNNING : ERR_PERMISSION;
	}
}

/* Desk says hello first; a refusal stands in its epoch (proc_listen). */
static enum err
take_hello(struct client *c, int64_t until_ms)
{
	struct frame f;
	sp_hello_req hello = sp_hello_req_init_zero;
	enum err e = next_frame(c, &f, until_ms);
	if (e != ERR_OK)
		return e;
	pb_istream_t in = pb_istream_from_buffer(f.body, f.body_bytes);
	if (f.number != MSG_hello || !pb_decode(&in, sp_hello_req_fields, &hello))
		return ERR_PROTOCOL;
	buf_eat(&c->in, f.bytes);
	c->greeted = true;
	return hello.epoch < ERR_MAX ? (enum err)hello.epoch : ERR_PROTOCOL;
}

enum err
client_open(const char *socket_path, uint32_t deadline_ms, struct client **out)
{
	int64_t until = clock_mono_ms() + deadline_ms;
	sp_hello_req hello = {.process = PROCESS_OFFICER, .build_id = {.size = HUB_BUILD_ID_BYTES}};
	struct client *c = mem_new(1, sizeof *c);
	enum err e = ERR_MEMORY;
	*out = NULL;
	if (!c)
		return ERR_MEMORY;
	buf_init(&c->in, 4 * FRAME_BYTES_MAX);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || (e = connect_to(c->fd, socket_path, until)) != ERR_OK)
		goto out;
	hub_build_id(hello.build_id.bytes);
	e = send_message(c, MSG_hello, &hello, 0, until);
	/* a refusal may have closed the socket under our hello: its reason can still be read */
	if (e == ERR_OK || e == ERR_PEER_AWAY)
		e = take_hello(c, until);
out:
	if (e != ERR_OK) {
		client_close(c);
		return e;
	}
	*out = c;
	return ERR_OK;
}

void
client_close(struct client *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	buf_clear(&c->in);
	mem_free(c);
}

enum err
client_ask(struct client *c, enum msg number, const void *req, void *rep, uint32_t deadline_ms)
{
	const struct msg_row *row = msg_row_of(number);
	int64_t until = clock_mono_ms() + deadline_ms;
	struct frame f;
	if (!row || row->kind != MSG_KIND_ASK || !msg_allowed(number, PROCESS_OFFICER, PROCESS_DESK))
		return ERR_PROTOCOL;
	memset(rep, 0, row->reply_bytes);
	enum err e = send_message(c, number, req, ++c->id, until);
	while (e == ERR_OK && (e = next_frame(c, &f, until)) == ERR_OK) {
		bool ours = f.answer && f.id == c->id && f.number == (unsigned)number;
		bool late = f.answer && f.id < c->id; /* to an earlier question that we gave up */
		if (ours) {
			pb_istream_t in = pb_istream_from_buffer(f.body, f.body_bytes);
			e = pb_decode(&in, row->reply, rep) ? f.e : ERR_PROTOCOL;
		}
		buf_eat(&c->in, f.bytes);
		if (ours)
			return e;
		if (!late)
			return ERR_PROTOCOL;
	}
	return e;
}

int
client_fd(const struct client *c)
{
	return c->fd;
}
