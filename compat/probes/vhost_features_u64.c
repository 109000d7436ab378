// SPDX-License-Identifier: GPL-2.0
#include "vhost.h"

#ifndef VHOST_FEATURES_U64
#error features are a mask
#endif
