// SPDX-License-Identifier: GPL-2.0
/*
 * Device memory, and which pages of it are to be sent
 *
 * Pages are allocated when they are first needed; what was never touched is
 * zero and costs nothing.  While a session is open, a page has a mark if its
 * contents have not been sent.  A page with a mark may be written by anyone in
 * any way; a page without one is mapped read-only, and the fault of the first
 * write sets the mark.
 *
 * No write is lost between the mark and the copy:
 *
 *	a mapping	mcopy_memory_mkwrite() locks the page, sets the mark, and
 *			the page stays locked until it is mapped writable.
 *			Taking a page holds that lock over: unmap, clear the
 *			mark, copy.  So a writable mapping means a mark.
 *	the engine	writes first, and sets the mark then.  Taking clears the
 *	and write(2)	mark first, and copies then.
 *	pinned pages	(O_DIRECT into a mapping) can be written at any time
 *			without a fault.  They keep their mark until the device
 *			is stopped.
 *
 * These are ordinary pages in a mapping that is not VM_PFNMAP, so that KVM maps
 * them into the guest like its memory and resolves a write to a read-only one by
 * the fault, whatever instruction it was.
 */
#include <linux/bitmap.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

#include "mcopy.h"

/* Pages taken at a time; each is locked meanwhile. */
#define RUN_MAX		(VFIO_MIGRATION_PIECE_MAX / PAGE_SIZE)
/* Untouched pages looked at under the spinlock at a time. */
#define UNTOUCHED_MAX	4096

/* The page at @index, allocated if need be; NULL if there is no memory. */
static struct page *page_get(struct mcopy_memory *mem, unsigned long index)
{
	struct page *page = READ_ONCE(mem->pages[index]);
	struct page *other;

	if (page)
		return page;
	page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!page)
		return NULL;
	/* Pairs with the address dependency of READ_ONCE(). */
	other = cmpxchg(&mem->pages[index], NULL, page);
	if (!other)
		return page;
	__free_page(page);
	return other;
}

/* A page was, or is about to be, written. */
static void mark(struct mcopy *m, unsigned long index)
{
	struct mcopy_memory *mem = &m->memory;

	spin_lock(&mem->lock);
	if (mem->logging && !__test_and_set_bit(index, mem->unsent))
		vfio_migration_dirtied(&m->mig, PAGE_SIZE);
	spin_unlock(&mem->lock);
}

static unsigned long fault_index(const struct vm_fault *vmf)
{
	/* vm_pgoff has the number of the region above the offset in it. */
	return vmf->pgoff &
	       ((1UL << (MCOPY_REGION_SHIFT - PAGE_SHIFT)) - 1);
}

static vm_fault_t mcopy_memory_fault(struct vm_fault *vmf)
{
	struct mcopy *m = vmf->vma->vm_private_data;
	unsigned long index = fault_index(vmf);
	struct page *page;

	if (index >= m->memory.nr_pages)
		return VM_FAULT_SIGBUS;
	page = page_get(&m->memory, index);
	if (!page)
		return VM_FAULT_OOM;
	get_page(page);
	vmf->page = page;
	return 0;
}

static vm_fault_t mcopy_memory_mkwrite(struct vm_fault *vmf)
{
	struct mcopy *m = vmf->vma->vm_private_data;

	lock_page(vmf->page);
	mark(m, fault_index(vmf));
	return VM_FAULT_LOCKED;
}

static const struct vm_operations_struct mcopy_memory_vm_ops = {
	.fault = mcopy_memory_fault,
	.page_mkwrite = mcopy_memory_mkwrite,
};

/* @pgoff: page offset in the region, not looked at yet. */
int mcopy_memory_mmap(struct mcopy *m, struct vm_area_struct *vma,
		      unsigned long pgoff)
{
	const unsigned long nr_pages = m->memory.nr_pages;

	if (!(vma->vm_flags & VM_SHARED) || pgoff >= nr_pages ||
	    vma_pages(vma) > nr_pages - pgoff)
		return -EINVAL;
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = m;
	vma->vm_ops = &mcopy_memory_vm_ops;
	return 0;
}

