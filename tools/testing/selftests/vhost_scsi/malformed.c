// SPDX-License-Identifier: GPL-2.0
/*
 * G8: whatever the guest puts into a chain, its head comes back exactly once.
 * What can be answered is answered with an error; the rest comes back with
 * length 0, chains included that the vhost core refuses. Every test ends with
 * a good request on the same queue, a stop, and the fetched and used indices
 * compared.
 */
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "rig.h"

FIXTURE(malformed)
{
	struct rig rig;
	struct device *d;
	struct ring *vr;
	struct req *r;		/* a good READ to spoil */
	struct outcome o;
};

FIXTURE_SETUP(malformed)
{
	RIG_UP(&self->rig, .kind = RIG_DISK, .dev.io_queues = 2);
	self->d = &self->rig.d;
	self->vr = &self->d->q[Q_IO];
	self->r = req_read(self->d, 8, 8);
}

FIXTURE_TEARDOWN(malformed)
{
	undo_all();
}

#define IN true
#define OUT false

/* The queue works, and after a stop nothing is left in it. */
#define EXPECT_QUEUE_WELL() do {						\
	EXPECT_TRUE(scsi_alive(self->d, Q_IO));					\
	EXPECT_EQ(0, device_stop(self->d));					\
	EXPECT_RING_SETTLED(self->d, Q_IO);					\
	EXPECT_EQ(0, self->vr->inflight);					\
} while (0)

/* Posts the chain; it has to come back, untouched. */
#define EXPECT_RETURNED_EMPTY(chain) do {					\
	chain_post(chain, &self->o);						\
	vring_kick(self->vr);							\
	EXPECT_TRUE(vring_wait(self->vr, &self->o, WAIT_MS));			\
	EXPECT_EQ(1, self->o.returned);						\
	EXPECT_EQ(0, self->o.len);						\
	EXPECT_QUEUE_WELL();							\
} while (0)

/* Posts self->r; it has to come back with an error in its response. */
#define EXPECT_ANSWERED_ERROR() do {						\
	req_send(self->r, Q_IO);						\
	EXPECT_TRUE(req_wait(self->r, WAIT_MS));				\
	EXPECT_EQ(1, self->r->out_come.returned);				\
	EXPECT_TRUE(req_len_is(self->r, RESP_LEN));				\
	EXPECT_NE(VIRTIO_SCSI_S_OK, self->r->resp->response);			\
	EXPECT_QUEUE_WELL();							\
} while (0)

static void protect(void *p, size_t len, int prot)
{
	void *page = (void *)((uintptr_t)p & ~(PAGE - 1));

	if (mprotect(page, (uint8_t *)p + len - (uint8_t *)page, prot))
		vt_fatal("mprotect");
}

TEST_F(malformed, header_one_byte_short)
{
	self->r->seg[0].len--;
	EXPECT_ANSWERED_ERROR();
}

TEST_F(malformed, header_of_every_length_too_short)
{
	for (uint32_t len = 0; len < self->r->hdr_len; len++) {
		self->r->seg[0].len = len;
		ASSERT_RUNS(self->r, Q_IO);
		ASSERT_EQ(1, self->r->out_come.returned);
		ASSERT_NE(VIRTIO_SCSI_S_OK, self->r->resp->response);
	}
	EXPECT_QUEUE_WELL();
}

TEST_F(malformed, header_missing)
{
	self->r->seg++;
	self->r->nout = 0;
	EXPECT_ANSWERED_ERROR();
}

TEST_F(malformed, header_unreadable)
{
	protect(self->r->hdr, self->r->hdr_len, PROT_NONE);
	EXPECT_ANSWERED_ERROR();
}

TEST_F(malformed, header_outside_guest_memory)
{
	struct chain c = chain_begin(self->vr);

	chain_add_raw(&c, 0x1000, 51, 0);
	chain_add(&c, self->r->resp, RESP_LEN, IN);
	EXPECT_RETURNED_EMPTY(&c);
}

TEST_F(malformed, response_missing)
{
	struct chain c = chain_begin(self->vr);

	chain_add(&c, self->r->hdr, 51, OUT);
	EXPECT_RETURNED_EMPTY(&c);
}

TEST_F(malformed, response_of_every_length_too_short)
{
	for (uint32_t len = 0; len < RESP_LEN; len++) {
		struct chain c = chain_begin(self->vr);

		chain_add(&c, self->r->hdr, 51, OUT);
		chain_add(&c, self->r->resp, len, IN);
		chain_post(&c, &self->o);
		vring_kick(self->vr);
		ASSERT_TRUE(vring_wait(self->vr, &self->o, WAIT_MS));
		ASSERT_EQ(1, self->o.returned);
		ASSERT_EQ(0, self->o.len);
	}
	EXPECT_QUEUE_WELL();
}

