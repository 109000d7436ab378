// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"

#define BUS		"/sys/bus/mdev/devices"
#define UUID_BEGIN	"c0ffee00-"
#define STREAM_PIECE	(512 << 10)

static void close_fd(void *arg)
{
	close((int)(long)arg);
}

struct space *space_new(enum space_kind kind)
{
	struct space *space = vt_zalloc(sizeof(*space));

	space->kind = kind;
	space->fd = open(kind == BY_CDEV ? "/dev/iommu" : "/dev/vfio/vfio",
			 O_RDWR | O_CLOEXEC);
	if (space->fd < 0 && kind == BY_CDEV)
		vt_skip("the kernel has no iommufd");
	if (space->fd < 0)
		vt_fatal("/dev/vfio/vfio: %s", strerror(errno));
	undo_push(close_fd, (void *)(long)space->fd);
	if (kind == BY_CDEV) {
		struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

		if (ioctl(space->fd, IOMMU_IOAS_ALLOC, &alloc))
			vt_fatal("IOMMU_IOAS_ALLOC: %s", strerror(errno));
		space->ioas = alloc.out_ioas_id;
	}
	return space;
}

void space_map(struct space *space, void *mem, size_t size, uint64_t iova)
{
	struct iommu_ioas_map ioas = {
		.size = sizeof(ioas),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = space->ioas,
		.user_va = (uintptr_t)mem,
		.length = size,
		.iova = iova,
	};
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)mem,
		.iova = iova,
		.size = size,
	};

	if (space->kind == BY_CDEV ? ioctl(space->fd, IOMMU_IOAS_MAP, &ioas) :
				     ioctl(space->fd, VFIO_IOMMU_MAP_DMA, &map))
		vt_fatal("mapping memory for DMA: %s", strerror(errno));
}

/*
 * Removing a device waits until nobody has it open, whatever comes: never in a
 * test that may have forgotten a mapping, but when its process is gone.
 */
static void sweep(void)
{
	DIR *dir = opendir(BUS);
	struct dirent *entry;
	unsigned int pid;

	while (dir && (entry = readdir(dir)))
		if (sscanf(entry->d_name, UUID_BEGIN "%*4x-4000-8000-%12x",
			   &pid) == 1 && (pid == getpid() || kill(pid, 0))) {
			char path[320];

			snprintf(path, sizeof(path), BUS "/%s/remove",
				 entry->d_name);
			file_put(path, "1");
		}
	if (dir)
		closedir(dir);
}

static void close_device(void *arg)
{
	device_close(arg);
}

struct device *device_new(const char *type)
{
	struct device *d = vt_zalloc(sizeof(*d));
	const char *slash = strchr(type, '/');
	static bool swept;
	int ret;

	if (!swept)
		sweep();
	swept = true;
	d->group = -1;
	d->fd = -1;
	d->migration = strcmp(type, MINIMAL) ? MCOPY_MIGRATION_REGION : 2;
	snprintf(d->uuid, sizeof(d->uuid), UUID_BEGIN "%04x-4000-8000-%012x",
		 vt_serial() & 0xffff, getpid());
	snprintf(d->dir, sizeof(d->dir), BUS "/%s", d->uuid);
	ret = file_put(vt_str("/sys/class/mdev_bus/%.*s/mdev_supported_types/%s/create",
			      (int)(slash - type), type, slash + 1),
		       "%s", d->uuid);
	if (ret)
		vt_fatal("creating a device of type %s: %s", type,
			 strerror(-ret));
	undo_push(close_device, d);
	return d;
}

bool device_exists(const struct device *d)
{
	return file_exists(d->dir);
}

int device_remove(struct device *d)
{
	return file_put(vt_str("%s/remove", d->dir), "1");
}

