/* SPDX-License-Identifier: GPL-2.0 */
/* Why something did not work: a sentence for people, a status for scripts. */
#ifndef CTL_FAILURE_H
#define CTL_FAILURE_H

/* Exit statuses; the manual page describes them. */
enum ctl_status {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_REFUSED = 3,	/* what was asked for cannot be migrated */
	CTL_TIMEOUT = 4,	/* the device goes on draining */
	CTL_ROLLED_BACK = 5,	/* the guest goes on at the source */
	CTL_STRANDED = 6,	/* the guest runs nowhere, or nobody knows where */
	CTL_NOT_CLEAN = 7,	/* migrated, but the source was not cleaned up */
};

struct failure {
	enum ctl_status status;
	int error;		/* errno, 0 if it was none */
	char text[1024];
};

void failure_set(struct failure *f, enum ctl_status status, const char *format,
		 ...) __attribute__((format(printf, 3, 4)));
/* The same with what errno says behind it. */
void failure_set_errno(struct failure *f, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static inline int failure_status(void)
{
	return -1;
}

/* -1, so that a caller can return it; the compiler sees that it is. */
#define fail(...)	(failure_set(__VA_ARGS__), failure_status())
#define fail_errno(...)	(failure_set_errno(__VA_ARGS__), failure_status())

#endif