TEST_F(malformed, response_short_by_one_is_not_written)
{
	struct chain c = chain_begin(self->vr);

	chain_add(&c, self->r->hdr, 51, OUT);
	chain_add(&c, self->r->resp, RESP_LEN - 1, IN);
	EXPECT_RETURNED_EMPTY(&c);
	EXPECT_EQ(0xa5, self->r->resp->response);
}

TEST_F(malformed, response_unwritable)
{
	struct chain c = chain_begin(self->vr);

	protect(self->r->resp, RESP_LEN, PROT_READ);
	chain_add(&c, self->r->hdr, 51, OUT);
	chain_add(&c, self->r->resp, RESP_LEN, IN);
	EXPECT_RETURNED_EMPTY(&c);
}

TEST_F(malformed, response_outside_guest_memory)
{
	struct chain c = chain_begin(self->vr);

	chain_add(&c, self->r->hdr, 51, OUT);
	chain_add_raw(&c, 0xffffffff00000000ull, RESP_LEN, VRING_DESC_F_WRITE);
	EXPECT_RETURNED_EMPTY(&c);
}

TEST_F(malformed, response_beyond_the_end_of_guest_memory)
{
	struct chain c = chain_begin(self->vr);

	chain_add(&c, self->r->hdr, 51, OUT);
	chain_add_raw(&c, GUEST_BASE + self->d->guest.size - 107, RESP_LEN,
		      VRING_DESC_F_WRITE);
	EXPECT_RETURNED_EMPTY(&c);
}

TEST_F(malformed, data_in_unwritable)
{
	protect(self->r->data_in, 4096, PROT_NONE);
	EXPECT_ANSWERED_ERROR();
}

TEST_F(malformed, last_page_of_data_in_unwritable)
{
	self->r = req_read(self->d, 8, 64);
	protect(self->r->data_in + 7 * PAGE, 4096, PROT_NONE);
	EXPECT_ANSWERED_ERROR();
}

TEST_F(malformed, data_out_unreadable)
{
	self->r = req_write(self->d, 8, 8, 1);
	protect(self->r->data_out, 4096, PROT_NONE);
	EXPECT_ANSWERED_ERROR();
}

/* Data that needs the copy path, and half of it cannot be read. */
TEST_F(malformed, misaligned_data_out_unreadable_at_its_end)
{
	self->r = req_write(self->d, 8, 16, 1);
	req_misalign(self->r, 3);
	protect(self->r->data_out + PAGE, 4096, PROT_NONE);
	EXPECT_ANSWERED_ERROR();
}

TEST_F(malformed, data_outside_guest_memory)
{
	struct chain c = chain_begin(self->vr);

	chain_add(&c, self->r->hdr, 51, OUT);
	chain_add(&c, self->r->resp, RESP_LEN, IN);
	chain_add_raw(&c, 0, 4096, VRING_DESC_F_WRITE);
	EXPECT_RETURNED_EMPTY(&c);
}

TEST_F(malformed, out_after_in)
{
	struct chain c = chain_begin(self->vr);

	chain_add(&c, self->r->resp, RESP_LEN, IN);
	chain_add(&c, self->r->hdr, 51, OUT);
	EXPECT_RETURNED_EMPTY(&c);
}

TEST_F(malformed, descriptors_of_no_length_only)
{
	struct chain c = chain_begin(self->vr);

	chain_add(&c, self->r->hdr, 0, OUT);
	chain_add(&c, self->r->resp, 0, IN);
	EXPECT_RETURNED_EMPTY(&c);
}

/* 4 GiB in each of three descriptors: sums that do not fit 32 bits. */
TEST_F(malformed, lengths_that_overflow)
{
	struct chain c = chain_begin(self->vr);

	chain_add(&c, self->r->hdr, 51, OUT);
	for (int i = 0; i < 3; i++)
		chain_add_raw(&c, GUEST_BASE, 0xffffffff, VRING_DESC_F_WRITE);
	EXPECT_RETURNED_EMPTY(&c);
}

/* Each inside guest memory, together more than 4 GiB. */
TEST_F(malformed, data_in_of_more_than_4_gib)
{
	for (int i = 0; i < 120; i++)
		req_add_seg(self->r, IN, self->d->guest.mem, self->d->guest.size);
	req_send(self->r, Q_IO);
	EXPECT_TRUE(req_wait(self->r, WAIT_MS));
	EXPECT_EQ(1, self->r->out_come.returned);
	EXPECT_EQ(VIRTIO_SCSI_S_FAILURE, self->r->resp->response);
}

