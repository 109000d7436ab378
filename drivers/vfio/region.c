// SPDX-License-Identifier: GPL-2.0
/*
 * Version 1 of the migration ABI: the region
 *
 * <uapi/linux/vfio_migration_region.h> is the specification.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <uapi/linux/vfio_migration_region.h>

#include "migration.h"

#define REG(name) offsetof(struct vfio_migration_region, name)

static_assert(REG(device_state) == 0);
static_assert(REG(pending_bytes) == 8);
static_assert(REG(data_offset) == 16);
static_assert(REG(data_size) == 24);
static_assert(sizeof(struct vfio_migration_region) == 32);

/* A version 1 client never sees a state without P2P: it does not know it. */
static const u8 value_of_state[] = {
	[VFIO_DEVICE_STATE_ERROR] = VFIO_MIGRATION_REGION_ERROR,
	[VFIO_DEVICE_STATE_STOP] = 0,
	[VFIO_DEVICE_STATE_RUNNING] = VFIO_MIGRATION_REGION_RUNNING,
	[VFIO_DEVICE_STATE_STOP_COPY] = VFIO_MIGRATION_REGION_SAVING,
	[VFIO_DEVICE_STATE_RESUMING] = VFIO_MIGRATION_REGION_RESUMING,
	[VFIO_DEVICE_STATE_RUNNING_P2P] = VFIO_MIGRATION_REGION_RUNNING,
	[VFIO_DEVICE_STATE_PRE_COPY] = VFIO_MIGRATION_REGION_RUNNING |
				       VFIO_MIGRATION_REGION_SAVING,
	[VFIO_DEVICE_STATE_PRE_COPY_P2P] = VFIO_MIGRATION_REGION_RUNNING |
					   VFIO_MIGRATION_REGION_SAVING,
};

static_assert(ARRAY_SIZE(value_of_state) == VFIO_DEVICE_STATE_NR);

static const enum vfio_device_mig_state state_of_value[] = {
	VFIO_DEVICE_STATE_STOP,
	VFIO_DEVICE_STATE_RUNNING,
	VFIO_DEVICE_STATE_STOP_COPY,
	VFIO_DEVICE_STATE_PRE_COPY,
	VFIO_DEVICE_STATE_RESUMING,
};

/* Is a session, or load, of this ABI open? */
static bool is_open(const struct vfio_migration *mig,
		    enum vfio_migration_mode mode)
{
	return mig->abi == VFIO_MIGRATION_ABI_REGION &&
	       vfio_migration_mode(mig->state) == mode;
}

/*
 * The boundary for what the user asks of the data section: returns where it is,
 * or NULL if the range is not wholly inside.
 */
static void *section_range(struct vfio_migration *mig, u64 pos, size_t len)
{
	if (pos < PAGE_SIZE || pos - PAGE_SIZE > mig->data_size ||
	    len > mig->data_size - (pos - PAGE_SIZE))
		return NULL;
	return mig->section + (pos - PAGE_SIZE);
}

/* Fills the data section with whole sections of the stream (V3). */
static int prepare_chunk(struct vfio_migration *mig)
{
	const size_t least = sizeof(struct vfio_migration_section) +
			     VFIO_MIGRATION_PIECE_MIN;
	size_t used = 0;
	u64 covered = 0;

	while (mig->data_size - used >= least) {
		u64 covers;
		ssize_t ret;

		ret = vfio_migration_stream_save_locked(mig,
							mig->section + used,
							mig->data_size - used,
							&covers);
		/* A failure comes again, when nothing is before it. */
		if (ret < 0 && !used)
			return ret;
		if (ret <= 0)
			break;
		used += ret;
		covered += covers;
		cond_resched();
	}
	mig->chunk = used;
	mig->chunk_covers = covered;
	mig->chunk_ready = used;
	mig->chunk_sized = false;
	return 0;
}

static ssize_t read_register(struct vfio_migration *mig, char __user *buf,
			     size_t len, u64 pos)
{
	const bool saving = is_open(mig, VFIO_MIGRATION_SAVES);
	bool acknowledge = false;
	u64 value = 0;
	int ret;

	if (pos == REG(device_state) && len == sizeof(u32)) {
		u32 state = value_of_state[mig->state];

		return copy_to_user(buf, &state, len) ? -EFAULT : len;
	}
	if (len != sizeof(u64))
		return -EINVAL;
	switch (pos) {
	case REG(pending_bytes):
		if (!saving)
			break;
		value = vfio_migration_pending(mig);
		acknowledge = mig->chunk_ready && mig->chunk_sized;
		if (acknowledge)
			value -= mig->chunk_covers;
		break;
	case REG(data_offset):
		if (saving && !mig->chunk_ready) {
			ret = prepare_chunk(mig);
			if (ret)
				return ret;
		}
		if (saving || is_open(mig, VFIO_MIGRATION_LOADS))
			value = PAGE_SIZE;
		break;
	case REG(data_size):
		if (saving && mig->chunk_ready)
			value = mig->chunk;
		break;
	default:
		return -EINVAL;
	}
	if (copy_to_user(buf, &value, len))
		return -EFAULT;

	/* What the user has seen has effects; what it has not, none. */
	if (acknowledge) {
		vfio_migration_read_done(mig, mig->chunk_covers);
		mig->chunk_ready = false;
	}
	if (pos == REG(data_size) && saving && mig->chunk_ready)
		mig->chunk_sized = true;
	return len;
}

