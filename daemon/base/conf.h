/*
 * conf — the one configuration file, every key from policy/config.def.
 * Invariants: a struct conf holds a valid value for every key; all errors of a file are found in one run, each with
 *   file:line and what is allowed; no key holds a secret.
 */
#ifndef DAEMON_BASE_CONF_H
#define DAEMON_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "daemon/base/err.h"

enum conf_key {
#define KEY(ID, name, type, preset, least, most, unit, reload, what) CONF_##ID,
#include "policy/config.def"
#undef KEY
	CONF_MAX
};

struct conf; /* heap; conf_free */

/* Presets only. NULL: no memory. */
struct conf *conf_new(void);
void conf_free(struct conf *c);
/*
 * conf_parse(c, file, text, bytes, problems)
 *   Read one file's text over what c holds. file is for messages. Each problem is one line in problems (may be NULL):
 *   "file:line: key: problem; allowed: …", with the nearest key for an unknown one.
 *   Returns ERR_OK · ERR_CONFIG (c keeps its old values for the keys in error) · ERR_MEMORY.
 */
enum err conf_parse(struct conf *c, const char *file, const char *text, size_t bytes, struct buf *problems) MUST;
/*
 * conf_load: sallyport.conf and then sallyport.conf.d/(any).conf in name order, from this directory; then what
 * contradicts (conf_rule). ERR_FILE_MISSING · ERR_PERMISSION · ERR_IO (each but the first with a line in problems) · as
 * conf_parse.
 */
enum err conf_load(struct conf *c, const char *directory, struct buf *problems) MUST;
/* As conf_load with this file in the place of the directory's sallyport.conf. */
enum err conf_load_instead(struct conf *c, const char *file, const char *directory, struct buf *problems) MUST;
/* The whole configuration as text that conf_parse reads back (what the monitor hands to its children). */
enum err conf_dump(const struct conf *c, struct buf *out) MUST;
/* The commented file with every key and its preset, as init writes it; values from c. */
enum err conf_write(const struct conf *c, struct buf *out) MUST;

const char *conf_text(const struct conf *c, enum conf_key k); /* any, as it was written */
int64_t conf_int(const struct conf *c, enum conf_key k);      /* INT, TIME in ms, SIZE in bytes */
bool conf_bool(const struct conf *c, enum conf_key k);
/* conf_address: the two parts of an ADDRESS value; the host without the brackets of IPv6. ERR_CONFIG. */
#define CONF_HOST_BYTES 46
#define CONF_PORT_BYTES 6
enum err conf_address(const char *text, char host[CONF_HOST_BYTES], char port[CONF_PORT_BYTES]) MUST;
/* conf_set: as if the line `name = value` had been read. ERR_CONFIG. */
enum err conf_set(struct conf *c, enum conf_key k, const char *value) MUST;
const char *conf_name(enum conf_key k);
/* What the key is for; whether a reload takes it over; which values it takes ("2 to 16"). */
const char *conf_what(enum conf_key k);
bool conf_live(enum conf_key k);
void conf_allowed(enum conf_key k, char *out, size_t out_bytes);
/*
 * conf_reload: take over from newer what a reload may change. Names of keys that differ but need a restart are added to
 * held (may be NULL), separated by spaces. ERR_MEMORY · ERR_LIMIT.
 */
enum err conf_reload(struct conf *c, const struct conf *newer, struct buf *held) MUST;
/* Where the value comes from: CONF_PRESET or "file:line". Borrowed. */
#define CONF_PRESET "preset"
const char *conf_origin(const struct conf *c, enum conf_key k);

#endif
