#include "daemon/desk/members.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

static bool
named_in(const struct group *g, const char *name)
{
	for (char **member = g->gr_mem; *member; member++)
		if (strcmp(*member, name) == 0)
			return true;
	return false;
}

enum err
members_read(struct members *m, const char *group_file, const char *passwd_file, const char *group)
{
	enum err e = ERR_OK;
	const struct group *g;
	const struct passwd *user;
	FILE *groups = fopen(group_file, "re"), *users = fopen(passwd_file, "re");

	if (!groups || !users) {
		e = ERR_FILE_MISSING;
		goto out;
	}
	m->count = 0;
	while ((g = fgetgrent(groups)) != NULL && strcmp(g->gr_name, group) != 0)
		;
	/* the group stays in its static room: fgetpwent has a room of its own */
	while (g && (user = fgetpwent(users)) != NULL) {
		if (user->pw_gid != g->gr_gid && !named_in(g, user->pw_name))
			continue;
		if (m->count == MEMBERS_MAX) {
			e = ERR_LIMIT;
			break;
		}
		m->uids[m->count++] = user->pw_uid;
	}
out:
	if (groups)
		fclose(groups);
	if (users)
		fclose(users);
	return e;
}

bool
members_has(const struct members *m, uint32_t uid)
{
	if (uid == 0 || uid == m->owner)
		return true;
	for (size_t i = 0; i < m->count; i++)
		if (m->uids[i] == uid)
			return true;
	return false;
}
