// SPDX-License-Identifier: GPL-2.0
#include <target/target_core_base.h>
#include <target/target_core_fabric.h>

struct target_core_fabric_ops probe;
struct target_core_fabric_ops probe = {
	.default_compl_type = TARGET_QUEUE_COMPL,
	.direct_compl_supp = 1,
};
