#include "daemon/gate/source.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "daemon/base/mem.h"

#define BUCKETS 1024u

struct source {
	struct source *next;
	uint8_t key[16];
	unsigned n;
};

static struct source *buckets[BUCKETS];

static bool
is_loopback(const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, one[16] = {[15] = 1};

	return memcmp(ip, one, 16) == 0 || (memcmp(ip, mapped, 12) == 0 && ip[12] == 127);
}

void
source_name(const struct sockaddr_storage *from, struct source_name *out)
{
	*out = (struct source_name){.text = ""};
	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)from;

		out->key[10] = out->key[11] = 0xff;
		memcpy(out->key + 12, &v4->sin_addr, 4);
		out->loopback = is_loopback(out->key);
		(void)inet_ntop(AF_INET, &v4->sin_addr, out->text, sizeof(out->text));
	} else if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)from;

		memcpy(out->key, &v6->sin6_addr, 16);
		out->loopback = is_loopback(out->key);
		if (!IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
			memset(out->key + 8, 0, 8);
		(void)inet_ntop(AF_INET6, &v6->sin6_addr, out->text, sizeof(out->text));
	}
}

static struct source **
bucket_of(const uint8_t key[16])
{
	uint32_t hash = 2166136261u;

	for (unsigned k = 0; k < 16; k++)
		hash = (hash ^ key[k]) * 16777619u;
	return &buckets[hash % BUCKETS];
}

struct source *
source_enter(const struct source_name *name, unsigned most)
{
	struct source **bucket = bucket_of(name->key), *s;

	for (s = *bucket; s && memcmp(s->key, name->key, 16) != 0; s = s->next)
		;
	if (!s) {
		if (!(s = mem_new(1, sizeof(*s))))
			return NULL;
		memcpy(s->key, name->key, 16);
		s->next = *bucket;
		*bucket = s;
	}
	if (s->n < most) {
		s->n++;
		return s;
	}
	return NULL;
}

void
source_leave(struct source *s)
{
	struct source **at = bucket_of(s->key);

	if (--s->n > 0)
		return;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	mem_free(s);
}
