/*
 * config_check — the configuration by form and by meaning, before it is in force: what conf_load finds, and those
 * checks of doctor's table that are about it. Invariants: all of it is found in one run; each finding stands at a file
 * and line, also one about a preset (the line that shows it, or the end of sallyport.conf); what could not be looked at
 * is told as that and never as well. Works without the daemon and as any user, as far as that user can see.
 */
#ifndef CONSOLE_CTL_CONFIG_CHECK_H
#define CONSOLE_CTL_CONFIG_CHECK_H

#include "console/ctl/ctl.h"
#include "console/ctl/doctor.h"

#define CONFIG_FINDINGS_MAX 128

enum finding_kind { FINDING_PROBLEM, FINDING_WARNING, FINDING_UNCHECKED };

struct finding {
	enum finding_kind kind;
	unsigned line;
	char file[DOCTOR_TEXT_BYTES], key[64];
	char problem[DOCTOR_TEXT_BYTES], allowed[2 * DOCTOR_TEXT_BYTES]; /* allowed: "" for what was not checked */
};

struct config_check {
	enum err e;      /* ERR_OK · ERR_CONFIG: see findings · why it could not be read: cause */
	char cause[400]; /* "" or the file that can't be read, and why */
	unsigned n, problems, unchecked, checks;
	struct finding findings[CONFIG_FINDINGS_MAX];
};

/* config_check_make(r, file): file: instead of sallyport.conf, NULL: that. NULL: no memory; else mem_free it. */
struct config_check *config_check_make(const struct run *r, const char *file);
/* "file:line: key: problem; allowed: …", cut to size. */
void config_check_text(const struct finding *f, char *out, size_t size);
/* The first problem as such a line; "" when there is none. */
void config_check_first(const struct config_check *c, char *out, size_t size);

#endif
