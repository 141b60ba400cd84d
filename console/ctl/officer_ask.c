/* An officer's key for a command: a locked file's passphrase is asked for, and a wrong one asks again. */
#include "console/ctl/hidden.h"
#include "console/ctl/officer.h"
#include "console/ctl/officer_ask.h"

#define TRIES 3

enum err
officer_ask(const struct run *r, const char *path, struct officer *out)
{
	enum err e = ERR_OFFICER_PASSPHRASE;
	bool once = ctl_flag(r, "--passphrase-file") != NULL;

	if (!officer_locked(path))
		return officer_read(path, NULL, out);
	for (int i = 0; i < (once ? 1 : TRIES) && e == ERR_OFFICER_PASSPHRASE; i++) {
		struct secret *passphrase = NULL;
		e = hidden_get(r, "--passphrase-file",
					   i ? "That did not open the key. Passphrase: " : "The officer's passphrase: ", &passphrase);
		if (e == ERR_OK)
			e = officer_read(path, passphrase, out);
		secret_free(passphrase);
	}
	return e;
}