TEST_F(malformed, chain_that_loops)
{
	struct chain c = chain_begin(self->vr);

	chain_add(&c, self->r->hdr, 51, OUT);
	chain_add(&c, self->r->hdr, 51, OUT);
	self->vr->desc[c.last].flags |= VRING_DESC_F_NEXT;
	self->vr->desc[c.last].next = c.head;
	EXPECT_RETURNED_EMPTY(&c);
}

TEST_F(malformed, descriptor_that_follows_itself)
{
	struct chain c = chain_begin(self->vr);

	chain_add(&c, self->r->resp, RESP_LEN, IN);
	self->vr->desc[c.head].flags |= VRING_DESC_F_NEXT;
	self->vr->desc[c.head].next = c.head;
	EXPECT_RETURNED_EMPTY(&c);
}

TEST_F(malformed, next_out_of_range)
{
	struct chain c = chain_begin(self->vr);

	chain_add(&c, self->r->hdr, 51, OUT);
	self->vr->desc[c.head].flags |= VRING_DESC_F_NEXT;
	self->vr->desc[c.head].next = self->vr->num;
	EXPECT_RETURNED_EMPTY(&c);
}

/* One descriptor that calls this an indirect table. */
#define TABLE(addr, len) ({							\
	struct chain __c = chain_begin(self->vr);				\
	chain_add_raw(&__c, addr, len, VRING_DESC_F_INDIRECT);			\
	__c;									\
})

TEST_F(malformed, indirect_table_empty)
{
	struct chain c = TABLE(GUEST_BASE, 0);

	EXPECT_RETURNED_EMPTY(&c);
}

TEST_F(malformed, indirect_table_of_odd_length)
{
	struct chain c = TABLE(GUEST_BASE, 17);

	EXPECT_RETURNED_EMPTY(&c);
}

TEST_F(malformed, indirect_table_of_more_than_65536)
{
	struct chain c = TABLE(GUEST_BASE, 65537 * 16);

	EXPECT_RETURNED_EMPTY(&c);
}

TEST_F(malformed, indirect_table_outside_guest_memory)
{
	struct chain c = TABLE(0x1000, 32);

	EXPECT_RETURNED_EMPTY(&c);
}

TEST_F(malformed, indirect_table_unreadable)
{
	void *table = guest_alloc(&self->d->guest, PAGE, PAGE);
	struct chain c = TABLE(guest_addr(&self->d->guest, table), 32);

	protect(table, PAGE, PROT_NONE);
	EXPECT_RETURNED_EMPTY(&c);
}

TEST_F(malformed, indirect_table_in_an_indirect_table)
{
	struct chain c = chain_begin_indirect(self->vr);

	chain_add_raw(&c, GUEST_BASE, 32, VRING_DESC_F_INDIRECT);
	EXPECT_RETURNED_EMPTY(&c);
}

TEST_F(malformed, indirect_next_out_of_the_table)
{
	struct chain c = chain_begin_indirect(self->vr);

	chain_add(&c, self->r->hdr, 51, OUT);
	chain_add(&c, self->r->resp, RESP_LEN, IN);
	c.table[1].flags |= VRING_DESC_F_NEXT;
	c.table[1].next = 2;
	EXPECT_RETURNED_EMPTY(&c);
}

/* More than the 1024 segments that the vhost core takes. */
TEST_F(malformed, more_segments_than_the_core_takes)
{
	struct chain c = chain_begin_indirect(self->vr);

	chain_add(&c, self->r->hdr, 51, OUT);
	chain_add(&c, self->r->resp, RESP_LEN, IN);
	for (int i = 0; i < 1100; i++)
		chain_add(&c, self->r->data_in, 512, IN);
	EXPECT_RETURNED_EMPTY(&c);
}

/* In one kick: every second one is bad, and each comes back. */
TEST_F(malformed, good_and_bad_in_one_batch)
{
	struct outcome bad[20];
	struct req *good[20];

	for (int i = 0; i < 20; i++) {
		struct chain c = chain_begin(self->vr);

		good[i] = req_read(self->d, i * 8, 8);
		req_post(good[i], Q_IO);
		if (i % 2)
			chain_add_raw(&c, 0x1000, 51, 0);
		else
			chain_add(&c, self->r->hdr, 51, OUT);
		chain_post(&c, &bad[i]);
	}
	vring_kick(self->vr);
	EXPECT_TRUE(vring_drain(self->vr, WAIT_MS));
	EXPECT_EQ(0, reqs_not_good(good, 20));
	for (int i = 0; i < 20; i++) {
		EXPECT_EQ(1, bad[i].returned);
		EXPECT_EQ(0, bad[i].len);
	}
	EXPECT_QUEUE_WELL();
}

