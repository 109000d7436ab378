// SPDX-License-Identifier: GPL-2.0
/* Streams that are not what they should be: cut off, damaged, forged (V9). */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"
#include "kselftest_harness.h"
#include "wire.h"

#define MARKED	3

FIXTURE(stream)
{
	struct space *space;
	struct device *d;
	struct stream *whole;	/* a section of every kind, few bytes */
	struct stream *s;	/* room for a forged one */
	struct wire *w[8];
	unsigned int nr;
	int fd;
};

FIXTURE_VARIANT(stream)
{
	enum version abi;
};

FIXTURE_VARIANT_ADD(stream, region)
{
	.abi = V1,
};

FIXTURE_VARIANT_ADD(stream, feature)
{
	.abi = V2,
};

FIXTURE_SETUP(stream)
{
	self->space = space_new(BY_GROUP);
	self->d = device_up(self->space, MCOPY);
	engine_start(self->d);
	fill(self->d->mem + MARKED * PAGE, PAGE, 1);
	self->whole = abi_save(self->d, variant->abi);
	self->nr = wire_sections(self->whole, self->w, 8);
	ASSERT_EQ(6, self->nr);
	self->s = stream_new(2 * MIB);
	self->fd = -1;
}

FIXTURE_TEARDOWN(stream)
{
	undo_all();
}

static size_t offset_of(struct _test_data_stream *self, unsigned int section)
{
	return (void *)self->w[section] - (void *)self->whole->data;
}

static void begin_load(struct __test_metadata *_metadata,
		       struct _test_data_stream *self, enum version abi)
{
	if (self->fd >= 0)
		close(self->fd);
	ASSERT_EQ(0, device_reset(self->d));
	ASSERT_EQ(0, abi_set(self->d, abi, RESUMING, &self->fd));
}

/* Not only now: by every later write, and by every change of the state. */
static void expect_poisoned(struct __test_metadata *_metadata,
			    struct _test_data_stream *self, enum version abi, int error)
{
	uint8_t byte = 0;

	EXPECT_EQ(error, stream_load(self->d, self->fd, &byte, 1));
	EXPECT_EQ(error, stream_load(self->d, self->fd, self->whole->data,
				     self->whole->len));
	EXPECT_EQ(error, abi_set(self->d, abi, STOP, NULL));
	EXPECT_EQ(error, abi_set(self->d, abi, RUNNING, NULL));
	EXPECT_EQ(RESUMING, v2_state(self->d));
}

/* A reset leaves it, and leaves nothing of it. */
static void expect_recovery(struct __test_metadata *_metadata,
			    struct _test_data_stream *self, enum version abi)
{
	static const uint8_t zero[PAGE];

	ASSERT_EQ(0, device_reset(self->d));
	EXPECT_EQ(RUNNING, v2_state(self->d));
	EXPECT_EQ(0, memcmp(self->d->mem + MARKED * PAGE, zero, PAGE));
	EXPECT_EQ(0, device_get(self->d, BAR0, MCOPY_REG_CTRL, 4));
}

/* Loads it section by section; the last one is refused, with this error. */
static void expect_refused(struct __test_metadata *_metadata,
			   struct _test_data_stream *self, enum version abi,
			   struct stream *s, int error)
{
	size_t at = 0;

	begin_load(_metadata, self, abi);
	while (at < s->len) {
		struct wire *w = wire_at(s->data + at, s->len - at);
		size_t len = w ? wire_length(w) : s->len - at;
		bool last = at + len == s->len;

		ASSERT_EQ(last ? error : 0,
			  stream_load(self->d, self->fd, s->data + at, len)) {
			TH_LOG("section at %zu of %zu", at, s->len);
		}
		at += len;
	}
	expect_poisoned(_metadata, self, abi, error);
}

TEST_F(stream, truncated_anywhere_is_not_accepted)
{
	const unsigned int stride = kernel_is_debug() ? 11 : 1;

	for (size_t n = 0; n < self->whole->len; n += stride) {
		begin_load(_metadata, self, variant->abi);
		ASSERT_EQ(0, stream_load(self->d, self->fd, self->whole->data,
					 n));
		ASSERT_EQ(-EINVAL, abi_set(self->d, variant->abi,
					   n % 2 ? STOP : RUNNING, NULL)) {
			TH_LOG("%zu of %zu bytes", n, self->whole->len);
		}
		ASSERT_EQ(RESUMING, v2_state(self->d));
	}
	/* The rest completes it, so it was no error. */
	begin_load(_metadata, self, variant->abi);
	ASSERT_EQ(0, stream_load(self->d, self->fd, self->whole->data, 500));
	ASSERT_EQ(-EINVAL, abi_set(self->d, variant->abi, STOP, NULL));
	ASSERT_EQ(0, stream_load(self->d, self->fd, self->whole->data + 500,
				 self->whole->len - 500));
	EXPECT_EQ(0, abi_set(self->d, variant->abi, STOP, NULL));
	TH_LOG("%zu bytes of stream", self->whole->len);
}

