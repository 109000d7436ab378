// SPDX-License-Identifier: GPL-2.0
/* Any layout (VIRTIO_F_ANY_LAYOUT): where descriptors begin and end is free. */
#include "kselftest_harness.h"
#include "rig.h"

FIXTURE(layout)
{
	struct rig rig;
	struct device *d;
};

/* Every test with direct chains and with one indirect table. */
FIXTURE_VARIANT(layout)
{
	bool indirect;
};

FIXTURE_VARIANT_ADD(layout, direct)
{
	.indirect = false,
};

FIXTURE_VARIANT_ADD(layout, indirect)
{
	.indirect = true,
};

FIXTURE_SETUP(layout)
{
	RIG_UP(&self->rig, .kind = RIG_DISK, .dev.num = 1024);
	self->d = &self->rig.d;
}

FIXTURE_TEARDOWN(layout)
{
	undo_all();
}

#define READ_IN(blocks, ...) ({						\
	struct req *__r = req_read(self->d, 8, blocks);			\
	req_cut_in(__r, CUT(__VA_ARGS__));				\
	__r->indirect = variant->indirect;				\
	ASSERT_RUNS(__r, Q_IO);						\
	EXPECT_GOOD(__r);						\
	EXPECT_EQ(0, pattern_diff(__r->data_in, 8, blocks, 0));		\
})

#define WRITE_OUT(blocks, ...) ({					\
	struct req *__r = req_write(self->d, 8, blocks, 3);		\
	uint8_t *__disk = vt_zalloc((blocks) * 512);			\
	req_cut_out(__r, CUT(__VA_ARGS__));				\
	__r->indirect = variant->indirect;				\
	ASSERT_RUNS(__r, Q_IO);						\
	EXPECT_GOOD(__r);						\
	disk_read(self->rig.ram, 8, __disk, (blocks) * 512);		\
	EXPECT_EQ(0, pattern_diff(__disk, 8, blocks, 3));		\
})

TEST_F(layout, read_with_one_descriptor_each)
{
	READ_IN(8, 108, 4096);
}

TEST_F(layout, write_with_one_descriptor_each)
{
	WRITE_OUT(8, 51, 4096);
}

TEST_F(layout, response_and_data_in_in_one_descriptor)
{
	READ_IN(8, 108 + 4096);
}

TEST_F(layout, header_and_data_out_in_one_descriptor)
{
	WRITE_OUT(8, 51 + 4096);
}

TEST_F(layout, header_over_many_descriptors)
{
	WRITE_OUT(8, 1, 7, 8, 3, 32, 4096);
}

TEST_F(layout, response_over_many_descriptors)
{
	READ_IN(8, 1, 4, 7, 20, 76, 4096);
}

TEST_F(layout, response_byte_by_byte_then_data)
{
	struct req *r = req_read(self->d, 8, 8);
	uint32_t lens[110];

	for (int i = 0; i < 108; i++)
		lens[i] = 1;
	lens[108] = 4096;
	lens[109] = 0;
	req_cut_in(r, lens);
	r->indirect = variant->indirect;
	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	EXPECT_EQ(0, pattern_diff(r->data_in, 8, 8, 0));
}

TEST_F(layout, boundary_of_response_inside_a_descriptor)
{
	READ_IN(8, 100, 1000, 2000, 1104);
}

TEST_F(layout, boundary_of_header_inside_a_descriptor)
{
	WRITE_OUT(8, 40, 1000, 2000, 1107);
}

TEST_F(layout, data_in_pieces_of_512)
{
	READ_IN(64, 108, 512);
}

TEST_F(layout, data_out_in_pieces_of_512)
{
	WRITE_OUT(64, 51, 512);
}

TEST_F(layout, data_in_pieces_of_odd_length)
{
	READ_IN(8, 108, 333);
}

TEST_F(layout, data_out_in_pieces_of_odd_length)
{
	WRITE_OUT(8, 51, 77);
}

