// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util.h"
#include "vring.h"

#define barrier_full() __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* It stands behind the last element of the used ring, the other behind avail. */
uint16_t *vring_avail_event_field(struct ring *vr)
{
	return (uint16_t *)(void *)(vr->used->ring + vr->num);
}

static void *book(unsigned int num, size_t size)
{
	void *p = calloc(num, size);

	if (!p)
		vt_fatal("out of memory for a ring of %u", num);
	return p;
}

static int eventfd_open(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0)
		vt_fatal("eventfd: %s", strerror(errno));
	return fd;
}

void vring_open(struct ring *vr, struct guest *g, unsigned int num)
{
	memset(vr, 0, sizeof(*vr));
	vr->g = g;
	vr->num = num;
	/* A page of its own for each part: the dirty log tells them apart. */
	vr->desc = guest_alloc(g, num * sizeof(*vr->desc), PAGE);
	vr->avail = guest_alloc(g, sizeof(*vr->avail) + (num + 1) * 2, PAGE);
	vr->used = guest_alloc(g, sizeof(*vr->used) +
			       num * sizeof(vr->used->ring[0]) + 2, PAGE);
	guest_alloc(g, 1, PAGE);
	vr->kick = eventfd_open();
	vr->call = eventfd_open();
	vr->err = eventfd_open();
	vr->free = book(num, sizeof(*vr->free));
	vr->next = book(num, sizeof(*vr->next));
	vr->count = book(num, sizeof(*vr->count));
	vr->owner = book(num, sizeof(*vr->owner));
	vring_reset(vr, 0);
}

void vring_close(struct ring *vr)
{
	close(vr->kick);
	close(vr->call);
	close(vr->err);
	free(vr->free);
	free(vr->next);
	free(vr->count);
	free(vr->owner);
}

void vring_reset(struct ring *vr, uint16_t base)
{
	unsigned int i;

	/* Popped from the end, so that the first chains use 0, 1, 2 ... */
	for (i = 0; i < vr->num; i++)
		vr->free[i] = vr->num - 1 - i;
	vr->nfree = vr->num;
	memset(vr->owner, 0, vr->num * sizeof(*vr->owner));
	vr->inflight = 0;
	vr->avail_idx = base;
	vr->used_seen = base;
	vr->avail->flags = 0;
	vr->avail->idx = base;
	vr->kicked = base;
	vr->avail->ring[vr->num] = base;
	vr->used->idx = base;
	*vring_avail_event_field(vr) = base;
}

struct chain chain_begin(struct ring *vr)
{
	return (struct chain){ .vr = vr, .head = -1, .last = -1 };
}

struct chain chain_begin_indirect(struct ring *vr)
{
	struct chain c = chain_begin(vr);

	c.table = guest_alloc(vr->g, VRING_INDIRECT_MAX * sizeof(*c.table), 16);
	return c;
}

static void chain_add_direct(struct chain *c, struct vring_desc d)
{
	struct ring *vr = c->vr;
	uint16_t i;

	if (!vr->nfree)
		vt_fatal("no descriptor left in a ring of %u", vr->num);
	i = vr->free[--vr->nfree];
	vr->desc[i] = d;
	if (c->last >= 0) {
		vr->desc[c->last].flags |= VRING_DESC_F_NEXT;
		vr->desc[c->last].next = i;
		vr->next[c->last] = i;
	} else {
		c->head = i;
	}
	c->last = i;
	c->count++;
}

void chain_add_raw(struct chain *c, uint64_t addr, uint32_t len, uint16_t flags)
{
	struct vring_desc d = { .addr = addr, .len = len, .flags = flags };
	unsigned int n;

	if (!c->table) {
		chain_add_direct(c, d);
		return;
	}
	n = c->table_used++;
	if (n == VRING_INDIRECT_MAX)
		vt_fatal("indirect table is full");
	c->table[n] = d;
	if (n) {
		c->table[n - 1].flags |= VRING_DESC_F_NEXT;
		c->table[n - 1].next = n;
	}
}

