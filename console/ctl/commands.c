#include "console/ctl/commands.h"

#define CMD(id) extern const struct command cmd_##id;
#include "console/ctl/commands.def"
#undef CMD

static const struct command *const commands[] = {
#define CMD(id) &cmd_##id,
#include "console/ctl/commands.def"
#undef CMD
	NULL};

const struct command *const *
commands_all(void)
{
	return commands;
}