/* A bad chain does not keep what comes after it waiting for another kick. */
TEST_F(malformed, one_kick_is_enough_for_a_hundred_bad_chains)
{
	struct outcome o[100];

	for (int i = 0; i < 100; i++) {
		struct chain c = chain_begin(self->vr);

		chain_add_raw(&c, 0x1000, 51, 0);
		chain_post(&c, &o[i]);
	}
	vring_kick(self->vr);
	EXPECT_TRUE(vring_drain(self->vr, WAIT_MS));
	EXPECT_QUEUE_WELL();
}

/* Anything at all inside the descriptors; the heads are in range. */
TEST_F_TIMEOUT(malformed, random_chains_all_come_back, 60)
{
	uint8_t *area = guest_alloc(&self->d->guest, 64 * PAGE, PAGE);
	struct ring *vr = self->vr;
	struct outcome o[64];

	srand(20);
	for (int round = 0; round < 60; round++) {
		for (int i = 0; i < 32; i++) {
			struct chain c = chain_begin(vr);
			int n = 1 + rand() % 4;

			for (int k = 0; k < n && vr->nfree; k++) {
				uint64_t at = guest_addr(&self->d->guest, area) +
					      rand() % (32 * PAGE);

				if (rand() % 8 == 0)
					at = (uint64_t)rand() << (rand() % 33);
				chain_add_raw(&c, at, rand() % 3 ? rand() % 256 : rand() % PAGE,
					      (rand() % 2 ? VRING_DESC_F_WRITE : 0) |
					      (rand() % 9 ? 0 : VRING_DESC_F_INDIRECT));
				if (rand() % 10 == 0) {
					vr->desc[c.last].flags |= VRING_DESC_F_NEXT;
					vr->desc[c.last].next = rand();
				}
			}
			if (c.head < 0)
				break;
			chain_post(&c, &o[i]);
		}
		vring_kick(vr);
		ASSERT_TRUE(vring_drain(vr, WAIT_MS));
		ASSERT_EQ(0, vr->strangers);
	}
	EXPECT_QUEUE_WELL();
}

/* What has no head to return stops its ring, and only that one. */
#define EXPECT_RING_STOPPED_ALONE() do {					\
	struct req *__r = req_read(self->d, 0, 8);				\
	req_post(__r, Q_IO);							\
	vring_kick_always(self->vr);						\
	EXPECT_FALSE(req_wait(__r, 200));					\
	EXPECT_TRUE(scsi_alive(self->d, Q_IO + 1));				\
	EXPECT_EQ(0, device_stop(self->d));					\
	EXPECT_RING_SETTLED(self->d, Q_IO);					\
	vring_reset(self->vr, 0);						\
	ASSERT_EQ(0, device_set_ring(self->d, Q_IO));				\
	ASSERT_EQ(0, device_start(self->d, NULL));				\
	EXPECT_TRUE(scsi_alive(self->d, Q_IO));					\
	EXPECT_TRUE(scsi_alive(self->d, Q_IO + 1));				\
} while (0)

TEST_F(malformed, head_out_of_range_stops_that_ring_until_the_next_start)
{
	vring_post_head(self->vr, self->vr->num);
	EXPECT_RING_STOPPED_ALONE();
}

TEST_F(malformed, head_65535_stops_that_ring_until_the_next_start)
{
	vring_post_head(self->vr, 0xffff);
	EXPECT_RING_STOPPED_ALONE();
}

TEST_F(malformed, avail_index_that_jumps_stops_that_ring_until_the_next_start)
{
	self->vr->avail_idx += self->vr->num + 1;
	EXPECT_RING_STOPPED_ALONE();
}

TEST_F(malformed, avail_ring_unreadable_stops_that_ring_until_the_next_start)
{
	struct req *r = req_read(self->d, 0, 8);

	req_post(r, Q_IO);
	protect(self->vr->avail, PAGE, PROT_NONE);
	vring_kick_always(self->vr);
	EXPECT_FALSE(req_wait(r, 200));
	EXPECT_TRUE(scsi_alive(self->d, Q_IO + 1));
	protect(self->vr->avail, PAGE, PROT_READ | PROT_WRITE);
	EXPECT_EQ(0, device_stop(self->d));
	EXPECT_EQ(0, device_start(self->d, NULL));
	EXPECT_TRUE(req_wait(r, WAIT_MS));
}

TEST_F(malformed, the_guest_is_told_by_the_error_eventfd)
{
	eventfd_take(self->vr->err);
	vring_post_head(self->vr, self->vr->num);
	vring_kick(self->vr);
	EXPECT_TRUE(vt_until(eventfd_take(self->vr->err), 1000));
}

TEST_HARNESS_MAIN