TEST_F(stream, any_byte_flipped_is_refused_by_the_write_of_its_section)
{
	const unsigned int stride = kernel_is_debug() ? 11 : 1;
	unsigned int section = 0, i;
	uint8_t *byte;
	size_t at, end;

	for (at = 0; at < self->whole->len; at += stride) {
		while (section + 1 < self->nr && at >= offset_of(self, section + 1))
			section++;
		end = offset_of(self, section) + wire_length(self->w[section]);
		begin_load(_metadata, self, variant->abi);
		for (i = 0; i < section; i++)
			ASSERT_EQ(0, stream_load(self->d, self->fd, self->w[i],
						 wire_length(self->w[i])));
		byte = self->whole->data + at;
		*byte ^= 1 << at % 8;
		ASSERT_EQ(-EBADMSG,
			  stream_load(self->d, self->fd, self->whole->data +
				      offset_of(self, section),
				      end - offset_of(self, section))) {
			TH_LOG("byte %zu, section %u", at, section);
		}
		*byte ^= 1 << at % 8;
		ASSERT_EQ(-EBADMSG, stream_load(self->d, self->fd, byte, 1));
		ASSERT_EQ(-EBADMSG, abi_set(self->d, variant->abi,
					    at % 2 ? STOP : RUNNING, NULL));
		ASSERT_EQ(RESUMING, v2_state(self->d));
	}
	expect_poisoned(_metadata, self, variant->abi, -EBADMSG);
	expect_recovery(_metadata, self, variant->abi);
}

TEST_F(stream, byte_flipped_in_a_full_device_s_stream_is_refused)
{
	const unsigned int tries = kernel_is_debug() ? 4 : 16;
	struct stream *s;
	uint32_t seed = 7;
	size_t at;

	fill(self->d->mem, self->d->size, 5);
	s = abi_save(self->d, variant->abi);
	ASSERT_LT(self->d->size, s->len);
	for (unsigned int i = 0; i < tries; i++) {
		at = (random_next(&seed) + ((size_t)i << 20)) % s->len;
		s->data[at] ^= 0x10;
		begin_load(_metadata, self, variant->abi);
		EXPECT_EQ(-EBADMSG, stream_load(self->d, self->fd, s->data,
						s->len)) {
			TH_LOG("byte %zu", at);
		}
		EXPECT_EQ(-EBADMSG, abi_set(self->d, variant->abi, RUNNING,
					    NULL));
		s->data[at] ^= 0x10;
	}
}

TEST_F(stream, stream_of_a_device_of_another_size_is_refused)
{
	struct device *large = device_up(self->space, MCOPY_64M);
	struct stream *s;

	s = abi_save(large, variant->abi);
	s->len = wire_length((void *)s->data);
	expect_refused(_metadata, self, variant->abi, s, -EINVAL);
	ASSERT_EQ(0, abi_set(large, variant->abi, RESUMING, &self->fd));
	EXPECT_EQ(-EINVAL, stream_load(large, self->fd, self->whole->data,
				       offset_of(self, 1)));
}

TEST_F(stream, stream_of_another_kind_of_device_is_refused)
{
	struct device *other = device_up(self->space, MINIMAL);
	struct stream *s;

	s = abi_save(other, variant->abi);
	s->len = wire_length((void *)s->data);
	expect_refused(_metadata, self, variant->abi, s, -EINVAL);
	expect_recovery(_metadata, self, variant->abi);
}

/* The stream up to and with @section, for a test to change what is last. */
static struct wire *copy_until(struct _test_data_stream *self, unsigned int section)
{
	self->s->len = offset_of(self, section) + wire_length(self->w[section]);
	memcpy(self->s->data, self->whole->data, self->s->len);
	return (void *)(self->s->data + offset_of(self, section));
}