static int open_group(struct device *d, struct space *space)
{
	char target[256];
	ssize_t len = readlink(vt_str("%s/iommu_group", d->dir), target,
			       sizeof(target) - 1);

	if (len < 0)
		return -errno;
	target[len] = 0;
	d->group = open(vt_str("/dev/vfio/%s", strrchr(target, '/') + 1),
			O_RDWR | O_CLOEXEC);
	if (d->group < 0)
		return -errno;
	if (ioctl(d->group, VFIO_GROUP_SET_CONTAINER, &space->fd))
		return -errno;
	if (!space->set && ioctl(space->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return -errno;
	space->set = true;
	d->fd = ioctl(d->group, VFIO_GROUP_GET_DEVICE_FD, d->uuid);
	return d->fd < 0 ? -errno : 0;
}

static int open_cdev(struct device *d, struct space *space)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = space->fd,
	};
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = space->ioas,
	};
	DIR *dir = opendir(vt_str("%s/vfio-dev", d->dir));
	struct dirent *entry;
	char name[64] = "";

	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, "vfio", 4))
			snprintf(name, sizeof(name), "%.32s", entry->d_name);
	if (dir)
		closedir(dir);
	d->fd = open(vt_str("/dev/vfio/devices/%s", name), O_RDWR | O_CLOEXEC);
	if (d->fd < 0)
		return -errno;
	if (ioctl(d->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) ||
	    ioctl(d->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		return -errno;
	return 0;
}

static off_t position(unsigned int region, uint64_t at)
{
	return ((uint64_t)region << MCOPY_REGION_SHIFT) + at;
}

int device_open(struct device *d, struct space *space)
{
	int ret = space->kind == BY_CDEV ? open_cdev(d, space) :
					   open_group(d, space);

	if (ret) {
		device_close(d);
		return ret;
	}
	if (d->migration != MCOPY_MIGRATION_REGION)
		return 0;
	d->size = device_get(d, BAR0, MCOPY_REG_MEM_SIZE, 8);
	d->mem = mmap(NULL, d->size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd,
		      position(BAR2, 0));
	if (d->mem == MAP_FAILED)
		vt_fatal("mapping device memory: %s", strerror(errno));
	device_put(d, CONFIG, 4, 6, 2);	/* PCI_COMMAND: memory, bus master */
	return 0;
}

void device_close(struct device *d)
{
	if (d->mem)
		munmap(d->mem, d->size);
	if (d->fd >= 0)
		close(d->fd);
	if (d->group >= 0)
		close(d->group);
	d->mem = NULL;
	d->fd = -1;
	d->group = -1;
}

struct device *device_up(struct space *space, const char *type)
{
	struct device *d = device_new(type);
	int ret = device_open(d, space);

	if (ret)
		vt_fatal("opening %s: %s", d->uuid, strerror(-ret));
	return d;
}

int device_reset(struct device *d)
{
	return ioctl(d->fd, VFIO_DEVICE_RESET) ? -errno : 0;
}

long device_read(struct device *d, unsigned int region, uint64_t at, void *buf,
		 size_t len)
{
	ssize_t ret = pread(d->fd, buf, len, position(region, at));

	return ret < 0 ? -errno : ret;
}

long device_write(struct device *d, unsigned int region, uint64_t at,
		  const void *buf, size_t len)
{
	ssize_t ret = pwrite(d->fd, buf, len, position(region, at));

	return ret < 0 ? -errno : ret;
}

uint64_t device_get(struct device *d, unsigned int region, uint64_t at,
		    size_t width)
{
	uint64_t value = 0;
	long ret = device_read(d, region, at, &value, width);

	if (ret != (long)width)
		vt_fatal("reading %zu bytes at %#lx of region %u: %ld", width,
			 at, region, ret);
	return value;
}

void device_put(struct device *d, unsigned int region, uint64_t at,
		uint64_t value, size_t width)
{
	long ret = device_write(d, region, at, &value, width);

	if (ret != (long)width)
		vt_fatal("writing %zu bytes at %#lx of region %u: %ld", width,
			 at, region, ret);
}

void *device_mmap(struct device *d, unsigned int region, uint64_t at,
		  size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd,
		    position(region, at));
}

