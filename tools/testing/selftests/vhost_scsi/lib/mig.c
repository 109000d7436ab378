// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "mig.h"

void mig_need(void)
{
	struct vhost_scsi_mig_info info = { .argsz = sizeof(info) };
	const char *module = getenv("LAB_MODULE");
	int fd = open("/dev/vhost-scsi", O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0)
		vt_fatal("/dev/vhost-scsi: %s", strerror(errno));
	ret = ioctl(fd, VHOST_SCSI_MIG_GET_INFO, &info) ? errno : 0;
	close(fd);
	if (!ret)
		return;
	if (module && !strcmp(module, "ours"))
		vt_fatal("VHOST_SCSI_MIG_GET_INFO: %s", strerror(ret));
	/* Some kernels ask for an owner, or for a ring, before they say so. */
	vt_skip("the driver has no migration state (%s)", strerror(ret));
}

int mig_info(struct device *d, struct vhost_scsi_mig_info *info)
{
	return device_ioctl(d, VHOST_SCSI_MIG_GET_INFO, info);
}

int mig_blockers(struct device *d, struct vhost_scsi_mig_blocker *b, unsigned int max)
{
	size_t size = sizeof(struct vhost_scsi_mig_info) + max * sizeof(*b);
	struct vhost_scsi_mig_info *info = calloc(1, size);
	int ret;

	if (!info)
		vt_fatal("out of memory");
	info->argsz = size;
	ret = mig_info(d, info);
	if (!ret) {
		ret = info->nr_blockers;
		memcpy(b, info->blockers, (ret < max ? ret : max) * sizeof(*b));
	}
	free(info);
	return ret;
}

int mig_status_get(struct device *d, struct vhost_scsi_mig_status *st)
{
	memset(st, 0, sizeof(*st));
	st->argsz = sizeof(*st);
	return device_ioctl(d, VHOST_SCSI_MIG_GET_STATE, st);
}

struct vhost_scsi_mig_status mig_status(struct device *d)
{
	struct vhost_scsi_mig_status st;
	int ret = mig_status_get(d, &st);

	if (ret)
		vt_fatal("VHOST_SCSI_MIG_GET_STATE: %s", strerror(-ret));
	return st;
}

int mig_state(struct device *d)
{
	struct vhost_scsi_mig_status st;
	int ret = mig_status_get(d, &st);

	return ret ? ret : (int)st.state;
}

int mig_set_flags(struct device *d, uint32_t state, uint32_t flags, uint32_t timeout_ms)
{
	struct vhost_scsi_mig_set_state set = {
		.argsz = sizeof(set), .flags = flags, .state = state,
		.timeout_ms = timeout_ms,
	};

	return device_ioctl(d, VHOST_SCSI_MIG_SET_STATE, &set);
}

int mig_set(struct device *d, uint32_t state)
{
	return mig_set_flags(d, state, 0, 0);
}

int mig_data(struct device *d, uint32_t flags, const char *wwpn)
{
	struct vhost_scsi_mig_data data = { .argsz = sizeof(data), .flags = flags };

	if (wwpn)
		snprintf(data.wwpn, sizeof(data.wwpn), "%s", wwpn);
	return device_ioctl(d, VHOST_SCSI_MIG_DATA_FD, &data);
}

int mig_check_get(struct device *d, struct vhost_scsi_mig_check *check)
{
	memset(check, 0, sizeof(*check));
	check->argsz = sizeof(*check);
	return device_ioctl(d, VHOST_SCSI_MIG_CHECK, check);
}

struct vhost_scsi_mig_check mig_check(struct device *d)
{
	struct vhost_scsi_mig_check check;
	int ret = mig_check_get(d, &check);

	if (ret)
		vt_fatal("VHOST_SCSI_MIG_CHECK: %s", strerror(-ret));
	return check;
}

int mig_eventfd(struct device *d, int fd)
{
	struct vhost_scsi_mig_eventfd e = { .argsz = sizeof(e), .fd = fd };

	return device_ioctl(d, VHOST_SCSI_MIG_SET_EVENTFD, &e);
}

struct stream *stream_new(void)
{
	struct stream *s = vt_zalloc(sizeof(*s));

	s->room = STREAM_ROOM;
	s->p = vt_zalloc(s->room);
	return s;
}

struct stream *stream_copy(const struct stream *from)
{
	struct stream *s = stream_new();

	memcpy(s->p, from->p, from->len);
	s->len = from->len;
	return s;
}

int stream_read(struct stream *s, int fd)
{
	for (;;) {
		ssize_t n = read(fd, s->p + s->len, s->room - s->len);

		if (n < 0)
			return -errno;
		if (!n)
			return s->len == s->room ? -ENOSPC : 0;
		s->len += n;
	}
}

int stream_write(const struct stream *s, int fd, size_t chunk)
{
	size_t at = 0;

	while (at < s->len) {
		size_t want = chunk && chunk < s->len - at ? chunk : s->len - at;
		ssize_t n = write(fd, s->p + at, want);

		if (n < 0)
			return -errno;
		/* The specification: all that it is given, or an error. */
		if (n != want)
			return -EIO;
		at += n;
	}
	return 0;
}

static void stream_append(struct stream *s, const void *p, size_t len)
{
	if (s->len + len > s->room)
		vt_fatal("stream of %zu bytes is full", s->room);
	if (len)
		memcpy(s->p + s->len, p, len);
	s->len += len;
}

void stream_add(struct stream *s, uint32_t type, uint16_t version, uint16_t flags,
		const void *payload, uint32_t len)
{
	struct vhost_scsi_mig_section sec = {
		.type = htole32(type), .version = htole16(version),
		.flags = htole16(flags), .length = htole32(len),
	};

	stream_append(s, &sec, sizeof(sec));
	stream_append(s, payload, len);
}

