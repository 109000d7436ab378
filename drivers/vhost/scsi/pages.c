// SPDX-License-Identifier: GPL-2.0
/*
 * Guest buffers
 *
 * The data of a READ or WRITE goes between the backend and the guest's own
 * pages, which are pinned while the command runs.  Pages that the device wrote
 * are marked dirty before they are unpinned, so that file-backed guest memory
 * survives writeback and reclaim in between (G10).
 *
 * Everything else is bounced through kernel pages:
 *
 *   - buffers with a segment that does not start and end on a sector, because
 *     the block layer transfers whole sectors;
 *   - the data of other commands.  LIO maps it as if it were contiguous,
 *     clears it, looks at it several times while the guest could change it,
 *     and believes that it is as long as the command says.
 */
#include <linux/blk_types.h>
#include <linux/mm.h>
#include <linux/ratelimit.h>
#include <scsi/scsi_proto.h>

#include "scsi.h"

#define VHOST_SCSI_PIN_BATCH 16

/**
 * vhost_scsi_segs_copy - copy a part of some segments
 * @segs: to fill
 * @iov: segments
 * @count: their number
 * @skip: bytes to skip
 * @len: bytes to cover, not more than there are
 *
 * Context: process.
 * Return: 0 or -ENOMEM.
 */
int vhost_scsi_segs_copy(struct vhost_scsi_segs *segs, const struct iovec *iov,
			 unsigned int count, size_t skip, size_t len)
{
	struct iovec *to = &segs->one;
	unsigned int n = 0;
	size_t left;

	while (skip && skip >= iov->iov_len) {
		skip -= iov->iov_len;
		iov++;
		count--;
	}
	if (unlikely(iov->iov_len - skip < len)) {
		left = len + skip;
		while (left) {
			left -= min(left, iov[n].iov_len);
			n++;
		}
		to = kmalloc_array(n, sizeof(*to), GFP_KERNEL_ACCOUNT |
				   __GFP_NOWARN);
		if (!to)
			return -ENOMEM;
	}

	segs->iov = to;
	for (n = 0; len; n++) {
		to[n].iov_base = iov[n].iov_base + skip;
		to[n].iov_len = min(len, iov[n].iov_len - skip);
		len -= to[n].iov_len;
		skip = 0;
	}
	segs->count = n;
	return 0;
}

/**
 * vhost_scsi_segs_free - free what vhost_scsi_segs_copy() has allocated
 * @segs: segments, or zeroes
 */
void vhost_scsi_segs_free(struct vhost_scsi_segs *segs)
{
	if (segs->iov != &segs->one)
		kfree(segs->iov);
	segs->iov = NULL;
	segs->count = 0;
}

/**
 * vhost_scsi_segs_write - write to the guest
 * @segs: where
 * @from: what
 * @len: bytes
 *
 * Context: in the owner's address space.  May wait for guest memory.
 * Return: false if a part could not be written.
 */
bool vhost_scsi_segs_write(const struct vhost_scsi_segs *segs,
			   const void *from, size_t len)
{
	struct iov_iter iter;

	if (likely(segs->count == 1))
		return !copy_to_user(segs->iov->iov_base, from, len);
	iov_iter_init(&iter, ITER_DEST, segs->iov, segs->count, len);
	return copy_to_iter(from, len, &iter) == len;
}

/**
 * vhost_scsi_bounce_map - use kernel pages for a part of some segments
 * @vs: device
 * @bounce: to fill
 * @iov: segments
 * @count: their number
 * @skip: bytes to skip
 * @len: bytes
 * @in: the device writes; otherwise the data is copied now
 *
 * Context: worker.
 * Return: 0; -ENOMEM; -EFAULT if the data could not be read.
 */