int device_irq(struct device *d, unsigned int index, int eventfd)
{
	uint32_t buf[sizeof(struct vfio_irq_set) / 4 + 1] = {};
	struct vfio_irq_set *set = (void *)buf;

	set->argsz = sizeof(buf);
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = index;
	set->count = 1;
	memcpy(set->data, &eventfd, sizeof(eventfd));
	return ioctl(d->fd, VFIO_DEVICE_SET_IRQS, set) ? -errno : 0;
}

int device_feature(struct device *d, uint32_t flags, void *data, size_t len)
{
	uint64_t buf[16] = {};
	struct vfio_device_feature *feature = (void *)buf;

	feature->argsz = sizeof(*feature) + len;
	feature->flags = flags;
	if (len)
		memcpy(feature->data, data, len);
	if (ioctl(d->fd, VFIO_DEVICE_FEATURE, feature))
		return -errno;
	if (len)
		memcpy(data, feature->data, len);
	return 0;
}

int v1_set(struct device *d, uint32_t state)
{
	long ret = device_write(d, d->migration, REG(device_state), &state, 4);

	return ret == 4 ? 0 : ret;
}

uint32_t v1_state(struct device *d)
{
	return device_get(d, d->migration, REG(device_state), 4);
}

uint64_t v1_pending(struct device *d)
{
	return device_get(d, d->migration, REG(pending_bytes), 8);
}

uint64_t v1_offset(struct device *d)
{
	return device_get(d, d->migration, REG(data_offset), 8);
}

uint64_t v1_size(struct device *d)
{
	return device_get(d, d->migration, REG(data_size), 8);
}

int v1_put_size(struct device *d, uint64_t size)
{
	long ret = device_write(d, d->migration, REG(data_size), &size, 8);

	return ret == 8 ? 0 : ret;
}

size_t v1_section_size(struct device *d)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = d->migration,
	};

	if (ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &info))
		vt_fatal("migration region: %s", strerror(errno));
	return info.size - PAGE;
}

int v2_set(struct device *d, uint32_t state, int *fd)
{
	struct vfio_device_feature_mig_state mig = {
		.device_state = state,
		.data_fd = -1,
	};
	int ret = device_feature(d, VFIO_DEVICE_FEATURE_SET |
				 VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
				 &mig, sizeof(mig));

	if (ret)
		mig.data_fd = -1;
	if (fd)
		*fd = mig.data_fd;
	if (mig.data_fd >= 0 && !fd)
		close(mig.data_fd);
	return ret;
}

uint32_t v2_state(struct device *d)
{
	struct vfio_device_feature_mig_state mig = {};
	int ret = device_feature(d, VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
				 &mig, sizeof(mig));

	if (ret)
		vt_fatal("getting the state: %s", strerror(-ret));
	return mig.device_state;
}

uint64_t v2_flags(struct device *d)
{
	struct vfio_device_feature_migration mig = {};
	int ret = device_feature(d, VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_MIGRATION,
				 &mig, sizeof(mig));

	if (ret)
		vt_fatal("VFIO_DEVICE_FEATURE_MIGRATION: %s", strerror(-ret));
	return mig.flags;
}

uint64_t v2_data_size(struct device *d)
{
	struct vfio_device_feature_mig_data_size size = {};
	int ret = device_feature(d, VFIO_DEVICE_FEATURE_GET |
				 VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
				 &size, sizeof(size));

	if (ret)
		vt_fatal("VFIO_DEVICE_FEATURE_MIG_DATA_SIZE: %s",
			 strerror(-ret));
	return size.stop_copy_length;
}

int v2_info(int fd, struct vfio_precopy_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	return ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, info) ? -errno : 0;
}

struct stream *stream_new(size_t room)
{
	struct stream *s = vt_zalloc(sizeof(*s));

