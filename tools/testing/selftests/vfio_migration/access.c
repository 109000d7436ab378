// SPDX-License-Identifier: GPL-2.0
/* The migration region: what it looks like, and who may access what of it, how. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "kselftest_harness.h"

FIXTURE(access)
{
	struct space *space;
	struct device *d;
	size_t section;
};

FIXTURE_SETUP(access)
{
	self->space = space_new(BY_GROUP);
	self->d = device_up(self->space, MCOPY);
	self->section = v1_section_size(self->d);
}

FIXTURE_TEARDOWN(access)
{
	undo_all();
}

static const struct {
	uint64_t at;
	size_t width;
} registers[] = {
	{ REG(device_state), 4 },
	{ REG(pending_bytes), 8 },
	{ REG(data_offset), 8 },
	{ REG(data_size), 8 },
};

static bool is_register(uint64_t at, size_t width)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(registers); i++)
		if (registers[i].at == at && registers[i].width == width)
			return true;
	return false;
}

TEST_F(access, registers_are_read_at_their_width_alone)
{
	static const size_t widths[] = { 1, 2, 3, 4, 5, 7, 8, 12, 16, 32, 4096 };
	uint8_t buf[4096];
	uint64_t at;

	for (unsigned int i = 0; i < ARRAY_SIZE(widths); i++)
		for (at = 0; at < 64; at++) {
			long want = is_register(at, widths[i]) ?
				(long)widths[i] : -EINVAL;

			EXPECT_EQ(want, device_read(self->d, self->d->migration,
						    at, buf, widths[i])) {
				TH_LOG("%zu bytes at %lu", widths[i], at);
			}
		}
	for (at = 64; at < PAGE; at += 4)
		EXPECT_EQ(-EINVAL, device_read(self->d, self->d->migration, at,
					       buf, 4));
}

TEST_F(access, registers_are_written_at_their_width_and_direction_alone)
{
	static const size_t widths[] = { 1, 2, 3, 4, 5, 7, 8, 12, 16, 4096 };
	uint8_t one[4096] = { VFIO_MIGRATION_REGION_RUNNING };
	uint64_t at;

	for (unsigned int i = 0; i < ARRAY_SIZE(widths); i++)
		for (at = 0; at < PAGE; at += at < 64 ? 1 : 61) {
			bool state = at == REG(device_state) && widths[i] == 4;

			if (at + widths[i] > PAGE)
				continue;
			EXPECT_EQ(state ? 4 : -EINVAL,
				  device_write(self->d, self->d->migration, at,
					       one, widths[i])) {
				TH_LOG("%zu bytes at %lu", widths[i], at);
			}
		}
	EXPECT_EQ(1, v1_state(self->d));
}

TEST_F(access, data_section_is_accessed_at_any_offset_inside)
{
	static const size_t lengths[] = { 1, 2, 3, 8, 13, 4096, 5000, 70000 };
	static uint8_t in[70000], out[70000];
	const uint64_t end = PAGE + self->section;

	for (unsigned int i = 0; i < ARRAY_SIZE(lengths); i++) {
		const uint64_t places[] = {
			PAGE, PAGE + 1, PAGE + 4095, end - lengths[i],
		};

		for (unsigned int j = 0; j < ARRAY_SIZE(places); j++) {
			memset(in, i * 16 + j + 1, lengths[i]);
			EXPECT_EQ(lengths[i],
				  device_write(self->d, self->d->migration,
					       places[j], in, lengths[i]));
			EXPECT_EQ(lengths[i],
				  device_read(self->d, self->d->migration,
					      places[j], out, lengths[i]));
			EXPECT_EQ(0, memcmp(in, out, lengths[i]));
		}
	}
}

TEST_F(access, range_that_leaves_the_data_section_is_refused)
{
	const uint64_t end = PAGE + self->section;
	static uint8_t buf[8192];
	const struct {
		uint64_t at;
		size_t len;
	} bad[] = {
		{ PAGE - 1, 2 }, { PAGE - 8, 16 }, { PAGE - 4096, 8192 },
		{ end - 1, 2 }, { end - 4096, 4097 }, { end, 1 },
		{ end + 4096, 8 }, { (1ULL << MCOPY_REGION_SHIFT) - 4096, 8 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, device_read(self->d, self->d->migration,
					       bad[i].at, buf, bad[i].len)) {
			TH_LOG("%zu bytes at %#lx", bad[i].len, bad[i].at);
		}
		EXPECT_EQ(-EINVAL, device_write(self->d, self->d->migration,
						bad[i].at, buf, bad[i].len));
	}
}

TEST_F(access, mapping_and_pread_show_the_same_data_section)
{
	uint8_t *map = device_mmap(self->d, self->d->migration, PAGE,
				   self->section);
	uint8_t byte = 0;

	ASSERT_NE(MAP_FAILED, (void *)map);
	map[5] = 77;
	map[self->section - 1] = 78;
	EXPECT_EQ(1, device_read(self->d, self->d->migration, PAGE + 5, &byte, 1));
	EXPECT_EQ(77, byte);
	byte = 79;
	EXPECT_EQ(1, device_write(self->d, self->d->migration,
				  PAGE + self->section - 1, &byte, 1));
	EXPECT_EQ(79, map[self->section - 1]);
	munmap(map, self->section);
}

TEST_F(access, part_of_the_data_section_can_be_mapped)
{
	uint8_t *map = device_mmap(self->d, self->d->migration, 3 * PAGE, PAGE);
	uint8_t byte = 7;

	ASSERT_NE(MAP_FAILED, (void *)map);
	EXPECT_EQ(1, device_write(self->d, self->d->migration, 3 * PAGE + 9,
				  &byte, 1));
	EXPECT_EQ(7, map[9]);
	munmap(map, PAGE);
}

TEST_F(access, only_the_data_section_can_be_mapped)
{
	const struct {
		uint64_t at;
		size_t len;
	} bad[] = {
		{ 0, PAGE }, { 0, 2 * PAGE }, { 0, PAGE + self->section },
		{ PAGE, self->section + PAGE }, { PAGE + self->section, PAGE },
		{ self->section, 2 * PAGE }, { 1ULL << 39, PAGE },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		errno = 0;
		EXPECT_EQ(MAP_FAILED, device_mmap(self->d, self->d->migration,
						  bad[i].at, bad[i].len)) {
			TH_LOG("%zu bytes at %#lx", bad[i].len, bad[i].at);
		}
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE,
				   self->d->fd, ((uint64_t)self->d->migration <<
						 MCOPY_REGION_SHIFT) + PAGE));
	EXPECT_EQ(EINVAL, errno);
}

/* An access happens as a whole or not at all: no acknowledgment of it either. */
TEST_F(access, fault_has_no_effect)
{
	void *bad = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t pending, size;

	ASSERT_NE(MAP_FAILED, bad);
	EXPECT_EQ(-EFAULT, device_write(self->d, self->d->migration,
					REG(device_state), bad, 4));
	EXPECT_EQ(1, v1_state(self->d));
	ASSERT_EQ(0, v1_set(self->d, 3));
	pending = v1_pending(self->d);
	v1_offset(self->d);
	EXPECT_EQ(-EFAULT, device_read(self->d, self->d->migration,
				       REG(data_size), bad, 8));
	EXPECT_EQ(pending, v1_pending(self->d));
	size = v1_size(self->d);
	EXPECT_LT(0, size);
	EXPECT_EQ(-EFAULT, device_read(self->d, self->d->migration,
				       REG(pending_bytes), bad, 8));
	EXPECT_EQ(size, v1_size(self->d));
	EXPECT_EQ(-EFAULT, device_read(self->d, self->d->migration, PAGE, bad, 8));
	EXPECT_GT(pending, v1_pending(self->d));
}

