/*
 * p11_shim — a PKCS#11 module that is another one, until it is told to misbehave.
 * It forwards to $P11_SHIM_MODULE (SoftHSM's path when that is not set). Before each call it reads the control file
 * $P11_SHIM_CONTROL ("p11_shim.control" in the working directory: the broker's is its own), one line:
 *
 *     FROM TIMES ACTION [ARGUMENT [FUNCTION]]
 *
 *   FROM      the call, counted from 1 since the line last changed, with which it begins (only calls of FUNCTION count)
 *   TIMES     for how many calls; 0: for ever
 *   ACTION    return RV   give back this CK_RV without calling (0x32 is CKR_DEVICE_REMOVED)
 *             hang 0      never come back (without burning the processor)
 *             slow MS     wait, then call
 *             flip 0      call, then change one bit of what came out
 *             empty 0     say CKR_OK and do nothing
 *             flags N     call, then set these bits in a token's flags
 * Built with -DMAKER it says that it is of that maker, as a HSM that is no software would.
 * Each time that it acts it appends the function's name to the control file's name + ".fired". A hang for a number of
 * times counts these lines instead, because a process that hangs is followed by another.
 */
#include <stddef.h>

#define CRYPTOKI_COMPAT 1
#include <p11-kit/pkcs11.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static CK_FUNCTION_LIST *real, ours;

enum act { ACT_CALL, ACT_FLIP, ACT_RETURN };

/* of the action `flags` */
static unsigned long more_flags;

#ifndef MAKER
#define MAKER ""
#endif

/* ── the control file ── */

static const char *
control_path(void)
{
	const char *path = getenv("P11_SHIM_CONTROL");
	return path ? path : "p11_shim.control";
}

static void
read_line(char out[128])
{
	int fd = open(control_path(), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, out, 127) : 0;
	out[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
}

static void
say_fired(const char *name)
{
	char path[512];
	(void)snprintf(path, sizeof path, "%s.fired", control_path());
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	if (write(fd, name, strlen(name)) < 0 || write(fd, "\n", 1) < 0)
		abort();
	close(fd);
}

static unsigned long
lines_fired(void)
{
	char path[512], c;
	unsigned long n = 0;
	(void)snprintf(path, sizeof path, "%s.fired", control_path());
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && read(fd, &c, 1) == 1)
		n += c == '\n';
	if (fd >= 0)
		close(fd);
	return n;
}

/* A futex wait is a call that every jail allows; sleeping is not. */
static void
wait_ms(long ms)
{
	int never = 0;
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	do
		syscall(SYS_futex, &never, FUTEX_WAIT, 0, ms ? &t : NULL, NULL, 0);
	while (ms == 0);
}

static enum act
before(const char *name, CK_RV *rv)
{
	static char last[128];
	static unsigned long calls;
	char line[128], action[16], function[40] = "";
	unsigned long from, times, argument = 0;
	read_line(line);
	if (strcmp(line, last) != 0) {
		calls = 0;
		memcpy(last, line, sizeof last);
	}
	int got = sscanf(line, "%lu %lu %15s %li %39s", &from, &times, action, (long *)&argument, function);
	if (got < 3 || (*function && strcmp(function, name) != 0))
		return ACT_CALL;
	calls++;
	if (calls < from || (times && calls >= from + times))
		return ACT_CALL;
	if (times && strcmp(action, "hang") == 0 && lines_fired() >= times)
		return ACT_CALL;
	say_fired(name);
	*rv = CKR_OK;
	if (strcmp(action, "return") == 0)
		*rv = argument;
	else if (strcmp(action, "hang") == 0)
		wait_ms(0);
	else if (strcmp(action, "slow") == 0)
		wait_ms((long)argument);
	more_flags = strcmp(action, "flags") == 0 ? argument : 0;
	if (more_flags)
		return ACT_FLIP;
	if (strcmp(action, "slow") == 0)
		return ACT_CALL;
	return strcmp(action, "flip") == 0 ? ACT_FLIP : ACT_RETURN;
}

static void
flip(void *bytes, CK_ULONG n)
{
	if (bytes && n > 0 && n != CK_UNAVAILABLE_INFORMATION)
		((unsigned char *)bytes)[n - 1] ^= 1;
}

static void
be_of(CK_BYTE maker[32])
{
	if (!*MAKER)
		return;
	memset(maker, ' ', 32);
	memcpy(maker, MAKER, strlen(MAKER));
}

/* Flags go into what came out, whatever else is asked for. */
static CK_RV
shim_C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	CK_RV rv = CKR_OK;
	enum act act = before("C_GetTokenInfo", &rv);
	if (act == ACT_RETURN)
		return rv;
	rv = real->C_GetTokenInfo(slot, info);
	if (rv != CKR_OK)
		return rv;
	be_of(info->manufacturerID);
	if (*MAKER)
		memset(info->model, ' ', sizeof info->model);
	if (act == ACT_FLIP)
		info->flags |= more_flags;
	return rv;
}

static CK_RV
shim_C_GetInfo(CK_INFO *info)
{
	CK_RV rv = CKR_OK;
	if (before("C_GetInfo", &rv) == ACT_RETURN)
		return rv;
	rv = real->C_GetInfo(info);
	if (rv == CKR_OK)
		be_of(info->manufacturerID);
	return rv;
}

/* ── the functions that the broker uses; all others are the real module's own ── */