void stream_add_section(struct stream *s, const struct vhost_scsi_mig_section *sec)
{
	stream_append(s, sec, sizeof(*sec) + le32toh(sec->length));
}

struct vhost_scsi_mig_section *stream_next(const struct stream *s,
					   const struct vhost_scsi_mig_section *sec)
{
	size_t at = 0;

	if (sec)
		at = (uint8_t *)sec - s->p + sizeof(*sec) + le32toh(sec->length);
	if (at + sizeof(*sec) > s->len)
		return NULL;
	sec = (void *)(s->p + at);
	if (at + sizeof(*sec) + le32toh(sec->length) > s->len)
		return NULL;
	return (void *)sec;
}

struct vhost_scsi_mig_section *stream_find(const struct stream *s, uint32_t type)
{
	struct vhost_scsi_mig_section *sec = NULL, *found = NULL;

	while ((sec = stream_next(s, sec)))
		if (le32toh(sec->type) == type)
			found = sec;
	return found;
}

void *section_payload(const struct vhost_scsi_mig_section *sec)
{
	return (void *)(sec + 1);
}

void *stream_payload(const struct stream *s, uint32_t type)
{
	struct vhost_scsi_mig_section *sec = stream_find(s, type);

	if (!sec)
		vt_fatal("the stream has no section of type %u", type);
	return section_payload(sec);
}

uint32_t crc32c(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint32_t crc = ~0u;

	while (len--) {
		crc ^= *b++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

void stream_seal(struct stream *s)
{
	struct vhost_scsi_mig_section *sec = NULL;
	uint8_t *begin = s->p;

	while ((sec = stream_next(s, sec))) {
		uint8_t *payload = section_payload(sec);
		uint32_t crc;

		if (le32toh(sec->type) == VHOST_SCSI_MIG_HEADER)
			begin = (uint8_t *)sec;
		if (le32toh(sec->type) != VHOST_SCSI_MIG_END)
			continue;
		crc = htole32(crc32c(begin, payload - begin));
		memcpy(payload, &crc, sizeof(crc));
	}
}

void stream_from_elsewhere(struct stream *s)
{
	struct vhost_scsi_mig_header *h = stream_payload(s, VHOST_SCSI_MIG_HEADER);

	for (unsigned int i = 0; i < sizeof(h->host); i++)
		h->host[i] ^= 0x5a;
	stream_seal(s);
}

struct stream *mig_save(struct device *d)
{
	struct stream *s = stream_new();
	int fd = mig_data(d, VHOST_SCSI_MIG_DATA_SAVE, NULL), ret;

	if (fd < 0)
		vt_fatal("VHOST_SCSI_MIG_DATA_FD: %s", strerror(-fd));
	ret = stream_read(s, fd);
	if (ret)
		vt_fatal("read of the state: %s", strerror(-ret));
	close(fd);
	return s;
}

int mig_load(struct device *d, const char *wwpn, const struct stream *s, uint32_t flags)
{
	int fd, ret = mig_set(d, S_RESUME);

	if (ret)
		vt_fatal("to RESUMING: %s", strerror(-ret));
	fd = mig_data(d, VHOST_SCSI_MIG_DATA_LOAD | flags, wwpn);
	if (fd < 0)
		vt_fatal("VHOST_SCSI_MIG_DATA_FD: %s", strerror(-fd));
	ret = stream_write(s, fd, 0);
	close(fd);
	return ret;
}

void pair_up(struct pair *p, const struct pair_opts *opts)
{
	memset(p, 0, sizeof(*p));
	mig_need();
	p->bs = opts->bs ? opts->bs : backstore_ram(1, false);
	p->bd = opts->bd ? opts->bd : p->bs;
	p->ts = target_open();
	p->td = target_open();
	if (opts->destination_first)
		target_lun(p->td, 0, p->bd);
	target_lun(p->ts, 0, p->bs);
	if (!opts->destination_first)
		target_lun(p->td, 0, p->bd);
	device_open(&p->s, &opts->dev);
	device_open(&p->d, &opts->dev);
	if (device_start(&p->s, p->ts->wwpn) || scsi_clear_ua(&p->s, Q_IO, 0))
		vt_fatal("the source does not start");
}

struct stream *pair_save(struct pair *p)
{
	int ret = mig_set(&p->s, S_RUNLOG);

	if (!ret)
		ret = mig_set(&p->s, S_LOG);
	if (ret)
		vt_fatal("to LOGGING: %s", strerror(-ret));
	return mig_save(&p->s);
}

void pair_rings(struct pair *p)
{
	for (unsigned int q = 0; q < p->d.nq; q++) {
		vring_reap(&p->s.q[q]);
		vring_reset(&p->d.q[q], p->s.q[q].used_seen);
		if (device_set_ring(&p->d, q))
			vt_fatal("cannot move a ring");
	}
}

int pair_apply(struct pair *p, const struct stream *s, uint32_t flags)
{
	int ret = mig_load(&p->d, p->td->wwpn, s, flags);

	return ret ? ret : mig_set(&p->d, S_STOP);
}

int pair_move(struct pair *p)
{
	struct stream *s = pair_save(p);
	int ret = pair_apply(p, s, 0);

	if (ret)
		return ret;
	pair_rings(p);
	ret = device_start(&p->d, p->td->wwpn);
	return ret ? ret : mig_set(&p->s, S_STOP);
}

void backstore_serial(struct backstore *b, const char *serial)
{
	file_set(vt_str("%s/wwn/vpd_unit_serial", b->dir), "%s", serial);
}
