// SPDX-License-Identifier: GPL-2.0
#include <linux/slab.h>

#ifndef kzalloc_obj
#error objects are allocated by size
#endif
