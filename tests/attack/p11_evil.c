/*
 * p11_evil — a PKCS#11 module that has been bought: when it is initialized it tries what $P11_EVIL says, writes to
 * evil.out in the working directory how that ended (the errno, 0 for success), and is SoftHSM from then on.
 */
#include <stddef.h>

#define CRYPTOKI_COMPAT 1
#include <p11-kit/pkcs11.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static CK_FUNCTION_LIST *real, ours;

static int
of_fd(int fd)
{
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int
of_call(long rc)
{
	return rc < 0 ? errno : 0;
}

static int
of_map(void *at)
{
	return at == MAP_FAILED ? errno : 0;
}

static int
try(const char *what)
{
	char *argv[] = {NULL};
#define IS(name) (strcmp(what, name) == 0)
	/* what Landlock refuses */
	if (IS("read-passwd"))
		return of_fd(open("/etc/passwd", O_RDONLY));
	if (IS("read-proc"))
		return of_fd(open("/proc/self/maps", O_RDONLY));
	if (IS("read-neighbour"))
		return of_fd(open(getenv("P11_EVIL_FILE"), O_RDONLY));
	if (IS("list-parent"))
		return of_fd(open("..", O_RDONLY | O_DIRECTORY));
	if (IS("write-tmp"))
		return of_fd(open("/tmp/p11_evil.out", O_WRONLY | O_CREAT, 0600));
	if (IS("write-parent"))
		return of_fd(open("../p11_evil.out", O_WRONLY | O_CREAT, 0600));
	/* what the filter refuses, and lets the module live */
	if (IS("socket"))
		return of_fd(socket(AF_INET, SOCK_STREAM, 0));
	if (IS("socket-unix"))
		return of_fd(socket(AF_UNIX, SOCK_STREAM, 0));
	/* what nobody survives */
	if (IS("fork"))
		return of_call(fork());
	if (IS("exec"))
		return of_call(execve("/bin/true", argv, argv));
	if (IS("ptrace"))
		return of_call(ptrace(PTRACE_ATTACH, getppid(), 0, 0));
	if (IS("kill"))
		return of_call(kill(getppid(), SIGTERM));
	if (IS("connect"))
		return of_call(connect(3, NULL, 0));
	if (IS("symlink"))
		return of_call(symlink("/etc/passwd", "link"));
	if (IS("mount"))
		return of_call(syscall(SYS_mount, "x", "y", "z", 0, NULL));
	if (IS("dumpable"))
		return of_call(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	if (IS("bpf"))
		return of_call(syscall(SYS_bpf, 0, NULL, 0));
	if (IS("uring"))
		return of_call(syscall(SYS_io_uring_setup, 1, NULL));
	if (IS("unshare"))
		return of_call(syscall(SYS_unshare, 0x10000000));
	if (IS("ioctl"))
		return of_call(ioctl(2, TIOCSTI, "x"));
	if (IS("exec-memory"))
		return of_map(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	if (IS("memfd"))
		return of_fd(memfd_create("code", 0));
	/* what it may: the check must be able to fail */
	if (IS("own-file"))
		return of_fd(open("mine", O_WRONLY | O_CREAT, 0600));
	return -1;
}

static CK_RV
initialize(void *args)
{
	const char *what = getenv("P11_EVIL");
	char line[64];
	int how = what ? try(what) : -1;
	int fd = open("evil.out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int n = snprintf(line, sizeof line, "%d\n", how);
	if (fd < 0 || write(fd, line, (size_t)n) != n)
		abort();
	close(fd);
	return real->C_Initialize(args);
}

__attribute__((visibility("default"))) CK_RV
C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	void *module = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
	CK_RV (*get)(CK_FUNCTION_LIST **) = NULL;
	if (module)
		*(void **)&get = dlsym(module, "C_GetFunctionList");
	if (!get || get(&real) != CKR_OK)
		return CKR_LIBRARY_LOAD_FAILED;
	ours = *real;
	ours.C_Initialize = initialize;
	ours.C_GetFunctionList = C_GetFunctionList;
	*list = &ours;
	return CKR_OK;
}