/* The user has put @size bytes into the data section. */
static int load_chunk(struct vfio_migration *mig, u64 size)
{
	struct kvec chunk = { .iov_base = mig->section, .iov_len = size };
	struct iov_iter from;

	if (mig->abi == VFIO_MIGRATION_ABI_FEATURE)
		return -EBUSY;
	if (!is_open(mig, VFIO_MIGRATION_LOADS) || size > mig->data_size)
		return -EINVAL;
	iov_iter_kvec(&from, ITER_SOURCE, &chunk, 1, size);
	return vfio_migration_stream_load_locked(mig, &from);
}

static ssize_t write_register(struct vfio_migration *mig,
			      const char __user *buf, size_t len, u64 pos)
{
	u32 state;
	u64 size;
	int ret;

	if (pos == REG(device_state) && len == sizeof(state)) {
		if (copy_from_user(&state, buf, len))
			return -EFAULT;
		if (state >= ARRAY_SIZE(state_of_value))
			return -EINVAL;
		ret = vfio_migration_change_locked(mig,
						   VFIO_MIGRATION_ABI_REGION,
						   state_of_value[state]);
		return ret ?: len;
	}
	if (pos == REG(data_size) && len == sizeof(size)) {
		if (copy_from_user(&size, buf, len))
			return -EFAULT;
		ret = load_chunk(mig, size);
		return ret ?: len;
	}
	return -EINVAL;
}

ssize_t vfio_migration_region_read(struct vfio_migration *mig,
				   char __user *buf, size_t len, u64 pos)
{
	ssize_t ret;
	void *range;

	if (mutex_lock_killable(&mig->gate->lock))
		return -EINTR;
	range = section_range(mig, pos, len);
	if (range)
		ret = copy_to_user(buf, range, len) ? -EFAULT : len;
	else
		ret = read_register(mig, buf, len, pos);
	mutex_unlock(&mig->gate->lock);
	return ret;
}
EXPORT_SYMBOL_GPL(vfio_migration_region_read);

ssize_t vfio_migration_region_write(struct vfio_migration *mig,
				    const char __user *buf, size_t len,
				    u64 pos)
{
	ssize_t ret;
	void *range;

	if (mutex_lock_killable(&mig->gate->lock))
		return -EINTR;
	range = section_range(mig, pos, len);
	if (range)
		ret = copy_from_user(range, buf, len) ? -EFAULT : len;
	else
		ret = write_register(mig, buf, len, pos);
	mutex_unlock(&mig->gate->lock);
	return ret;
}
EXPORT_SYMBOL_GPL(vfio_migration_region_write);

/*
 * The section is there as long as the device is open, and a mapping keeps it
 * open: this cannot fail, and takes no lock, so that the user's buffer in any
 * other call can be such a mapping.
 */
static vm_fault_t region_fault(struct vm_fault *vmf)
{
	struct vfio_migration *mig = vmf->vma->vm_private_data;
	unsigned long pgoff = vmf->pgoff - READ_ONCE(mig->region_pgoff);

	vmf->page = vmalloc_to_page(mig->section + ((pgoff - 1) << PAGE_SHIFT));
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct region_vm_ops = {
	.fault = region_fault,
};

int vfio_migration_region_mmap(struct vfio_migration *mig,
			       struct vm_area_struct *vma, unsigned long pgoff)
{
	const unsigned long pages = mig->data_size >> PAGE_SHIFT;

	/* The boundary for mappings.  Page 0 has the registers. */
	if (!(vma->vm_flags & VM_SHARED) || !pgoff || pgoff > pages ||
	    vma_pages(vma) > pages - (pgoff - 1))
		return -EINVAL;
	/* Where the driver has its regions is the same every time. */
	WRITE_ONCE(mig->region_pgoff, vma->vm_pgoff - pgoff);
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = mig;
	vma->vm_ops = &region_vm_ops;
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_migration_region_mmap);

int vfio_migration_region_info(struct vfio_migration *mig,
			       struct vfio_region_info *info,
			       struct vfio_info_cap *caps)
{
	struct vfio_region_info_cap_type type = {
		.header.id = VFIO_REGION_INFO_CAP_TYPE,
		.header.version = 1,
		.type = VFIO_REGION_TYPE_MIGRATION_DEPRECATED,
		.subtype = VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED,
	};
	DEFINE_RAW_FLEX(struct vfio_region_info_cap_sparse_mmap, sparse,
			areas, 1);
	int ret;

	info->size = PAGE_SIZE + mig->data_size;
	info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
		      VFIO_REGION_INFO_FLAG_MMAP;
	ret = vfio_info_add_capability(caps, &type.header, sizeof(type));
	if (ret)
		return ret;
	sparse->header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
	sparse->header.version = 1;
	sparse->nr_areas = 1;
	sparse->areas[0].offset = PAGE_SIZE;
	sparse->areas[0].size = mig->data_size;
	return vfio_info_add_capability(caps, &sparse->header,
					struct_size(sparse, areas, 1));
}
EXPORT_SYMBOL_GPL(vfio_migration_region_info);