struct caps {
	struct vfio_region_info info;
	uint8_t room[256];
};

static void *find_cap(struct caps *caps, uint16_t id)
{
	uint32_t at = caps->info.cap_offset;

	while (at) {
		struct vfio_info_cap_header *cap = (void *)caps + at;

		if (cap->id == id)
			return cap;
		at = cap->next;
	}
	return NULL;
}

TEST_F(access, region_is_described)
{
	struct caps caps = {
		.info.argsz = sizeof(caps),
		.info.index = self->d->migration,
	};
	struct vfio_region_info_cap_sparse_mmap *sparse;
	struct vfio_region_info_cap_type *type;

	ASSERT_EQ(0, ioctl(self->d->fd, VFIO_DEVICE_GET_REGION_INFO, &caps));
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
		  VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS,
		  caps.info.flags);
	EXPECT_EQ(PAGE + MIB, caps.info.size);
	EXPECT_EQ((uint64_t)self->d->migration << MCOPY_REGION_SHIFT,
		  caps.info.offset);
	type = find_cap(&caps, VFIO_REGION_INFO_CAP_TYPE);
	ASSERT_NE(NULL, type);
	EXPECT_EQ(VFIO_REGION_TYPE_MIGRATION_DEPRECATED, type->type);
	EXPECT_EQ(VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED, type->subtype);
	sparse = find_cap(&caps, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	ASSERT_NE(NULL, sparse);
	EXPECT_EQ(1, sparse->nr_areas);
	EXPECT_EQ(PAGE, sparse->areas[0].offset);
	EXPECT_EQ(MIB, sparse->areas[0].size);
}

