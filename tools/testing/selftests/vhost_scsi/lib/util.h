/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every other part of the library leans on: the undo stack, bounded
 * waits, small files, kernel modules.
 */
#ifndef VT_UTIL_H
#define VT_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The undo stack: whatever a test creates, it also says how to remove, and
 * undo_all() removes all of it, newest first.  A fixture's teardown is
 * undo_all(); vt_fatal() and vt_skip() call it too, so that one test's failure
 * does not poison the next.
 */
typedef void (*undo_fn)(void *arg);
void undo_push(undo_fn fn, void *arg);
void undo_all(void);

/* The environment is broken (not the driver under test): fail, or skip. */
void vt_fatal(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
void vt_skip(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
void vt_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Zeroed memory that lives until undo_all(). */
void *vt_zalloc(size_t size);
/* Formatted string that lives until undo_all(). */
char *vt_str(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Unique number within this process, for names. */
unsigned int vt_serial(void);

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t vt_now_ms(void);
void vt_sleep_ms(unsigned int ms);

/*
 * Waits for a condition, looking at it every millisecond; the value of the
 * expression is whether it came true in time.
 */
#define vt_until(cond, ms) ({						\
	uint64_t __end = vt_now_ms() + (ms);				\
	bool __ok;							\
	while (!(__ok = !!(cond)) && vt_now_ms() < __end)		\
		vt_sleep_ms(1);						\
	__ok || !!(cond);						\
})

/* 0, or -errno of the open or of the write itself. */
int file_put(const char *path, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Like file_put(), but anything other than success ends the test. */
void file_set(const char *path, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Length read into buf (always terminated, newline cut off), or -errno. */
int file_get(const char *path, char *buf, size_t size);
bool file_exists(const char *path);

/* Loads a module or skips the test; params may be NULL. */
void module_need(const char *name, const char *params);
bool module_loaded(const char *name);

/*
 * The lab says that it loaded the distribution's driver.  What that is known
 * to do wrong everywhere (used.len is always 0, requests are lost) is then
 * allowed for, so that its column shows each difference once.
 */
bool driver_is_stock(void);

/* The sum of what the kernel holds pinned by FOLL_PIN, system-wide, now. */
long pins_held(void);

/* Runs fn(arg) in a thread; thread_join() gives its result or -ETIMEDOUT. */
struct vt_thread;
struct vt_thread *thread_start(long (*fn)(void *arg), void *arg);
bool thread_done(struct vt_thread *t);
long thread_join(struct vt_thread *t, unsigned int ms);

/* Forks a child that runs fn(arg) and exits with its result. */
pid_t child_start(int (*fn)(void *arg), void *arg);
/* Exit status, -signal, or -ETIMEDOUT. */
int child_wait(pid_t pid, unsigned int ms);

/* Block devices, targets and the like that killed tests left behind. */
void undo_leftovers(void (*sweep)(void));

#endif