TEST_F(stream, header_that_says_something_else_is_refused)
{
	static const struct {
		const char *what;
		size_t at;	/* in the payload */
		int error;
	} cases[] = {
		{ "format", offsetof(struct wire_header, format), -EOPNOTSUPP },
		{ "version", offsetof(struct wire_header, version), -EOPNOTSUPP },
		{ "size", offsetof(struct wire_header, size), -EINVAL },
		{ "final size", offsetof(struct wire_header, final_size), -EINVAL },
		{ "name", offsetof(struct wire_header, name), -EINVAL },
		{ "after the name", offsetof(struct wire_header, name) + 31, -EINVAL },
	};
	struct wire *w;

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		w = copy_until(self, 0);
		w->payload[cases[i].at]++;
		wire_seal(w);
		TH_LOG("%s", cases[i].what);
		expect_refused(_metadata, self, variant->abi, self->s,
			       cases[i].error);
	}
	expect_recovery(_metadata, self, variant->abi);
}

static void forge(struct wire *w, unsigned int how)
{
	switch (how) {
	case 0:
		w->magic++;
		break;
	case 1:
		w->type = 0;
		break;
	case 2:
		w->type = WIRE_END + 1;
		break;
	case 3:
		w->type = WIRE_END;	/* and has a payload */
		break;
	case 4:
		w->type = WIRE_HEADER;	/* and no sequence of one */
		break;
	case 5:
		w->sequence--;
		break;
	case 6:
		w->sequence++;
		break;
	case 7:
		w->sequence = 0;
		break;
	case 8:
		w->sequence = ~0U;
		break;
	}
}

TEST_F(stream, section_out_of_order_is_refused_with_the_best_of_checksums)
{
	struct wire *w;

	for (unsigned int how = 0; how <= 8; how++) {
		w = copy_until(self, 2);
		forge(w, how);
		wire_seal(w);
		TH_LOG("forgery %u", how);
		expect_refused(_metadata, self, variant->abi, self->s, -EBADMSG);
	}
}

/* Believed, it would be a write far beyond the buffer. */
TEST_F(stream, length_beyond_the_largest_is_refused_by_the_header_of_the_section)
{
	static const uint32_t lengths[] = {
		WIRE_PIECE_MAX + 1, 1 << 20, 0x7fffffff, ~0U, ~0U - 31,
	};
	struct wire *w;

	for (unsigned int i = 0; i < ARRAY_SIZE(lengths); i++) {
		w = copy_until(self, 2);
		self->s->len = (uint8_t *)(w + 1) - self->s->data;
		w->length = lengths[i];
		wire_seal_header(w);
		begin_load(_metadata, self, variant->abi);
		ASSERT_EQ(0, stream_load(self->d, self->fd, self->s->data,
					 self->s->len - sizeof(*w)));
		EXPECT_EQ(-EBADMSG, stream_load(self->d, self->fd, w,
						sizeof(*w)));
		expect_poisoned(_metadata, self, variant->abi, -EBADMSG);
	}
}

TEST_F(stream, stream_that_begins_in_the_middle_is_refused)
{
	for (unsigned int i = 1; i < self->nr; i++) {
		begin_load(_metadata, self, variant->abi);
		EXPECT_EQ(-EBADMSG, stream_load(self->d, self->fd, self->w[i],
						wire_length(self->w[i])));
		expect_poisoned(_metadata, self, variant->abi, -EBADMSG);
	}
}

TEST_F(stream, section_left_out_repeated_or_after_the_end_is_refused)
{
	unsigned int i;

	for (i = 0; i + 2 < self->nr; i++) {
		copy_until(self, i);
		memcpy(self->s->data + self->s->len, self->w[i + 2],
		       wire_length(self->w[i + 2]));
		self->s->len += wire_length(self->w[i + 2]);
		expect_refused(_metadata, self, variant->abi, self->s, -EBADMSG);
	}
	for (i = 1; i < self->nr; i++) {
		copy_until(self, i);
		memcpy(self->s->data + self->s->len, self->w[i],
		       wire_length(self->w[i]));
		self->s->len += wire_length(self->w[i]);
		expect_refused(_metadata, self, variant->abi, self->s, -EBADMSG);
	}
	copy_until(self, self->nr - 1);
	wire_add(self->s, WIRE_PIECE, WIRE_DEVICE, self->nr, 0,
		 self->w[4]->payload, self->w[4]->length);
	expect_refused(_metadata, self, variant->abi, self->s, -EBADMSG);
}