void chain_add(struct chain *c, const void *p, uint32_t len, bool device_writes)
{
	chain_add_raw(c, guest_addr(c->vr->g, p), len,
		      device_writes ? VRING_DESC_F_WRITE : 0);
}

void chain_post(struct chain *c, struct outcome *o)
{
	struct ring *vr = c->vr;

	if (c->table) {
		struct vring_desc d = {
			.addr = guest_addr(vr->g, c->table),
			.len = c->table_used * sizeof(*c->table),
			.flags = VRING_DESC_F_INDIRECT,
		};

		chain_add_direct(c, d);
	}
	vr->count[c->head] = c->count;
	vr->owner[c->head] = o;
	vr->inflight++;
	o->returned = 0;
	o->len = ~0u;
	vring_post_head(vr, c->head);
}

void vring_post_head(struct ring *vr, uint16_t head)
{
	vr->avail->ring[vr->avail_idx % vr->num] = head;
	barrier_full();
	vr->avail_idx++;
	__atomic_store_n(&vr->avail->idx, vr->avail_idx, __ATOMIC_RELEASE);
}

void vring_kick_always(struct ring *vr)
{
	uint64_t one = 1;

	if (write(vr->kick, &one, sizeof(one)) != sizeof(one))
		vt_fatal("kick: %s", strerror(errno));
}

void vring_kick(struct ring *vr)
{
	barrier_full();
	if (vr->event_idx) {
		uint16_t event = __atomic_load_n(vring_avail_event_field(vr), __ATOMIC_RELAXED);
		uint16_t old = vr->kicked;

		vr->kicked = vr->avail_idx;
		if (!vring_need_event(event, vr->avail_idx, old))
			return;
	} else if (__atomic_load_n(&vr->used->flags, __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY) {
		return;
	}
	vring_kick_always(vr);
}

void vring_want_calls(struct ring *vr, bool want)
{
	vr->avail->flags = want ? 0 : VRING_AVAIL_F_NO_INTERRUPT;
	barrier_full();
}

void vring_call_after(struct ring *vr, uint16_t count)
{
	vr->avail->ring[vr->num] = vr->used_seen + count - 1;
	barrier_full();
}

static void chain_free(struct ring *vr, uint16_t head)
{
	unsigned int n = vr->count[head];

	/* Backwards, so that the same chain gets the same descriptors again. */
	while (n--) {
		uint16_t i = head;
		unsigned int k;

		for (k = 0; k < n; k++)
			i = vr->next[i];
		vr->free[vr->nfree++] = i;
	}
}

unsigned int vring_reap(struct ring *vr)
{
	unsigned int n = 0;

	while (vr->used_seen != __atomic_load_n(&vr->used->idx, __ATOMIC_ACQUIRE)) {
		struct vring_used_elem e = vr->used->ring[vr->used_seen % vr->num];

		vr->used_seen++;
		n++;
		if (e.id >= vr->num || !vr->owner[e.id]) {
			vr->strangers++;
			vt_note("used element for head %u, which is not in flight", e.id);
			continue;
		}
		vr->owner[e.id]->returned++;
		vr->owner[e.id]->len = e.len;
		vr->owner[e.id] = NULL;
		vr->inflight--;
		chain_free(vr, e.id);
	}
	return n;
}

static bool is_back(struct ring *vr, struct outcome *o)
{
	vring_reap(vr);
	return o ? o->returned : !vr->inflight;
}

bool vring_wait(struct ring *vr, struct outcome *o, unsigned int ms)
{
	uint64_t end = vt_now_ms() + ms;

	for (;;) {
		struct pollfd p = { .fd = vr->call, .events = POLLIN };
		uint64_t now;

		if (vr->event_idx) {
			vring_reap(vr);
			vring_call_after(vr, 1);
		}
		if (is_back(vr, o))
			return true;
		now = vt_now_ms();
		if (now >= end)
			return false;
		if (poll(&p, 1, end - now) <= 0 && is_back(vr, o)) {
			vr->uncalled++;
			return true;
		}
		eventfd_take(vr->call);
	}
}

bool vring_drain(struct ring *vr, unsigned int ms)
{
	return vring_wait(vr, NULL, ms);
}

uint64_t eventfd_take(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}
