// SPDX-License-Identifier: GPL-2.0
/* The fabric in configfs, and what the endpoint's ioctls say to it. */
#include <errno.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "rig.h"

FIXTURE(configfs)
{
	struct target *t;	/* TPG 1, without a nexus */
	struct device d;
};

FIXTURE_SETUP(configfs)
{
	self->t = target_open_bare(1);
	device_open(&self->d, &(struct device_opts){ 0 });
}

FIXTURE_TEARDOWN(configfs)
{
	undo_all();
}

static int make_dir(const char *dir)
{
	int ret = mkdir(dir, 0755) ? -errno : 0;

	if (!ret)
		rmdir(dir);
	return ret;
}

static int make_tpg(struct target *t, const char *name)
{
	return make_dir(vt_str("%s/%s", t->dir, name));
}

#define NAA "naa.6001405000000001"

TEST_F(configfs, version_is_one_line)
{
	char line[256];

	EXPECT_LT(0, file_get(VHOST_DIR "/version", line, sizeof(line)));
	EXPECT_EQ(NULL, strchr(line, '\n'));
}

TEST_F(configfs, wwn_of_every_protocol_can_be_made)
{
	EXPECT_EQ(0, make_dir(VHOST_DIR "/naa.5001405000000bad"));
	EXPECT_EQ(0, make_dir(VHOST_DIR "/fc.5001405000000bad"));
	EXPECT_EQ(0, make_dir(VHOST_DIR "/iqn.2026-11.org.example:bad"));
}

TEST_F(configfs, wwn_of_no_protocol_cannot)
{
	EXPECT_EQ(-EINVAL, make_dir(VHOST_DIR "/eui.5001405000000bad"));
	EXPECT_EQ(-EINVAL, make_dir(VHOST_DIR "/5001405000000bad"));
}

TEST_F(configfs, tpg_number_goes_to_255)
{
	EXPECT_EQ(0, make_tpg(self->t, "tpgt_0"));
	EXPECT_EQ(0, make_tpg(self->t, "tpgt_255"));
	EXPECT_EQ(-EINVAL, make_tpg(self->t, "tpgt_256"));
	EXPECT_EQ(-EINVAL, make_tpg(self->t, "tpgt_x"));
	EXPECT_EQ(-EINVAL, make_tpg(self->t, "tpgt_"));
	EXPECT_EQ(-EINVAL, make_tpg(self->t, "other_1"));
}

TEST_F(configfs, nexus_is_absent_until_written)
{
	char name[256];

	EXPECT_EQ(-ENODEV, file_get(target_path(self->t, "nexus"), name, sizeof(name)));
	ASSERT_EQ(0, target_nexus(self->t, NAA));
	EXPECT_LT(0, file_get(target_path(self->t, "nexus"), name, sizeof(name)));
	EXPECT_STREQ(NAA, name);
	EXPECT_EQ(0, target_nexus(self->t, "NULL"));
	EXPECT_EQ(-ENODEV, file_get(target_path(self->t, "nexus"), name, sizeof(name)));
}

TEST_F(configfs, nexus_may_end_in_a_newline)
{
	char name[256];

	ASSERT_EQ(0, target_nexus(self->t, NAA "\n"));
	EXPECT_LT(0, file_get(target_path(self->t, "nexus"), name, sizeof(name)));
	EXPECT_STREQ(NAA, name);
	EXPECT_EQ(0, target_nexus(self->t, "NULL\n"));
}

TEST_F(configfs, nexus_errors)
{
	EXPECT_EQ(-ENODEV, target_nexus(self->t, "NULL"));
	EXPECT_EQ(-EINVAL, target_nexus(self->t, "fc.5001405000000bad"));
	EXPECT_EQ(-EINVAL, target_nexus(self->t, "iqn.2026-11.org.example:bad"));
	EXPECT_EQ(-EINVAL, target_nexus(self->t, "nonsense"));
	EXPECT_EQ(-EINVAL, target_nexus(self->t, vt_str("naa.%0300d", 1)));
	ASSERT_EQ(0, target_nexus(self->t, NAA));
	EXPECT_EQ(-EEXIST, target_nexus(self->t, NAA));
}

TEST_F(configfs, nexus_cannot_be_removed_while_a_lun_is_linked)
{
	ASSERT_EQ(0, target_nexus(self->t, NAA));
	target_lun(self->t, 0, backstore_ram(1, false));
	EXPECT_EQ(-EBUSY, target_nexus(self->t, "NULL"));
	ASSERT_EQ(0, target_lun_unlink(self->t, 0));
	EXPECT_EQ(0, target_nexus(self->t, "NULL"));
}

TEST_F(configfs, nexus_and_tpg_cannot_be_removed_while_the_endpoint_is_set)
{
	ASSERT_EQ(0, target_nexus(self->t, NAA));
	ASSERT_EQ(0, device_start(&self->d, self->t->wwpn));
	EXPECT_EQ(-EBUSY, target_nexus(self->t, "NULL"));
	EXPECT_EQ(-1, rmdir(self->t->tpg));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, device_stop(&self->d));
	EXPECT_EQ(0, target_nexus(self->t, "NULL"));
	EXPECT_EQ(0, rmdir(self->t->tpg));
}

