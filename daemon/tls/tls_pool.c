#include "daemon/tls/tls_pool.h"

#include <event2/event.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define STACK_BYTES (256u << 10)

struct line {
	struct tls_errand *first, *last;
};

static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct line waiting, finished; /* both under the lock */
	struct event *woken;
	int wake_fd;
	bool runs;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .wake_fd = -1};

static void
push(struct line *l, struct tls_errand *e)
{
	e->next = NULL;
	if (l->last)
		l->last->next = e;
	else
		l->first = e;
	l->last = e;
}

static struct tls_errand *
pull(struct line *l)
{
	struct tls_errand *e = l->first;

	if (!e)
		return NULL;
	l->first = e->next;
	if (!l->first)
		l->last = NULL;
	return e;
}

static void *
run(void *arg)
{
	const uint64_t one = 1;

	(void)arg;
	pthread_mutex_lock(&pool.lock);
	for (;;) {
		struct tls_errand *e = pull(&pool.waiting);

		if (!e) {
			pthread_cond_wait(&pool.more, &pool.lock);
			continue;
		}
		pthread_mutex_unlock(&pool.lock);
		e->work(e->arg);
		pthread_mutex_lock(&pool.lock);
		push(&pool.finished, e);
		/* it counts: a full counter would mean 2^64 unseen wake-ups */
		(void)!write(pool.wake_fd, &one, sizeof(one));
	}
	return NULL;
}

static void
on_woken(evutil_socket_t fd, short what, void *arg)
{
	struct tls_errand *e;
	uint64_t n;

	(void)what, (void)arg;
	(void)!read((int)fd, &n, sizeof(n));
	do {
		pthread_mutex_lock(&pool.lock);
		e = pull(&pool.finished);
		pthread_mutex_unlock(&pool.lock);
		if (e)
			e->back(e->arg);
	} while (e);
}

enum err
tls_pool_open(struct event_base *base)
{
	pool.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (pool.wake_fd < 0 || !(pool.woken = event_new(base, pool.wake_fd, EV_READ | EV_PERSIST, on_woken, NULL)) ||
		event_add(pool.woken, NULL) != 0)
		return ERR_MEMORY;
	return ERR_OK;
}

enum err
tls_pool_start(void)
{
	pthread_attr_t attributes;

	/*
	 * One heap for both threads: when glibc gives back a second heap's memory it opens /proc/sys/vm/overcommit_memory,
	 * and the jail kills for that. (The sanitizers' allocator has no such setting, and no jail.)
	 */
	(void)mallopt(M_ARENA_MAX, 1);
	if (pthread_attr_init(&attributes) != 0 || pthread_attr_setstacksize(&attributes, STACK_BYTES) != 0 ||
		pthread_create(&pool.thread, &attributes, run, NULL) != 0)
		return ERR_MEMORY;
	pthread_attr_destroy(&attributes);
	pool.runs = true;
	return ERR_OK;
}

bool
tls_pool_runs(void)
{
	return pool.runs;
}

void
tls_pool_lend(struct tls_errand *e)
{
	pthread_mutex_lock(&pool.lock);
	push(&pool.waiting, e);
	pthread_cond_signal(&pool.more);
	pthread_mutex_unlock(&pool.lock);
}
