/*
 * app — what the console knows and which keys work: screens are one file and one row of screens.def each.
 * Invariants: the console only reads; what it shows is masked; help lists exactly what the dispatcher runs.
 */
#ifndef CONSOLE_TUI_APP_H
#define CONSOLE_TUI_APP_H

#include <stdbool.h>
#include <stdint.h>

#include "console/tui/latency.h"
#include "console/tui/view.h"
#include "daemon/base/err.h"
#include "policy/schema/wire.pb.h"

struct app;
struct client;

struct binding {
	int key;          /* a character, or a KEY_… */
	const char *show; /* as help shows it: "Enter" */
	const char *name; /* as typed after ':' */
	const char *what;
	void (*act)(struct app *a);
	bool (*works)(const struct app *a); /* NULL: always. What does not work now is neither listed nor run */
};

struct screen {
	const char *title;
	void (*fetch)(struct app *a);                /* ask desk for what is shown; at most a second */
	void (*draw)(struct app *a, struct view *v); /* lines of the body */
	const struct binding *bindings;              /* ends with {0}; may be NULL */
};

enum app_mode { MODE_SCREEN, MODE_HELP, MODE_FILTER, MODE_COMMAND };

#define SPARKS 40
struct app {
	char socket[128];
	struct client *client;
	enum err reached;                   /* of the last status */
	int screen, selected, scroll, rows; /* rows: how many the screen could select from */
	int beyond, room;                   /* lines of the body that did not fit, and how many did, when it was painted */
	int help_selected;
	bool open;         /* the selected row in full */
	uint64_t followed; /* the row that was selected when it was last drawn, and its place; 0: none */
	int followed_at;
	enum app_mode mode;
	char filter[64], typed[64];
	bool ascii, mouse, quit, color;
	int64_t fetched_mono_ms, at_ms;
	sp_status_rep status;
	sp_vault_facts_rep vault;
	sp_ledger_facts_rep ledger;
	uint32_t spark_auth[SPARKS], spark_tokens[SPARKS];
	uint64_t last_auth, last_tokens;
	int64_t last_mono_ms;
	struct latency auth_latency;
	char note[128]; /* one line above the footer */
};

const struct screen *const *app_screens(void); /* NULL-ended */
/* Body only; header and footer are app_header's and app_footer's. */
void app_draw(struct app *a, struct view *v);
void app_header(struct app *a, struct view *v);
void app_footer(struct app *a, struct view *v);
/* One key, from curses or from plain's lines. */
void app_key(struct app *a, int key);
/* A name after ':'; false when there is no such action. */
bool app_command(struct app *a, const char *name);
void app_fetch(struct app *a);
/* Does this row's text pass the filter? */
bool app_shows(const struct app *a, const char *text);
/*
 * Before the rows are drawn: names[n], one for each row that will be shown, never 0. What is selected stays selected
 * when rows come above it; the top row stays the top row, unless it is open. False: what is open is not among them any
 * more (it may still be shown).
 */
bool app_follow(struct app *a, const uint64_t *names, int n);
/* Ask desk; reconnects when it went away. */
enum err app_ask(struct app *a, int msg, const void *req, void *rep);
/* The bindings that work now, those of the screen first; returns how many. */
int app_bindings(const struct app *a, const struct binding *out[], int max);
uint64_t app_metric(const struct app *a, const char *name);

#endif