int vhost_scsi_bounce_map(struct vhost_scsi *vs,
			  struct vhost_scsi_bounce *bounce,
			  const struct iovec *iov, unsigned int count,
			  size_t skip, u32 len, bool in)
{
	int pages = DIV_ROUND_UP(len, PAGE_SIZE);
	struct scatterlist *sg;
	struct iov_iter iter;
	int i, r;

	if (atomic_add_return(pages, &vs->bounce_pages) >
	    VHOST_SCSI_MAX_BOUNCE_PAGES) {
		r = -ENOMEM;
		goto uncount;
	}
	/* Zeroed: neither guest nor disk must get to see old memory. */
	bounce->sgl = sgl_alloc_order(len, 0, false,
				      GFP_KERNEL_ACCOUNT | __GFP_NOWARN |
				      __GFP_ZERO, &bounce->nents);
	if (!bounce->sgl) {
		r = -ENOMEM;
		goto uncount;
	}
	bounce->len = len;

	if (in) {
		r = vhost_scsi_segs_copy(&bounce->segs, iov, count, skip, len);
		if (r)
			goto free;
		return 0;
	}

	iov_iter_init(&iter, ITER_SOURCE, iov, count, skip + len);
	iov_iter_advance(&iter, skip);
	for_each_sg(bounce->sgl, sg, bounce->nents, i) {
		if (copy_page_from_iter(sg_page(sg), sg->offset, sg->length,
					&iter) != sg->length) {
			r = -EFAULT;
			goto free;
		}
	}
	return 0;

free:
	sgl_free_n_order(bounce->sgl, bounce->nents, 0);
	bounce->sgl = NULL;
uncount:
	bounce->nents = 0;
	atomic_sub(pages, &vs->bounce_pages);
	return r;
}

/**
 * vhost_scsi_bounce_finish - copy data to the guest and free the pages
 * @vs: device
 * @bounce: what vhost_scsi_bounce_map() has filled, or zeroes
 * @copy: bytes to copy, for data-in
 *
 * Context: process; in the owner's address space if @copy is not 0.
 * Return: 0, or -EFAULT if a part could not be copied.
 */
int vhost_scsi_bounce_finish(struct vhost_scsi *vs,
			     struct vhost_scsi_bounce *bounce, u32 copy)
{
	struct scatterlist *sg;
	struct iov_iter iter;
	int i, r = 0;

	if (likely(!bounce->sgl))
		return 0;

	if (bounce->segs.iov && copy) {
		iov_iter_init(&iter, ITER_DEST, bounce->segs.iov,
			      bounce->segs.count, bounce->len);
		for_each_sg(bounce->sgl, sg, bounce->nents, i) {
			u32 n = min(copy, sg->length);

			if (copy_page_to_iter(sg_page(sg), sg->offset, n,
					      &iter) != n) {
				r = -EFAULT;
				break;
			}
			copy -= n;
			if (!copy)
				break;
		}
	}
	vhost_scsi_segs_free(&bounce->segs);
	sgl_free_n_order(bounce->sgl, bounce->nents, 0);
	bounce->sgl = NULL;
	bounce->nents = 0;
	atomic_sub(DIV_ROUND_UP(bounce->len, PAGE_SIZE), &vs->bounce_pages);
	return r;
}

/**
 * vhost_scsi_cdb_is_rw - is this a READ or WRITE?
 * @cdb: command
 *
 * Return: true if the data is transferred as it is, by LIO and by the block
 * layer.
 */
bool vhost_scsi_cdb_is_rw(const u8 *cdb)
{
	/* The top bits tell the length: READ and WRITE of 6, 10, 16, 12 bytes. */
	const u8 groups = BIT(0) | BIT(1) | BIT(4) | BIT(5);

	switch (cdb[0] & 0x1f) {
	case READ_6:
	case WRITE_6:
		return groups & BIT(cdb[0] >> 5);
	case WRITE_VERIFY & 0x1f:
		return cdb[0] == WRITE_VERIFY || cdb[0] == WRITE_VERIFY_16;
	case VARIABLE_LENGTH_CMD & 0x1f:
		return cdb[0] == VARIABLE_LENGTH_CMD && !cdb[8] &&
		       (cdb[9] == READ_32 || cdb[9] == WRITE_32);
	}
	return false;
}

