/*
 * key_residue — an attacker with root, the token and its PIN opens every wrapped key, and then looks for it in the
 * writable memory of the running processes. Usage: key_residue DIR PIN-FILE NAME:PID… Prints "WHAT KEY PROCESS COUNT"
 * for each root (what the HSM unwraps), each derived key and a control that must be found. Keys in memfd_secret memory
 * can't be read even so, and count as not found: that is what it is for.
 */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/secret.h"
#include "vault/boot.h"
#include "vault/hkdf.h"
#include "vault/hsm/p11.h"
#include "vault/hsm/wrap.h"

static struct boot boot;

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "key_residue: %s\n", what);
	exit(2);
}

static int
count(int pid, const uint8_t *bytes, size_t n)
{
	char path[64], line[512];
	int seen = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/maps", pid);
	FILE *maps = fopen(path, "r");
	(void)snprintf(path, sizeof path, "/proc/%d/mem", pid);
	int mem = open(path, O_RDONLY | O_CLOEXEC);
	need(maps && mem >= 0, "a process's memory can't be read");
	while (fgets(line, sizeof line, maps)) {
		unsigned long from, to;
		char rights[5];
		if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) != 3 || rights[1] != 'w')
			continue;
		uint8_t *copy = malloc(to - from);
		ssize_t got = copy ? pread(mem, copy, to - from, (off_t)from) : -1;
		for (uint8_t *at = copy; got > 0 && (at = memmem(at, (size_t)(copy + got - at), bytes, n)); at++)
			seen++;
		free(copy);
	}
	fclose(maps);
	close(mem);
	return seen;
}

static void
report(const char *what, const char *key, char **processes, const uint8_t *bytes, size_t n)
{
	for (char **p = processes; *p; p++) {
		const char *colon = strchr(*p, ':');
		need(colon != NULL, "NAME:PID");
		printf("%s %s %.*s %d\n", what, key, (int)(colon - *p), *p, count(atoi(colon + 1), bytes, n));
	}
}

static size_t
info_of(const char *head, const struct boot_key *k, uint8_t out[96])
{
	int n = snprintf((char *)out, 88, "sallyport/1/%s%s", head, keylife_purpose_name(k->purpose));
	memset(out + n, 0, 8);
	for (int i = 0; i < 4; i++)
		out[n + 4 + i] = (uint8_t)(k->generation >> (24 - 8 * i));
	return (size_t)n + 8;
}

static void
look_for(struct p11 *p, const struct boot_key *k, char **processes)
{
	uint8_t ad[200], info[96], root[WRAP_KEY_MAX], key[32];
	size_t root_bytes, n = info_of("wrap/", k, ad);
	memcpy(ad + n, boot.install, strlen(boot.install));
	need(wrap_open(p, k->kek, ad, n + strlen(boot.install), k->wrapped, k->wrapped_bytes, root, &root_bytes) == ERR_OK,
		 "unwrap");
	n = info_of("", k, info);
	hkdf_sha256((struct hkdf_text){root, root_bytes}, (struct hkdf_text){boot.install, strlen(boot.install)},
				(struct hkdf_text){info, n}, key, sizeof key);
	/* half of it is as bad as all of it */
	report("root", keylife_purpose_name(k->purpose), processes, root, 16);
	report("key", keylife_purpose_name(k->purpose), processes, key, 16);
}

int
main(int argc, char **argv)
{
	char path[1024], pin[65] = "";
	struct p11 *p;
	need(argc > 3, "usage: key_residue DIR PIN-FILE NAME:PID…");
	need(sodium_init() >= 0, "libsodium");
	(void)snprintf(path, sizeof path, "%s/vault/boot", argv[1]);
	need(boot_load(path, &boot) == ERR_OK, "vault/boot");
	(void)snprintf(path, sizeof path, "%s/hsm/softhsm2.conf", argv[1]);
	setenv("SOFTHSM2_CONF", path, 1);
	FILE *f = fopen(argv[2], "r");
	need(f && fgets(pin, sizeof pin, f), "the PIN");
	fclose(f);
	pin[strcspn(pin, "\n")] = 0;
	need(p11_load("/usr/lib/softhsm/libsofthsm2.so", "sallyport", true, &p) == ERR_OK, "the module");
	need(p11_login(p, (const uint8_t *)pin, strlen(pin)) == ERR_OK, "log-in");
	printf("arena %s\n", secret_open(4096) == ERR_OK ? secret_kind() : "none");
	report("control", "install", argv + 3, (const uint8_t *)boot.install, strlen(boot.install));
	report("pin", "pin", argv + 3, (const uint8_t *)pin, strlen(pin));
	for (size_t i = 0; i < boot.keys_n; i++)
		if (boot.keys[i].wrapped_bytes)
			look_for(p, &boot.keys[i], argv + 3);
	p11_free(p);
	return 0;
}
