// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "failure.h"

void failure_set(struct failure *f, enum ctl_status status, const char *format,
		 ...)
{
	char text[sizeof(f->text)];
	va_list arguments;

	/* What was said before may be among the arguments. */
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	memcpy(f->text, text, sizeof(text));
	f->status = status;
	f->error = 0;
}

void failure_set_errno(struct failure *f, const char *format, ...)
{
	char text[sizeof(f->text) / 2];
	int error = errno;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	snprintf(f->text, sizeof(f->text), "%s: %s", text, strerror(error));
	f->status = CTL_FAILED;
	f->error = error;
}