/* An end that comes early: the write is right, what is missing is not. */
TEST_F(stream, end_with_pieces_missing_is_not_accepted)
{
	for (unsigned int i = 0; i + 2 < self->nr; i++) {
		copy_until(self, i);
		wire_add(self->s, WIRE_END, 0, i + 1, 0, NULL, 0);
		begin_load(_metadata, self, variant->abi);
		ASSERT_EQ(0, stream_load(self->d, self->fd, self->s->data,
					 self->s->len));
		EXPECT_EQ(-EINVAL, abi_set(self->d, variant->abi, RUNNING,
					   NULL)) {
			TH_LOG("the end after section %u", i);
		}
		EXPECT_EQ(RESUMING, v2_state(self->d));
	}
}

TEST_F(stream, memory_that_the_device_does_not_have_is_refused)
{
	const uint64_t size = self->d->size;
	const struct {
		uint64_t arg, len;	/* len: of zeroes, or 0: a page of data */
		uint32_t length;	/* of the payload */
	} cases[] = {
		{ size, 0, PAGE }, { size - PAGE, 0, 2 * PAGE }, { 1, 0, PAGE },
		{ 512, 0, PAGE }, { ~0UL - 4095, 0, PAGE }, { 0, 0, PAGE - 1 },
		{ 0, 0, PAGE + 1 }, { 0, 0, 0 }, { ~0UL - 4095, 0, 2 * PAGE },
		{ size, PAGE, 8 }, { 0, size + PAGE, 8 }, { PAGE, size, 8 },
		{ 0, 1, 8 }, { 8, PAGE, 8 }, { PAGE, ~0UL - 4095, 8 },
		{ 0, PAGE, 7 }, { 0, PAGE, 9 }, { 0, PAGE, 0 },
	};
	static uint8_t payload[3 * PAGE];
	uint16_t kind;

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(payload, 1, sizeof(payload));
		kind = WIRE_PAGES;
		if (cases[i].len) {
			memcpy(payload, &cases[i].len, 8);
			kind = WIRE_ZERO;
		}
		copy_until(self, 0);
		wire_add(self->s, WIRE_PIECE, kind, 1, cases[i].arg, payload,
			 cases[i].length);
		TH_LOG("%u bytes at %#lx", cases[i].length, cases[i].arg);
		expect_refused(_metadata, self, variant->abi, self->s, -EINVAL);
	}
	copy_until(self, 0);
	wire_add(self->s, WIRE_PIECE, 0, 1, 0, payload, PAGE);
	expect_refused(_metadata, self, variant->abi, self->s, -EINVAL);
	copy_until(self, 0);
	wire_add(self->s, WIRE_PIECE, WIRE_DEVICE + 1, 1, 0, payload, 8);
	expect_refused(_metadata, self, variant->abi, self->s, -EINVAL);
}

/* Registers and the engine's position, as struct mcopy_state has them. */
TEST_F(stream, state_that_the_device_cannot_have_is_refused)
{
	enum {
		CTRL = 24, HALTED = 28, INT_STATUS = 32, INT_ENABLE = 36,
		RING_LEN = 40, HEAD = 44, TAIL = 48, FETCHED = 52, DONE = 56,
		STATUS = 60, CONFIG_AT = 96,
	};
	static const struct {
		unsigned int at;
		uint32_t value;
	} cases[] = {
		{ CTRL, 2 }, { CTRL, ~0U }, { HALTED, 2 }, { INT_STATUS, 8 },
		{ INT_ENABLE, 0x80000000 }, { RING_LEN, 0 }, { RING_LEN, 3 },
		{ RING_LEN, 8192 }, { 0, 1 }, { TAIL, RING_SIZE + 1 },
		{ HEAD, 1 }, { FETCHED, 2 }, { FETCHED, 1 }, { DONE, 1 },
		{ STATUS, 1 }, { CONFIG_AT, 0x86868086 }, { CONFIG_AT + 8, 0 },
		{ CONFIG_AT + 0x40, 0x11 },
	};
	struct wire *w;

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		w = copy_until(self, 4);
		memcpy(w->payload + cases[i].at, &cases[i].value, 4);
		wire_seal(w);
		TH_LOG("%#x at %u", cases[i].value, cases[i].at);
		expect_refused(_metadata, self, variant->abi, self->s, -EINVAL);
	}
	w = copy_until(self, 4);
	w->arg = 1;
	wire_seal(w);
	expect_refused(_metadata, self, variant->abi, self->s, -EINVAL);
	w = copy_until(self, 4);
	w->length--;
	wire_seal(w);
	self->s->len--;
	expect_refused(_metadata, self, variant->abi, self->s, -EINVAL);
	expect_recovery(_metadata, self, variant->abi);
}

