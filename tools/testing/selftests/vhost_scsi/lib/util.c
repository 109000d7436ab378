// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "util.h"

#define UNDO_MAX 4096

static struct undo {
	undo_fn fn;
	void *arg;
} undo_stack[UNDO_MAX];
static unsigned int undo_depth;
static unsigned int serial;

void undo_push(undo_fn fn, void *arg)
{
	if (undo_depth == UNDO_MAX)
		vt_fatal("undo stack is full");
	undo_stack[undo_depth++] = (struct undo){ fn, arg };
}

void undo_all(void)
{
	while (undo_depth) {
		struct undo u = undo_stack[--undo_depth];

		u.fn(u.arg);
	}
}

void vt_fatal(const char *fmt, ...)
{
	va_list ap;

	printf("# setup failed: ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	undo_all();
	_exit(KSFT_FAIL);
}

void vt_skip(const char *fmt, ...)
{
	va_list ap;

	printf("# SKIP reason: ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	undo_all();
	_exit(KSFT_SKIP);
}

void vt_note(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

void *vt_zalloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		vt_fatal("out of memory for %zu bytes", size);
	undo_push(free, p);
	return p;
}

char *vt_str(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0)
		vt_fatal("out of memory for a string");
	undo_push(free, s);
	return s;
}

unsigned int vt_serial(void)
{
	return ++serial;
}

uint64_t vt_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

void vt_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (ms % 1000) * 1000000l };

	nanosleep(&ts, NULL);
}

static int file_vput(const char *path, const char *fmt, va_list ap)
{
	char *s;
	int fd, n, ret = 0;

	n = vasprintf(&s, fmt, ap);
	if (n < 0)
		return -ENOMEM;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		ret = -errno;
	} else {
		if (write(fd, s, n) < 0)
			ret = -errno;
		close(fd);
	}
	free(s);
	return ret;
}

int file_put(const char *path, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = file_vput(path, fmt, ap);
	va_end(ap);
	return ret;
}

void file_set(const char *path, const char *fmt, ...)
{
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = file_vput(path, fmt, ap);
	va_end(ap);
	if (ret)
		vt_fatal("write to %s: %s", path, strerror(-ret));
}

int file_get(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	buf[0] = '\0';
	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return n;
	while (n > 0 && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return n;
}

bool driver_is_stock(void)
{
	const char *module = getenv("LAB_MODULE");

	return module && !strcmp(module, "stock");
}

bool file_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

bool module_loaded(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	return file_exists(path);
}

void module_need(const char *name, const char *params)
{
	char cmd[256];

	if (module_loaded(name))
		return;
	snprintf(cmd, sizeof(cmd), "modprobe %s %s 2>&1 | sed 's/^/# /'",
		 name, params ? params : "");
	if (system(cmd) < 0 || !module_loaded(name))
		vt_skip("the kernel lacks the module %s", name);
}

long pins_held(void)
{
	long acquired = -1, released = -1, value;
	char name[64];
	FILE *f;

	/* Fold the per-CPU differences in, or the figures lag behind. */
	file_put("/proc/sys/vm/stat_refresh", "1");
	f = fopen("/proc/vmstat", "re");
	if (!f)
		vt_fatal("no /proc/vmstat");
	while (fscanf(f, "%63s %ld", name, &value) == 2) {
		if (!strcmp(name, "nr_foll_pin_acquired"))
			acquired = value;
		if (!strcmp(name, "nr_foll_pin_released"))
			released = value;
	}
	fclose(f);
	if (acquired < 0 || released < 0)
		vt_fatal("/proc/vmstat does not count pins");
	return acquired - released;
}

struct vt_thread {
	pthread_t id;
	long (*fn)(void *arg);
	void *arg;
	long result;
	atomic_bool done;
};

static void *thread_main(void *arg)
{
	struct vt_thread *t = arg;

	t->result = t->fn(t->arg);
	atomic_store(&t->done, true);
	return NULL;
}

struct vt_thread *thread_start(long (*fn)(void *arg), void *arg)
{
	/* Not on the undo stack: a stuck thread may outlive it. */
	struct vt_thread *t = calloc(1, sizeof(*t));

	if (!t)
		vt_fatal("out of memory for a thread");
	t->fn = fn;
	t->arg = arg;
	if (pthread_create(&t->id, NULL, thread_main, t))
		vt_fatal("cannot start a thread");
	return t;
}

bool thread_done(struct vt_thread *t)
{
	return atomic_load(&t->done);
}

long thread_join(struct vt_thread *t, unsigned int ms)
{
	long result;

	if (!vt_until(thread_done(t), ms))
		return -ETIMEDOUT;
	pthread_join(t->id, NULL);
	result = t->result;
	free(t);
	return result;
}

pid_t child_start(int (*fn)(void *arg), void *arg)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		vt_fatal("fork: %s", strerror(errno));
	if (!pid) {
		/* What the parent created is the parent's to remove. */
		undo_depth = 0;
		_exit(fn(arg));
	}
	return pid;
}

int child_wait(pid_t pid, unsigned int ms)
{
	int status = 0;
	pid_t ret = 0;
	bool over = vt_until((ret = waitpid(pid, &status, WNOHANG)) != 0, ms);

	if (!over)
		return -ETIMEDOUT;
	if (ret < 0)
		return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void (*leftover_sweep)(void);
static pid_t leftover_pid;

static void leftover_exit(void)
{
	if (getpid() == leftover_pid)
		leftover_sweep();
}

void undo_leftovers(void (*sweep)(void))
{
	leftover_sweep = sweep;
	leftover_pid = getpid();
	atexit(leftover_exit);
}