TEST_F(layout, descriptors_of_no_length_are_passed_over)
{
	struct req *r = req_read(self->d, 8, 8);

	req_add_seg(r, false, r->hdr, 0);
	req_add_seg(r, true, r->resp, 0);
	r->indirect = variant->indirect;
	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	EXPECT_EQ(0, pattern_diff(r->data_in, 8, 8, 0));
}

/* Beyond what fits inline: 256 pieces of 4 KiB, nothing merges them. */
TEST_F(layout, read_of_1_mib_in_256_segments)
{
	READ_IN(2048 - 8, 108, 4096);
}

TEST_F(layout, write_of_1_mib_in_256_segments)
{
	WRITE_OUT(2048 - 8, 51, 4096);
}

/* As large as virtio-scsi's own drivers go. */
TEST_F(layout, read_of_8_mib)
{
	const unsigned int blocks = 16384 - 8;

	disk_fill(self->rig.ram, 0, 16384, 0);
	READ_IN(blocks, 108, 1 << 20);
}

TEST_F(layout, write_of_8_mib)
{
	const unsigned int blocks = 16384 - 8;

	WRITE_OUT(blocks, 51, 1 << 20);
}

TEST_F(layout, read_of_1000_segments)
{
	READ_IN(1000, 108, 512);
}

TEST_F(layout, write_of_1000_segments)
{
	WRITE_OUT(1000, 51, 512);
}

/* Data at any offset in a page, which block devices cannot take as it is. */
FIXTURE(misaligned)
{
	struct rig rig;
	struct device *d;
};

FIXTURE_VARIANT(misaligned)
{
	unsigned int offset;
	unsigned int blocks;
};

FIXTURE_VARIANT_ADD(misaligned, by_1)
{
	.offset = 1, .blocks = 8,
};

FIXTURE_VARIANT_ADD(misaligned, by_3)
{
	.offset = 3, .blocks = 8,
};

FIXTURE_VARIANT_ADD(misaligned, by_4)
{
	.offset = 4, .blocks = 8,
};

FIXTURE_VARIANT_ADD(misaligned, by_511)
{
	.offset = 511, .blocks = 8,
};

FIXTURE_VARIANT_ADD(misaligned, by_512)
{
	.offset = 512, .blocks = 64,
};

FIXTURE_VARIANT_ADD(misaligned, by_1_one_block)
{
	.offset = 1, .blocks = 1,
};

/* More pages than a bio takes: here the stock driver warns. */
FIXTURE_VARIANT_ADD(misaligned, by_1_of_1_mib)
{
	.offset = 1, .blocks = 2048 - 8,
};

FIXTURE_VARIANT_ADD(misaligned, by_511_of_1_mib)
{
	.offset = 511, .blocks = 2048 - 8,
};

/* The last block ends at the end of a page. */
FIXTURE_VARIANT_ADD(misaligned, by_3584)
{
	.offset = 3584, .blocks = 17,
};

FIXTURE_SETUP(misaligned)
{
	RIG_UP(&self->rig, .kind = RIG_DISK);
	self->d = &self->rig.d;
}

FIXTURE_TEARDOWN(misaligned)
{
	undo_all();
}

TEST_F(misaligned, read_is_exact_and_nothing_around_it_changes)
{
	struct req *r = req_read(self->d, 8, variant->blocks);
	uint32_t len = variant->blocks * 512;

	req_misalign(r, variant->offset);
	memset(r->data_in - 1, 0xa5, len + 2);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	EXPECT_EQ(0, pattern_diff(r->data_in, 8, variant->blocks, 0));
	EXPECT_EQ(0xa5, r->data_in[-1]);
	EXPECT_EQ(0xa5, r->data_in[len]);
}

TEST_F(misaligned, write_is_exact)
{
	struct req *r = req_write(self->d, 8, variant->blocks, 9);
	uint8_t *disk = vt_zalloc(variant->blocks * 512);

	req_misalign(r, variant->offset);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	disk_read(self->rig.ram, 8, disk, variant->blocks * 512);
	EXPECT_EQ(0, pattern_diff(disk, 8, variant->blocks, 9));
}

TEST_HARNESS_MAIN