/* QEMU 7.2: a session that was cut off, and a full one after it. */
TEST_F(stream, header_at_a_section_boundary_begins_anew)
{
	struct device *other = device_up(self->space, MCOPY);
	struct stream *second;

	fill(other->mem + 50 * PAGE, PAGE, 2);
	device_put(other, BAR0, MCOPY_REG_SCRATCH, 0x55, 8);
	second = abi_save(other, variant->abi);
	for (unsigned int i = 0; i <= self->nr; i++) {
		size_t cut = i == self->nr ? self->whole->len :
					     offset_of(self, i);

		begin_load(_metadata, self, variant->abi);
		ASSERT_EQ(0, stream_load(self->d, self->fd, self->whole->data,
					 cut));
		ASSERT_EQ(0, stream_load(self->d, self->fd, second->data,
					 second->len)) {
			TH_LOG("after %u sections", i);
		}
		ASSERT_EQ(0, abi_set(self->d, variant->abi, STOP, NULL));
		EXPECT_EQ(0, memcmp(self->d->mem, other->mem, self->d->size));
		EXPECT_EQ(0x55, device_get(self->d, BAR0, MCOPY_REG_SCRATCH, 8));
		EXPECT_EQ(0, device_get(self->d, BAR0, MCOPY_REG_CTRL, 4));
	}
	/* Begun anew and not completed, it is not complete. */
	for (size_t n = 0; n < second->len; n += n + 1) {
		begin_load(_metadata, self, variant->abi);
		ASSERT_EQ(0, stream_load(self->d, self->fd, self->whole->data,
					 self->whole->len));
		ASSERT_EQ(0, stream_load(self->d, self->fd, second->data, n));
		EXPECT_EQ(n ? -EINVAL : 0,
			  abi_set(self->d, variant->abi, STOP, NULL));
	}
}

TEST_F(stream, header_inside_a_section_is_refused)
{
	static const size_t inside[] = { 1, 31, 32, 33, 87 };

	for (unsigned int i = 0; i < ARRAY_SIZE(inside); i++) {
		memcpy(self->s->data, self->whole->data, inside[i]);
		memcpy(self->s->data + inside[i], self->whole->data,
		       self->whole->len);
		begin_load(_metadata, self, variant->abi);
		EXPECT_EQ(-EBADMSG, stream_load(self->d, self->fd, self->s->data,
						inside[i] + self->whole->len));
	}
}

TEST_F(stream, pieces_of_any_length_are_taken)
{
	static const size_t lengths[] = { 1, 2, 3, 7, 31, 33, 4095, 4097 };
	uint8_t want[PAGE];

	fill(want, PAGE, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(lengths); i++) {
		begin_load(_metadata, self, variant->abi);
		for (size_t at = 0; at < self->whole->len; at += lengths[i]) {
			size_t left = self->whole->len - at;

			ASSERT_EQ(0, stream_load(self->d, self->fd,
						 self->whole->data + at,
						 left < lengths[i] ? left :
						 lengths[i]));
		}
		ASSERT_EQ(0, abi_set(self->d, variant->abi, STOP, NULL));
		EXPECT_EQ(0, memcmp(want, self->d->mem + MARKED * PAGE, PAGE));
	}
}

/* A length of the region that is wrong is no fault of the stream. */
TEST_F(stream, length_that_does_not_fit_the_section_changes_nothing)
{
	if (variant->abi != V1)
		SKIP(return, "a write has no other length than its own");
	begin_load(_metadata, self, V1);
	ASSERT_EQ(0, stream_load(self->d, -1, self->whole->data, 700));
	EXPECT_EQ(-EINVAL, v1_put_size(self->d, MIB + 1));
	EXPECT_EQ(-EINVAL, v1_put_size(self->d, ~0UL));
	EXPECT_EQ(0, v1_put_size(self->d, 0));
	ASSERT_EQ(0, stream_load(self->d, -1, self->whole->data + 700,
				 self->whole->len - 700));
	EXPECT_EQ(0, v1_put_size(self->d, 0));
	EXPECT_EQ(0, v1_set(self->d, 0));
}

TEST_F(stream, buffer_that_faults_is_no_fault_of_the_stream)
{
	void *bad = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	if (variant->abi != V2)
		SKIP(return, "the region's data is in the kernel already");
	begin_load(_metadata, self, V2);
	ASSERT_EQ(0, stream_load(self->d, self->fd, self->whole->data, 700));
	EXPECT_EQ(-1, write(self->fd, bad, 100));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, stream_load(self->d, self->fd, self->whole->data + 700,
				 self->whole->len - 700));
	EXPECT_EQ(0, v2_set(self->d, STOP, NULL));
}

TEST_HARNESS_MAIN