/*
 * Does every segment start and end on a sector?  Counts the pages that they
 * touch, too.
 */
static bool vhost_scsi_segs_aligned(const struct iovec *iov, size_t skip,
				    u32 len, unsigned int *pages)
{
	bool aligned = true;

	*pages = 0;
	for (; len; iov++) {
		unsigned long addr = (unsigned long)iov->iov_base + skip;
		u32 n = min_t(size_t, len, iov->iov_len - skip);

		aligned &= IS_ALIGNED(addr | n, SECTOR_SIZE);
		*pages += DIV_ROUND_UP(offset_in_page(addr) + n, PAGE_SIZE);
		len -= n;
		skip = 0;
	}
	return aligned;
}

static void vhost_scsi_unpin(struct vhost_scsi_data *data, bool dirty)
{
	struct scatterlist *sg;
	int i;

	if (!data->pinned.orig_nents)
		return;
	for_each_sg(data->pinned.sgl, sg, data->pinned.nents, i)
		unpin_user_page_range_dirty_lock(sg_page(sg),
						 DIV_ROUND_UP(sg->offset +
							      sg->length,
							      PAGE_SIZE),
						 dirty);
	sg_free_table_chained(&data->pinned, VHOST_SCSI_INLINE_SG);
	data->pinned.nents = 0;
	data->pinned.orig_nents = 0;
}

/* Does a page follow what @sg holds already, also physically? */
static bool vhost_scsi_sg_continues(struct scatterlist *sg,
				    struct page *page, unsigned int offset)
{
	return sg && !offset &&
	       page_to_phys(sg_page(sg)) + sg->offset + sg->length ==
	       page_to_phys(page) &&
	       !is_zone_device_page(page);
}

static int vhost_scsi_pin(struct vhost_scsi_data *data,
			  const struct iovec *iov, size_t skip, u32 len,
			  unsigned int npages)
{
	struct page *pages[VHOST_SCSI_PIN_BATCH];
	struct scatterlist *sg = NULL;
	int i, got;

	data->pinned.sgl = data->inl;
	if (sg_alloc_table_chained(&data->pinned, npages, data->inl,
				   VHOST_SCSI_INLINE_SG)) {
		/* Half a table may be left. */
		data->pinned.orig_nents = 0;
		return -ENOMEM;
	}
	data->pinned.nents = 0;

	while (len) {
		unsigned long addr = (unsigned long)iov->iov_base + skip;
		u32 left = min_t(size_t, len, iov->iov_len - skip);

		len -= left;
		while (left) {
			unsigned int offset = offset_in_page(addr);
			int want = DIV_ROUND_UP(offset + left, PAGE_SIZE);

			got = pin_user_pages_fast(addr,
						  min(want, VHOST_SCSI_PIN_BATCH),
						  data->in ? FOLL_WRITE : 0,
						  pages);
			if (unlikely(got <= 0))
				goto fail;
			for (i = 0; i < got; i++) {
				u32 n = min_t(u32, left, PAGE_SIZE - offset);

				if (vhost_scsi_sg_continues(sg, pages[i],
							    offset)) {
					sg->length += n;
				} else {
					sg = sg ? sg_next(sg) :
						  data->pinned.sgl;
					sg_set_page(sg, pages[i], n, offset);
					data->pinned.nents++;
				}
				addr += n;
				left -= n;
				offset = 0;
			}
		}
		skip = 0;
		iov++;
	}
	sg_mark_end(sg);
	return 0;

fail:
	vhost_scsi_unpin(data, false);
	return got == -ENOMEM ? -ENOMEM : -EFAULT;
}