	s->data = vt_zalloc(room);
	s->room = room;
	return s;
}

/* One iteration as the specification of the region has it. */
static long take_chunk(struct device *d, struct stream *s)
{
	uint64_t at = v1_offset(d), size = v1_size(d);
	long ret;

	if (s->len + size > s->room)
		return -ENOSPC;
	ret = size ? device_read(d, d->migration, at, s->data + s->len, size) : 0;
	if (ret > 0)
		s->len += ret;
	return ret;
}

long stream_some(struct device *d, int fd, struct stream *s, size_t len)
{
	ssize_t ret;

	if (fd < 0)
		return take_chunk(d, s);
	if (len > s->room - s->len)
		return -ENOSPC;
	ret = read(fd, s->data + s->len, len);
	if (ret > 0)
		s->len += ret;
	return ret < 0 ? -errno : ret;
}

int stream_save(struct device *d, int fd, struct stream *s)
{
	long ret;

	if (fd < 0) {
		while (v1_pending(d)) {
			ret = take_chunk(d, s);
			if (ret <= 0)
				return ret;
		}
		return 0;
	}
	do {
		size_t room = s->room - s->len;

		ret = stream_some(d, fd, s, room < STREAM_PIECE ? room :
				  STREAM_PIECE);
	} while (ret > 0);
	return ret;
}

static int put_chunks(struct device *d, const uint8_t *data, size_t len)
{
	size_t most = v1_section_size(d);

	while (len) {
		size_t part = len < most ? len : most;
		long ret = device_write(d, d->migration, v1_offset(d), data,
					part);

		if (ret != (long)part)
			return ret < 0 ? ret : -EIO;
		ret = v1_put_size(d, part);
		if (ret)
			return ret;
		data += part;
		len -= part;
	}
	return 0;
}

int stream_load(struct device *d, int fd, const void *data, size_t len)
{
	if (fd < 0)
		return put_chunks(d, data, len);
	while (len) {
		ssize_t ret = write(fd, data, len < STREAM_PIECE ? len :
				    STREAM_PIECE);

		if (ret <= 0)
			return ret ? -errno : -EIO;
		data += ret;
		len -= ret;
	}
	return 0;
}

uint32_t v1_value(uint32_t state)
{
	static const uint32_t value[NR_STATES] = {
		[STOP] = 0,
		[RUNNING] = VFIO_MIGRATION_REGION_RUNNING,
		[STOP_COPY] = VFIO_MIGRATION_REGION_SAVING,
		[PRE_COPY] = VFIO_MIGRATION_REGION_RUNNING |
			     VFIO_MIGRATION_REGION_SAVING,
		[RESUMING] = VFIO_MIGRATION_REGION_RESUMING,
		[ERROR] = VFIO_MIGRATION_REGION_ERROR,
		[RUNNING_P2P] = ~0U,
		[PRE_COPY_P2P] = ~0U,
	};

	return value[state];
}

int abi_set(struct device *d, enum version abi, uint32_t state, int *fd)
{
	int unused;

	if (!fd)
		fd = &unused;
	*fd = -1;
	return abi == V1 ? v1_set(d, v1_value(state)) : v2_set(d, state, fd);
}

struct stream *abi_save(struct device *d, enum version abi)
{
	struct stream *s = stream_new(d->size + d->size / 64 + MIB);
	int fd, ret;

	ret = abi_set(d, abi, STOP_COPY, &fd) ?: stream_save(d, fd, s) ?:
	      abi_set(d, abi, RUNNING, NULL);
	if (fd >= 0)
		close(fd);
	if (ret)
		vt_fatal("saving the device: %s", strerror(-ret));
	return s;
}

bool kernel_is_debug(void)
{
	return file_exists("/sys/kernel/debug/kmemleak");
}

static void __attribute__((constructor)) device_init(void)
{
	undo_leftovers(sweep);
	file_put("/sys/kernel/rcu_expedited", "1");
}