/**
 * mcopy_memory_copy() - the device or the user reads or writes memory
 * @m: the device.
 * @offset: in its memory; @offset + @len was checked against its size.
 * @buf: kernel memory.
 * @len: bytes, within a page.
 * @write: into device memory.
 *
 * Return: 0 or -ENOMEM.
 */
int mcopy_memory_copy(struct mcopy *m, u64 offset, void *buf, size_t len,
		      bool write)
{
	const unsigned long index = offset >> PAGE_SHIFT;
	struct page *page = READ_ONCE(m->memory.pages[index]);

	if (!write) {
		if (page)
			memcpy_from_page(buf, page, offset_in_page(offset), len);
		else
			memset(buf, 0, len);
		return 0;
	}
	page = page_get(&m->memory, index);
	if (!page)
		return -ENOMEM;
	memcpy_to_page(page, offset_in_page(offset), buf, len);
	mark(m, index);
	return 0;
}

static void clear(struct mcopy *m, unsigned long first, unsigned long count)
{
	unsigned long index;

	for (index = first; index < first + count; index++) {
		struct page *page = READ_ONCE(m->memory.pages[index]);

		if (page) {
			clear_highpage(page);
			mark(m, index);
		}
		if (!(index % 256))
			cond_resched();
	}
}

/* All zero; pages that were touched keep their place. */
void mcopy_memory_clear(struct mcopy *m)
{
	clear(m, 0, m->memory.nr_pages);
}

void mcopy_memory_log(struct mcopy *m, bool on)
{
	struct mcopy_memory *mem = &m->memory;

	spin_lock(&mem->lock);
	mem->logging = on;
	mem->device_unsent = on;
	mem->cursor = 0;
	if (on)
		bitmap_fill(mem->unsent, mem->nr_pages);
	spin_unlock(&mem->lock);
}

/*
 * Takes pages that nobody has touched, from @first on, and returns how many.
 * One that is being touched now gets its mark after this, under the same lock.
 */
static unsigned long take_untouched(struct mcopy_memory *mem,
				    unsigned long first)
{
	unsigned long index = first;
	unsigned long end = min(first + UNTOUCHED_MAX, mem->nr_pages);

	lockdep_assert_held(&mem->lock);
	while (index < end && test_bit(index, mem->unsent) &&
	       !READ_ONCE(mem->pages[index]))
		__clear_bit(index++, mem->unsent);
	return index - first;
}

static bool is_zero(struct page *page)
{
	void *data = kmap_local_page(page);
	bool zero = !memchr_inv(data, 0, PAGE_SIZE);

	kunmap_local(data);
	return zero;
}

/*
 * Locks and unmaps a run of pages, all zero or all not, from @first on.  Returns
 * their number; 0 if the first one is pinned, and not @stopped.
 */
static unsigned long lock_run(struct mcopy *m, unsigned long first,
			      unsigned long max, bool stopped, bool *zero)
{
	struct mcopy_memory *mem = &m->memory;
	const loff_t start = ((loff_t)VFIO_PCI_BAR2_REGION_INDEX <<
			      MCOPY_REGION_SHIFT) +
			     ((loff_t)first << PAGE_SHIFT);
	unsigned long locked, count;

	for (locked = 0; locked < max; locked++)
		lock_page(mem->pages[first + locked]);
	unmap_mapping_range(m->vdev.inode->i_mapping, start,
			    (loff_t)locked << PAGE_SHIFT, 1);

	for (count = 0; count < locked; count++) {
		struct page *page = mem->pages[first + count];
		bool z;

		if (!stopped && folio_maybe_dma_pinned(page_folio(page)))
			break;
		z = is_zero(page);
		if (count && z != *zero)
			break;
		*zero = z;
	}
	while (locked > count)
		unlock_page(mem->pages[first + --locked]);
	return count;
}

