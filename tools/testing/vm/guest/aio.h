/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's asynchronous I/O, by system call: nothing to link against. */
#ifndef GUEST_AIO_H
#define GUEST_AIO_H

#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline int aio_setup(unsigned int depth, aio_context_t *context)
{
	return syscall(SYS_io_setup, depth, context);
}

static inline int aio_submit(aio_context_t context, long count,
			     struct iocb **iocbs)
{
	return syscall(SYS_io_submit, context, count, iocbs);
}

static inline int aio_wait(aio_context_t context, long least, long most,
			   struct io_event *events, struct timespec *timeout)
{
	return syscall(SYS_io_getevents, context, least, most, events, timeout);
}

#endif
