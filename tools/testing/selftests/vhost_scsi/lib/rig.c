// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "rig.h"

#define BLOCKS 8u	/* of one request of rig_reads() */

static void rig_disk(struct rig *rig, const struct rig_opts *o)
{
	unsigned int slow = o->slow_ms ? o->slow_ms : 1000;
	struct disk_ram_opts ram = {
		.mib = o->mib,
		.cache = o->cache,
		.completion_ms = o->kind == RIG_SLOW ? slow : 0,
	};

	rig->ram = disk_ram(&ram);
	rig->top = rig->ram;
	if (o->kind == RIG_SLOW)
		return;		/* filling it would take long */
	disk_fill(rig->ram, 0, 2048, 0);
	if (o->kind == RIG_GATE)
		rig->top = disk_gate(rig->ram);
	if (o->kind == RIG_DELAY)
		rig->top = disk_delay(rig->ram, slow, slow);
}

void rig_up(struct rig *rig, const struct rig_opts *o)
{
	memset(rig, 0, sizeof(*rig));
	if (o->kind == RIG_RAM || o->kind == RIG_NULL) {
		rig->bs = backstore_ram(o->mib ? o->mib : 16, o->kind == RIG_NULL);
	} else {
		rig_disk(rig, o);
		rig->bs = backstore_block(rig->top);
	}
	rig->t = target_open();
	target_lun(rig->t, 0, rig->bs);
	device_open(&rig->d, &o->dev);
	if (o->stopped)
		return;
	if (device_start(&rig->d, rig->t->wwpn))
		vt_fatal("VHOST_SCSI_SET_ENDPOINT failed");
	/* The first command of a new nexus may find a unit attention. */
	if (o->kind != RIG_SLOW && o->kind != RIG_DELAY && scsi_clear_ua(&rig->d, Q_IO, 0))
		vt_fatal("LUN 0 is not ready");
	rig_mark(rig);
}

static struct req **rig_batch(struct rig *rig, unsigned int q, unsigned int n,
			      bool write, unsigned int seed)
{
	struct req **r = vt_zalloc(n * sizeof(*r));
	unsigned int i;

	for (i = 0; i < n; i++)
		r[i] = write ? req_write(&rig->d, i * BLOCKS, BLOCKS, seed) :
			       req_read(&rig->d, i * BLOCKS, BLOCKS);
	for (i = 0; i < n; i++)
		req_post(r[i], q);
	vring_kick(&rig->d.q[q]);
	return r;
}

struct req **rig_reads(struct rig *rig, unsigned int q, unsigned int n)
{
	return rig_batch(rig, q, n, false, 0);
}

struct req **rig_writes(struct rig *rig, unsigned int q, unsigned int n, unsigned int seed)
{
	return rig_batch(rig, q, n, true, seed);
}

unsigned int reqs_not_good(struct req **r, unsigned int n)
{
	unsigned int bad = 0;

	while (n--)
		bad += req_not_good(r[n]);
	return bad;
}

unsigned int reqs_returned(struct req **r, unsigned int n)
{
	unsigned int sum = 0;

	while (n--)
		sum += r[n]->out_come.returned;
	return sum;
}

void rig_mark(struct rig *rig)
{
	rig->commands = backstore_commands(rig->bs);
}

bool rig_submitted(struct rig *rig, unsigned int n)
{
	return vt_until(backstore_commands(rig->bs) - rig->commands >= n, WAIT_MS);
}

/* Before main(): leftovers go when the harness ends, whatever happened. */
static void __attribute__((constructor)) rig_init(void)
{
	undo_leftovers(target_sweep);
	/* Setting up and removing a target waits for RCU a dozen times. */
	file_put("/sys/kernel/rcu_expedited", "1");
}
