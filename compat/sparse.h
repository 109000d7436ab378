/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel's headers use since 7.0 and Debian's sparse 0.6.4 does not
 * know. Read by sparse alone, never by the compiler. Needless with a sparse
 * that has __typeof_unqual__ and folds __builtin_strlen().
 */
#ifndef COMPAT_SPARSE_H
#define COMPAT_SPARSE_H

#define __typeof_unqual__ __typeof__
#define __builtin_strlen(s) (sizeof(s) - 1)

#endif