#define FORWARD(name, params, args, changed) \
	static CK_RV shim_##name params          \
	{                                        \
		CK_RV rv = CKR_OK;                   \
		enum act act = before(#name, &rv);   \
		if (act == ACT_RETURN)               \
			return rv;                       \
		rv = real->name args;                \
		if (act == ACT_FLIP && rv == CKR_OK) \
			changed;                         \
		return rv;                           \
	}
#define NOTHING (void)0

typedef CK_SESSION_HANDLE session;
typedef CK_OBJECT_HANDLE object;

FORWARD(C_GetSlotList, (CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *n), (present, slots, n), NOTHING)
FORWARD(C_GetMechanismInfo, (CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info), (slot, type, info),
		NOTHING)
FORWARD(C_InitToken, (CK_SLOT_ID slot, CK_BYTE *pin, CK_ULONG n, CK_BYTE *label), (slot, pin, n, label), NOTHING)
FORWARD(C_InitPIN, (session s, CK_BYTE *pin, CK_ULONG n), (s, pin, n), NOTHING)
FORWARD(C_OpenSession, (CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify, session *s),
		(slot, flags, app, notify, s), NOTHING)
FORWARD(C_CloseSession, (session s), (s), NOTHING)
FORWARD(C_GetSessionInfo, (session s, CK_SESSION_INFO *info), (s, info), NOTHING)
FORWARD(C_Login, (session s, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG n), (s, user, pin, n), NOTHING)
FORWARD(C_Logout, (session s), (s), NOTHING)
FORWARD(C_CreateObject, (session s, CK_ATTRIBUTE *a, CK_ULONG n, object *o), (s, a, n, o), NOTHING)
FORWARD(C_DestroyObject, (session s, object o), (s, o), NOTHING)
FORWARD(C_GetAttributeValue, (session s, object o, CK_ATTRIBUTE *a, CK_ULONG n), (s, o, a, n),
		flip(a->pValue, a->ulValueLen))
FORWARD(C_FindObjectsInit, (session s, CK_ATTRIBUTE *a, CK_ULONG n), (s, a, n), NOTHING)
FORWARD(C_FindObjects, (session s, object *o, CK_ULONG max, CK_ULONG *n), (s, o, max, n), NOTHING)
FORWARD(C_FindObjectsFinal, (session s), (s), NOTHING)
FORWARD(C_EncryptInit, (session s, CK_MECHANISM *m, object key), (s, m, key), NOTHING)
FORWARD(C_Encrypt, (session s, CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *out_n), (s, in, n, out, out_n),
		flip(out, *out_n))
FORWARD(C_DecryptInit, (session s, CK_MECHANISM *m, object key), (s, m, key), NOTHING)
FORWARD(C_Decrypt, (session s, CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *out_n), (s, in, n, out, out_n),
		flip(out, *out_n))
FORWARD(C_SignInit, (session s, CK_MECHANISM *m, object key), (s, m, key), NOTHING)
FORWARD(C_Sign, (session s, CK_BYTE *in, CK_ULONG n, CK_BYTE *out, CK_ULONG *out_n), (s, in, n, out, out_n),
		flip(out, *out_n))
FORWARD(C_GenerateKey, (session s, CK_MECHANISM *m, CK_ATTRIBUTE *a, CK_ULONG n, object *key), (s, m, a, n, key),
		NOTHING)
FORWARD(C_GenerateKeyPair,
		(session s, CK_MECHANISM *m, CK_ATTRIBUTE *a, CK_ULONG n, CK_ATTRIBUTE *b, CK_ULONG k, object *pub,
		 object *prv),
		(s, m, a, n, b, k, pub, prv), NOTHING)
FORWARD(C_GenerateRandom, (session s, CK_BYTE *out, CK_ULONG n), (s, out, n), flip(out, n))

static CK_RV
load(void)
{
	const char *path = getenv("P11_SHIM_MODULE");
	void *module = dlopen(path ? path : "/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
	CK_RV (*get)(CK_FUNCTION_LIST **) = NULL;
	if (module)
		*(void **)&get = dlsym(module, "C_GetFunctionList");
	return get ? get(&real) : CKR_LIBRARY_LOAD_FAILED;
}

__attribute__((visibility("default"))) CK_RV
C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	CK_RV rv = real ? CKR_OK : load();
	if (rv != CKR_OK)
		return rv;
	ours = *real;
#define OURS(name) ours.name = shim_##name
	OURS(C_GetInfo), OURS(C_GetSlotList), OURS(C_GetTokenInfo), OURS(C_GetMechanismInfo), OURS(C_InitToken);
	OURS(C_InitPIN), OURS(C_OpenSession), OURS(C_CloseSession), OURS(C_GetSessionInfo), OURS(C_Login), OURS(C_Logout);
	OURS(C_CreateObject), OURS(C_DestroyObject), OURS(C_GetAttributeValue), OURS(C_FindObjectsInit),
		OURS(C_FindObjects);
	OURS(C_FindObjectsFinal), OURS(C_EncryptInit), OURS(C_Encrypt), OURS(C_DecryptInit), OURS(C_Decrypt);
	OURS(C_SignInit), OURS(C_Sign), OURS(C_GenerateKey), OURS(C_GenerateKeyPair), OURS(C_GenerateRandom);
	ours.C_GetFunctionList = C_GetFunctionList;
	*list = &ours;
	return CKR_OK;
}