static void unlock_run(struct mcopy_memory *mem, unsigned long first,
		       unsigned long count)
{
	while (count)
		unlock_page(mem->pages[first + --count]);
}

/* How many pages from @first on have a mark and were touched? */
static unsigned long marked_run(struct mcopy_memory *mem, unsigned long first,
				unsigned long max)
{
	unsigned long count = 0;

	lockdep_assert_held(&mem->lock);
	while (count < max && first + count < mem->nr_pages &&
	       test_bit(first + count, mem->unsent) &&
	       READ_ONCE(mem->pages[first + count]))
		count++;
	return count;
}

static void fill_piece(struct vfio_migration_piece *piece, void *buf,
		       unsigned long first, unsigned long count, bool zero)
{
	piece->kind = zero ? MCOPY_PIECE_ZERO : MCOPY_PIECE_PAGES;
	piece->arg = (u64)first << PAGE_SHIFT;
	piece->covers = (u64)count << PAGE_SHIFT;
	piece->length = zero ? sizeof(__le64) : piece->covers;
	if (zero)
		put_unaligned_le64(piece->covers, buf);
}

/* Takes the run from @first on; 0 if it cannot be taken now. */
static unsigned long take_run(struct mcopy *m, unsigned long first,
			      unsigned long max,
			      struct vfio_migration_piece *piece, void *buf,
			      bool stopped)
{
	struct mcopy_memory *mem = &m->memory;
	unsigned long count, i;
	bool zero = false;

	count = lock_run(m, first, max, stopped, &zero);
	if (!count)
		return 0;
	spin_lock(&mem->lock);
	bitmap_clear(mem->unsent, first, count);
	spin_unlock(&mem->lock);

	for (i = 0; i < count; i++) {
		if (!zero)
			memcpy_from_page(buf + (i << PAGE_SHIFT),
					 mem->pages[first + i], 0, PAGE_SIZE);
		else if (!is_zero(mem->pages[first + i]))
			mark(m, first + i); /* by the engine, just now */
	}
	unlock_run(mem, first, count);
	fill_piece(piece, buf, first, count, zero);
	return count;
}

/**
 * mcopy_memory_save() - take the next pages that have a mark
 * @m: the device.
 * @piece: is filled in.
 * @buf: where the data goes.
 * @room: bytes there, at least a page.
 * @stopped: nobody is left who could unpin a page: take it.
 *
 * From where the last call left off to the end, then from the beginning: so all
 * of the snapshot is sent before any page is sent twice.
 *
 * Return: 1, or 0 if no page has a mark, or only pinned ones.
 */
int mcopy_memory_save(struct mcopy *m, struct vfio_migration_piece *piece,
		      void *buf, size_t room, bool stopped)
{
	struct mcopy_memory *mem = &m->memory;
	unsigned long index, count;
	bool wrapped = false;

	spin_lock(&mem->lock);
	for (index = mem->cursor;; index++) {
		index = find_next_bit(mem->unsent, mem->nr_pages, index);
		if (index >= mem->nr_pages) {
			if (wrapped)
				break;
			wrapped = true;
			index = -1UL;
			continue;
		}
		count = take_untouched(mem, index);
		if (count) {
			fill_piece(piece, buf, index, count, true);
			mem->cursor = index + count;
			break;
		}
		count = marked_run(mem, index, min(RUN_MAX, room >> PAGE_SHIFT));
		spin_unlock(&mem->lock);
		count = take_run(m, index, count, piece, buf, stopped);
		spin_lock(&mem->lock);
		if (count) {
			mem->cursor = index + count;
			break;
		}
	}
	spin_unlock(&mem->lock);
	return piece->covers ? 1 : 0;
}