/**
 * vhost_scsi_data_map - make the guest's buffer one for LIO
 * @q: queue
 * @data: to fill; zeroes
 * @iov: segments
 * @count: their number
 * @skip: bytes to skip
 * @len: bytes, not 0
 * @in: the device writes
 * @cdb: the command
 *
 * Context: worker, vq->mutex held.  May wait for guest memory.
 * Return: 0; -ENOMEM; -EFAULT if the guest has no such memory.
 */
int vhost_scsi_data_map(struct vhost_scsi_queue *q,
			struct vhost_scsi_data *data, const struct iovec *iov,
			unsigned int count, size_t skip, u32 len, bool in,
			const u8 *cdb)
{
	unsigned int pages;

	data->in = in;
	while (skip && skip >= iov->iov_len) {
		skip -= iov->iov_len;
		iov++;
		count--;
	}
	if (vhost_scsi_cdb_is_rw(cdb) &&
	    vhost_scsi_segs_aligned(iov, skip, len, &pages))
		return vhost_scsi_pin(data, iov, skip, len, pages);

	q->stats.bounced++;
	return vhost_scsi_bounce_map(q->vs, &data->bounce, iov, count, skip,
				     len, in);
}

/**
 * vhost_scsi_data_finish - let go of a command's buffer
 * @vs: device
 * @data: what vhost_scsi_data_map() has filled, or zeroes
 * @copy: bytes of data-in to give to the guest, if they were bounced
 *
 * Pinned pages of a data-in buffer are marked dirty whatever @copy says: a
 * command that failed may have written to them.
 *
 * Context: process; in the owner's address space if @copy is not 0.
 * Return: 0, or -EFAULT if the guest could not be given the data.
 */
int vhost_scsi_data_finish(struct vhost_scsi *vs, struct vhost_scsi_data *data,
			   u32 copy)
{
	vhost_scsi_unpin(data, data->in);
	return vhost_scsi_bounce_finish(vs, &data->bounce, copy);
}

/**
 * vhost_scsi_log_keep - keep log entries with a request
 * @log: to fill
 * @from: entries, in the order of the chain
 * @count: their number
 *
 * Context: process.
 * Return: 0 or -ENOMEM.
 */
int vhost_scsi_log_keep(struct vhost_scsi_log *log,
			const struct vhost_log *from, unsigned int count)
{
	log->entry = log->inl;
	log->count = count;
	if (unlikely(count > VHOST_SCSI_INLINE_LOG)) {
		log->entry = kmalloc_array(count, sizeof(*from),
					   GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!log->entry)
			return -ENOMEM;
	}
	memcpy(log->entry, from, count * sizeof(*from));
	return 0;
}

/**
 * vhost_scsi_log_free - free what vhost_scsi_log_keep() has allocated
 * @log: log, or zeroes
 */
void vhost_scsi_log_free(struct vhost_scsi_log *log)
{
	if (log->entry != log->inl)
		kfree(log->entry);
	log->entry = NULL;
	log->count = 0;
}

/**
 * vhost_scsi_log_write - set dirty log entries, if logging is on
 * @q: queue
 * @entry: entries
 * @count: their number
 * @len: bytes written from the start of the first entry; U64_MAX for all
 *
 * The write itself must be over; its used element must not be published yet
 * (G4).
 *
 * Context: in the owner's address space, vq->mutex held.
 */
void vhost_scsi_log_write(struct vhost_scsi_queue *q, struct vhost_log *entry,
			  unsigned int count, u64 len)
{
	u64 total = 0;
	unsigned int i;

	if (likely(!vhost_has_feature(&q->vq, VHOST_F_LOG_ALL)) || !count)
		return;
	/* Any more than there is, and 6.12 would BUG(). */
	for (i = 0; i < count; i++)
		total += entry[i].len;
	len = min(len, total);
	if (vhost_log_write(&q->vq, entry, count, len, NULL, 0)) {
		q->stats.log_failed++;
		pr_warn_ratelimited("vhost_scsi: device %u queue %u: dirty log not writable, do not migrate this guest\n",
				    q->vs->id, q->index);
	}
}
