/* Where the PIN is after init: a credential of systemd, sealed to this host, and never a file of ours. */
#include "console/ctl/init_live.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "console/ctl/program.h"
#include "daemon/base/mem.h"

#define STORE    "/etc/credstore.encrypted"
#define SEALED   STORE "/hsm-pin"
#define UNIT_DIR "/etc/systemd/system/sallyport.service.d"
#define DROP_IN  UNIT_DIR "/10-init.conf"
#define CREDS    "/usr/bin/systemd-creds"

static enum err
make_directory(const char *path, unsigned mode)
{
	return mkdir(path, (mode_t)mode) == 0 || errno == EEXIST ? ERR_OK
		   : errno == ENOSPC                                 ? ERR_DISK_FULL
															 : ERR_PERMISSION;
}

/* The unit gets the sealed credential; what the module writes elsewhere must be writable for the unit too. */
static enum err
tell_unit(const struct making *m)
{
	static const char *const reload[] = {"/usr/bin/systemctl", "daemon-reload", NULL};
	const char *writes = ctl_flag(m->run, "--module-writes");
	char text[512];
	int n = snprintf(text, sizeof text,
					 "# made by sallyport init\n[Service]\nLoadCredentialEncrypted=hsm-pin:" SEALED "\n%s%s%s",
					 writes ? "ReadWritePaths=" : "", writes ? writes : "", writes ? "\n" : "");
	enum err e = n > 0 && (size_t)n < sizeof text ? make_directory(UNIT_DIR, 0755) : ERR_OUT_OF_RANGE;
	if (e == ERR_OK)
		e = ctl_write_file(DROP_IN, text, (size_t)n, 0644);
	return e == ERR_OK && program_feed(reload, NULL, 0) != 0 ? ERR_IO : e;
}

enum err
init_pin_seal(struct making *m)
{
	static const char *const seal[] = {CREDS, "--name=hsm-pin", "encrypt", "-", SEALED ".new", NULL};
	struct sigaction quiet = {.sa_handler = SIG_IGN}, before;

	if (access(CREDS, X_OK) != 0)
		return making_fail(m, ERR_NOT_SUPPORTED,
						   "there is no systemd-creds on this host: run init without --pin-credential");
	enum err e = make_directory(STORE, 0700);
	if (e != ERR_OK)
		return e;
	/* it does not replace a file; one that dies early must not take us with it */
	unlink(SEALED ".new");
	sigaction(SIGPIPE, &quiet, &before);
	int status = program_feed(seal, m->pin->bytes, m->pin->len);
	sigaction(SIGPIPE, &before, NULL);
	if (status != 0)
		return making_fail(m, ERR_IO, "systemd-creds could not seal the PIN to this host (exit %d)", status);
	if (chmod(SEALED ".new", 0600) != 0 || rename(SEALED ".new", SEALED) != 0)
		return ERR_IO;
	return tell_unit(m);
}

void
init_pin_tell(const struct making *m)
{
	const char *dir = m->run->paths.dir, *writes = ctl_flag(m->run, "--module-writes");

	if (ctl_flag(m->run, "--pin-credential")) {
		printf("The PIN is sealed to this host in " SEALED "; the service gets it by\n" DROP_IN ".\n\n"
			   "next: systemctl start sallyport\n");
		return;
	}
	if (dir[0]) {
		printf("The PIN was not kept. The appliance stays sealed unless it gets it: the first line of a file hsm-pin,\n"
			   "readable by who starts it alone, in the directory that CREDENTIALS_DIRECTORY names.\n\n"
			   "next: CREDENTIALS_DIRECTORY=… sallyportd --dir %s\n",
			   dir);
		return;
	}
	printf("The PIN was not kept, and without it the service stays sealed. Seal it to this host (you are asked for "
		   "it):\n\n"
		   "  install -d -m 0700 " STORE "\n"
		   "  systemd-ask-password -n 'PIN of the HSM:' | systemd-creds --name=hsm-pin encrypt - " SEALED "\n"
		   "  install -d " UNIT_DIR "\n"
		   "  printf '[Service]\\nLoadCredentialEncrypted=hsm-pin:" SEALED "\\n%s%s%s' >" DROP_IN "\n"
		   "  systemctl daemon-reload\n\n"
		   "next: the five lines above, then systemctl start sallyport\n",
		   writes ? "ReadWritePaths=" : "", writes ? writes : "", writes ? "\\n" : "");
}