/* While loading, a mark is a page that has not come. */
void mcopy_memory_load_begin(struct mcopy *m)
{
	struct mcopy_memory *mem = &m->memory;

	mcopy_memory_clear(m);
	spin_lock(&mem->lock);
	bitmap_fill(mem->unsent, mem->nr_pages);
	mem->device_unsent = true;
	spin_unlock(&mem->lock);
}

/* Takes pages out of a piece; its offset and lengths are not to be trusted. */
int mcopy_memory_load(struct mcopy *m, const struct vfio_migration_piece *piece,
		      const void *buf)
{
	struct mcopy_memory *mem = &m->memory;
	const bool zero = piece->kind == MCOPY_PIECE_ZERO;
	unsigned long first, count, i;
	u64 len = piece->length;

	/* The boundary for what the stream says of memory. */
	if (zero) {
		if (piece->length != sizeof(__le64))
			return -EINVAL;
		len = get_unaligned_le64(buf);
	}
	if (!len || !PAGE_ALIGNED(len) || !PAGE_ALIGNED(piece->arg) ||
	    piece->arg >= mcopy_memory_size(m) ||
	    len > mcopy_memory_size(m) - piece->arg)
		return -EINVAL;
	first = piece->arg >> PAGE_SHIFT;
	count = len >> PAGE_SHIFT;

	if (zero)
		clear(m, first, count);
	for (i = 0; i < count && !zero; i++) {
		struct page *page = page_get(mem, first + i);

		if (!page)
			return -ENOMEM;
		memcpy_to_page(page, 0, buf + (i << PAGE_SHIFT), PAGE_SIZE);
	}
	spin_lock(&mem->lock);
	bitmap_clear(mem->unsent, first, count);
	spin_unlock(&mem->lock);
	return 0;
}

/* Has everything come? */
bool mcopy_memory_load_complete(struct mcopy *m)
{
	struct mcopy_memory *mem = &m->memory;
	bool complete;

	spin_lock(&mem->lock);
	complete = !mem->device_unsent &&
		   bitmap_empty(mem->unsent, mem->nr_pages);
	spin_unlock(&mem->lock);
	return complete;
}

/* Registers or config space were written: send them again if they were sent. */
void mcopy_memory_device_dirtied(struct mcopy *m)
{
	struct mcopy_memory *mem = &m->memory;

	spin_lock(&mem->lock);
	if (mem->logging && !mem->device_unsent) {
		mem->device_unsent = true;
		vfio_migration_dirtied(&m->mig, sizeof(struct mcopy_state));
	}
	spin_unlock(&mem->lock);
}

/* Takes the mark of all that is not memory; false if there was none. */
bool mcopy_memory_device_take(struct mcopy *m)
{
	struct mcopy_memory *mem = &m->memory;
	bool taken;

	spin_lock(&mem->lock);
	taken = mem->device_unsent;
	mem->device_unsent = false;
	spin_unlock(&mem->lock);
	return taken;
}

int mcopy_memory_open(struct mcopy *m)
{
	struct mcopy_memory *mem = &m->memory;

	mem->pages = kvcalloc(mem->nr_pages, sizeof(*mem->pages),
			      GFP_KERNEL_ACCOUNT);
	mem->unsent = bitmap_zalloc(mem->nr_pages, GFP_KERNEL_ACCOUNT);
	if (mem->pages && mem->unsent)
		return 0;
	kvfree(mem->pages);
	bitmap_free(mem->unsent);
	return -ENOMEM;
}

/* Mappings keep the device open, so there is none left. */
void mcopy_memory_close(struct mcopy *m)
{
	struct mcopy_memory *mem = &m->memory;
	unsigned long index;

	for (index = 0; index < mem->nr_pages; index++) {
		if (mem->pages[index])
			put_page(mem->pages[index]);
		if (!(index % 1024))
			cond_resched();
	}
	kvfree(mem->pages);
	bitmap_free(mem->unsent);
	mem->pages = NULL;
	mem->unsent = NULL;
}
