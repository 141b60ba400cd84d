#include "daemon/base/err.h"

struct row {
	const char *code, *category, *title, *next;
	int http;
	bool retryable;
	enum severity severity;
};

#define YES true
#define NO  false
static const struct row rows[ERR_MAX] = {
	[ERR_OK] = {"ok", "none", "Done", "nothing to do", 200, false, SEVERITY_INFO},
#define ERR(id, code, http, category, retryable, severity, title, next) \
	[ERR_##id] = {#code, #category, title, next, http, retryable, SEVERITY_##severity},
#include "policy/error.def"
#undef ERR
};

static const struct row *
row_of(enum err e)
{
	if ((unsigned)e >= ERR_MAX)
		e = ERR_INTERNAL;
	return &rows[e];
}

const char *
err_code(enum err e)
{
	return row_of(e)->code;
}

const char *
err_title(enum err e)
{
	return row_of(e)->title;
}

const char *
err_next(enum err e)
{
	return row_of(e)->next;
}

const char *
err_category(enum err e)
{
	return row_of(e)->category;
}

int
err_http(enum err e)
{
	return row_of(e)->http;
}

bool
err_retryable(enum err e)
{
	return row_of(e)->retryable;
}

enum severity
err_severity(enum err e)
{
	return row_of(e)->severity;
}

static const char *const runbooks[ERR_MAX] = {
#define RUNBOOK(id, page) [ERR_##id] = "sallyport-" #page,
#include "policy/runbook.def"
#undef RUNBOOK
};

const char *
err_runbook(enum err e)
{
	if ((unsigned)e < ERR_MAX && runbooks[e])
		return runbooks[e];
	return err_http(e) >= 500 ? "sallyport-operations" : "";
}
