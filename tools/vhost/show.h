/* SPDX-License-Identifier: GPL-2.0 */
/* A stream, for people and for scripts. */
#ifndef CTL_SHOW_H
#define CTL_SHOW_H

#include <json-c/json.h>
#include <stdio.h>
#include "stream.h"

void show_text(const struct stream *s, FILE *out);
json_object *show_json(const struct stream *s);

#endif