TEST_F(access, room_for_the_description_is_asked_for)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = self->d->migration,
	};

	ASSERT_EQ(0, ioctl(self->d->fd, VFIO_DEVICE_GET_REGION_INFO, &info));
	EXPECT_LT(sizeof(info), info.argsz);
	EXPECT_EQ(0, info.cap_offset);
	EXPECT_TRUE(info.flags & VFIO_REGION_INFO_FLAG_CAPS);
	info.argsz = sizeof(info) - 8;
	EXPECT_EQ(-1, ioctl(self->d->fd, VFIO_DEVICE_GET_REGION_INFO, &info));
	EXPECT_EQ(EINVAL, errno);
	info.argsz = sizeof(info);
	info.index = self->d->migration + 1;
	EXPECT_EQ(-1, ioctl(self->d->fd, VFIO_DEVICE_GET_REGION_INFO, &info));
	EXPECT_EQ(EINVAL, errno);
}

static int put_size(struct device *d, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/mcopy/migration_data_size", d->dir);
	return file_put(path, "%s", text);
}

TEST_F(access, size_of_the_data_section_is_an_attribute)
{
	static const char *const bad[] = {
		"0", "4096", "8191", "8193", "12289", "16781312", "-8192", "x",
		"18446744073709547520",
	};
	static const struct {
		const char *text;
		size_t size;
	} good[] = {
		{ "8192", 8192 }, { "12288", 12288 }, { "16777216", 16 * MIB },
		{ "0x100000", MIB },
	};
	char text[32];

	EXPECT_EQ(-EBUSY, put_size(self->d, "8192"));
	EXPECT_EQ(MIB, v1_section_size(self->d));
	device_close(self->d);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, put_size(self->d, bad[i])) {
			TH_LOG("'%s'", bad[i]);
		}
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(good); i++) {
		EXPECT_EQ(0, put_size(self->d, good[i].text));
		ASSERT_LT(0, file_get(vt_str("%s/mcopy/migration_data_size",
					     self->d->dir), text, sizeof(text)));
		EXPECT_EQ(good[i].size, strtoul(text, NULL, 0));
		self->space = space_new(BY_GROUP);
		ASSERT_EQ(0, device_open(self->d, self->space));
		EXPECT_EQ(good[i].size, v1_section_size(self->d));
		device_close(self->d);
	}
}

TEST_HARNESS_MAIN
