/*
 * source — where connections come from: the address in the forms that are needed, and how many come from it.
 * Invariants: an IPv6 client is counted by its /64, which is what one subscriber gets; an address without connections
 *   takes no memory.
 */
#ifndef DAEMON_GATE_SOURCE_H
#define DAEMON_GATE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct source_name {
	uint8_t key[16]; /* what is counted: IPv4 mapped, or the /64 */
	char text[46];   /* "" for a family that is not the internet's */
	bool loopback;
};
void source_name(const struct sockaddr_storage *from, struct source_name *out);

struct source;
/* One connection more. NULL: there are `most` already, or no memory. */
struct source *source_enter(const struct source_name *name, unsigned most);
void source_leave(struct source *s);

#endif