TEST_F(configfs, lun_can_be_linked_and_unlinked_while_the_endpoint_is_set)
{
	struct backstore *b = backstore_ram(1, false);

	ASSERT_EQ(0, target_nexus(self->t, NAA));
	ASSERT_EQ(0, device_start(&self->d, self->t->wwpn));
	EXPECT_EQ(0, target_lun_link(self->t, 4, b));
	EXPECT_EQ(0, scsi_clear_ua(&self->d, Q_IO, 4));
	EXPECT_EQ(0, target_lun_unlink(self->t, 4));
	EXPECT_NE(0, scsi_clear_ua(&self->d, Q_IO, 4));
	EXPECT_EQ(0, device_stop(&self->d));
}

TEST_F(configfs, prot_type_takes_0_1_and_3)
{
	const char *path = target_path(self->t, "attrib/fabric_prot_type");
	static const char *const good[] = { "0", "1", "3" };
	char value[16];

	for (unsigned int i = 0; i < ARRAY_SIZE(good); i++) {
		EXPECT_EQ(0, file_put(path, "%s", good[i]));
		EXPECT_LT(0, file_get(path, value, sizeof(value)));
		EXPECT_STREQ(good[i], value);
	}
	EXPECT_EQ(-EINVAL, file_put(path, "2"));
	EXPECT_EQ(-EINVAL, file_put(path, "4"));
	EXPECT_EQ(-EINVAL, file_put(path, "x"));
	EXPECT_EQ(-EINVAL, file_put(path, "-1"));
}

TEST_F(configfs, abi_version_is_1)
{
	int version = 0;

	EXPECT_EQ(0, device_ioctl(&self->d, VHOST_SCSI_GET_ABI_VERSION, &version));
	EXPECT_EQ(1, version);
	EXPECT_EQ(-EFAULT, device_ioctl(&self->d, VHOST_SCSI_GET_ABI_VERSION, NULL));
}

TEST_F(configfs, start_on_an_unknown_wwpn)
{
	EXPECT_EQ(-ENODEV, device_start(&self->d, "naa.0000000000000000"));
}

TEST_F(configfs, start_without_a_nexus)
{
	EXPECT_EQ(-ENODEV, device_start(&self->d, self->t->wwpn));
}

TEST_F(configfs, start_twice)
{
	ASSERT_EQ(0, target_nexus(self->t, NAA));
	ASSERT_EQ(0, device_start(&self->d, self->t->wwpn));
	EXPECT_EQ(-EEXIST, device_start(&self->d, self->t->wwpn));
}

TEST_F(configfs, start_on_a_wwpn_that_another_device_has)
{
	struct device other;

	device_open(&other, &(struct device_opts){ 0 });
	ASSERT_EQ(0, target_nexus(self->t, NAA));
	ASSERT_EQ(0, device_start(&self->d, self->t->wwpn));
	EXPECT_EQ(-EBUSY, device_start(&other, self->t->wwpn));
	ASSERT_EQ(0, device_stop(&self->d));
	EXPECT_EQ(0, device_start(&other, self->t->wwpn));
}

TEST_F(configfs, start_with_a_bad_argument)
{
	struct vhost_scsi_target t = { .reserved = 1 };

	EXPECT_EQ(-EFAULT, device_ioctl(&self->d, VHOST_SCSI_SET_ENDPOINT, NULL));
	EXPECT_EQ(-EOPNOTSUPP, device_ioctl(&self->d, VHOST_SCSI_SET_ENDPOINT, &t));
	EXPECT_EQ(-EFAULT, device_ioctl(&self->d, VHOST_SCSI_CLEAR_ENDPOINT, NULL));
	EXPECT_EQ(-EOPNOTSUPP, device_ioctl(&self->d, VHOST_SCSI_CLEAR_ENDPOINT, &t));
	/* A name that fills its field has no end. */
	memset(&t, 'a', sizeof(t));
	t.reserved = 0;
	EXPECT_GT(0, device_ioctl(&self->d, VHOST_SCSI_SET_ENDPOINT, &t));
}

TEST_F(configfs, start_without_an_owner)
{
	struct device bare;

	device_open_bare(&bare, &(struct device_opts){ 0 });
	ASSERT_EQ(0, target_nexus(self->t, NAA));
	EXPECT_EQ(-EFAULT, device_start(&bare, self->t->wwpn));
	/* It did not claim the TPG. */
	EXPECT_EQ(0, device_start(&self->d, self->t->wwpn));
}

TEST_F(configfs, stop_without_an_endpoint)
{
	EXPECT_EQ(0, device_stop_wwpn(&self->d, self->t->wwpn));
	EXPECT_EQ(0, device_stop_wwpn(&self->d, "naa.0000000000000000"));
}

TEST_F(configfs, features_are_those_that_are_documented)
{
	uint64_t want = F_NOTIFY_ON_EMPTY | F_INDIRECT | F_EVENT_IDX | F_LOG_ALL |
			F_ANY_LAYOUT | F_VERSION_1 | F_HOTPLUG | F_T10_PI;
	uint64_t have = 0, bad = 1ull << 40;

	EXPECT_EQ(0, device_ioctl(&self->d, VHOST_GET_FEATURES, &have));
	EXPECT_EQ(want, have & want);
	EXPECT_EQ(0, have & F_BIT(VIRTIO_SCSI_F_CHANGE));
	EXPECT_EQ(-EOPNOTSUPP, device_ioctl(&self->d, VHOST_SET_FEATURES, &bad));
	EXPECT_EQ(-EFAULT, device_ioctl(&self->d, VHOST_SET_FEATURES, NULL));
}

TEST_F(configfs, unknown_ioctl)
{
	struct vhost_vring_state s = { 0 };

	EXPECT_EQ(-ENOTTY, device_ioctl(&self->d, _IO(VHOST_VIRTIO, 0xfe), &s));
}

TEST_HARNESS_MAIN
