#include "daemon/monitor/member.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/monitor/child.h"
#include "daemon/monitor/family.h"

const char *
member_title(const struct member *m, char out[MEMBER_TITLE_BYTES])
{
	snprintf(out, MEMBER_TITLE_BYTES, process_instances(m->process) > 1 ? "%s/%u" : "%s", process_name(m->process),
			 m->index);
	return out;
}

/* Readers get a read-only description of the same memory; the size is sealed, so that nobody can cut it under them. */
enum err
member_page(enum process process, unsigned index, struct page **page_out, int *rw_out, int *ro_out)
{
	char path[48];
	int fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	/* 0600: another user can't open it again through /proc with more rights than it was given */
	if (fd < 0 || fchmod(fd, 0600) != 0 || ftruncate(fd, sizeof(struct page)) != 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
		return ERR_MEMORY;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	*ro_out = open(path, O_RDONLY | O_CLOEXEC);
	struct page *p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*ro_out < 0 || p == MAP_FAILED)
		return ERR_MEMORY;
	p->magic = PAGE_MAGIC;
	p->bytes = sizeof *p;
	p->process = (uint32_t)process;
	p->index = index;
	atomic_store(&p->state, PAGE_STARTING);
	*page_out = p;
	*rw_out = fd;
	return ERR_OK;
}

void
member_end(struct member *m, const char *why)
{
	char title[MEMBER_TITLE_BYTES];
	if (!m->pid || m->killed)
		return;
	log_warn("killing a process", LOG_S("process", member_title(m, title)), LOG_S("why", why));
	m->killed = true;
	child_kill(family.site, m->process, m->pid);
}
