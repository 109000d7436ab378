// SPDX-License-Identifier: GPL-2.0
/*
 * Reservations move with the guest (M4): each type, over each kind of backend,
 * on one host and between two.  The test prints the table of it.
 */
#include <errno.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mig.h"
#include "pr.h"

#define KEY 0x1111

/* Two backstores that are the same disk, or one for both. */
struct storage {
	struct backstore *a, *b;
};

static struct storage storage(const char *kind, bool elsewhere)
{
	const char *serial = vt_str("moves-%s-%d-%u", kind, getpid(), vt_serial());
	struct storage s = { 0 };

	if (!strcmp(kind, "iblock")) {
		struct disk *ram = disk_ram(NULL);

		s.a = backstore_block(disk_gate(ram));
		if (elsewhere)
			s.b = backstore_block(disk_gate(ram));
	} else if (!strcmp(kind, "fileio")) {
		const char *path = vt_str("/tmp/vt-%d-%u", getpid(), vt_serial());

		s.a = backstore_file(path, 4);
		if (elsewhere)
			s.b = backstore_file(path, 4);
	} else {
		s.a = backstore_ram(4, false);
		if (elsewhere)
			s.b = backstore_ram(4, false);
	}
	backstore_serial(s.a, serial);
	if (s.b)
		backstore_serial(s.b, serial);
	else
		s.b = s.a;
	return s;
}

FIXTURE(moves)
{
	struct storage store;
	struct pair p;
	struct target *ts, *td;		/* of the witnesses */
	struct device ws, wd;		/* a third initiator, on either host */
};

FIXTURE_VARIANT(moves)
{
	const char *kind;
	bool elsewhere;
	bool destination_first;
};

FIXTURE_VARIANT_ADD(moves, iblock_on_one_host)
{
	.kind = "iblock",
};

/* What LIO finds first is not always what is meant. */
FIXTURE_VARIANT_ADD(moves, iblock_on_one_host_destination_linked_first)
{
	.kind = "iblock", .destination_first = true,
};

FIXTURE_VARIANT_ADD(moves, iblock_to_another_host)
{
	.kind = "iblock", .elsewhere = true,
};

FIXTURE_VARIANT_ADD(moves, fileio_on_one_host)
{
	.kind = "fileio",
};

FIXTURE_VARIANT_ADD(moves, fileio_to_another_host)
{
	.kind = "fileio", .elsewhere = true,
};

FIXTURE_VARIANT_ADD(moves, rd_mcp_on_one_host)
{
	.kind = "rd_mcp",
};

FIXTURE_VARIANT_ADD(moves, rd_mcp_to_another_host)
{
	.kind = "rd_mcp", .elsewhere = true,
};

static void witness_up(struct target **t, struct device *d, struct backstore *b)
{
	*t = target_open();
	target_lun(*t, 0, b);
	device_open(d, &(struct device_opts){ .mem = 8 << 20 });
	if (device_start(d, (*t)->wwpn) || scsi_clear_ua(d, Q_IO, 0))
		vt_fatal("the witness does not start");
}

FIXTURE_SETUP(moves)
{
	mig_need();
	self->store = storage(variant->kind, variant->elsewhere);
	PAIR_UP(&self->p, .bs = self->store.a, .bd = self->store.b, .dev.mem = 8 << 20,
		.destination_first = variant->destination_first);
	witness_up(&self->ts, &self->ws, self->store.a);
	if (variant->elsewhere)
		witness_up(&self->td, &self->wd, self->store.b);
}

FIXTURE_TEARDOWN(moves)
{
	undo_all();
}

static bool excludes_reads(uint8_t type)
{
	return !type || type == PR_EA || type == PR_EA_RO || type == PR_EA_AR;
}

static int take(struct device *d, uint8_t type)
{
	int ret;

	if (!type)
		return spc2_reserve(d, 0);
	ret = pr_register(d, 0, KEY);
	return ret ? ret : pr_reserve(d, 0, KEY, type);
}

/* The witness is kept out of what this type keeps one out of. */
static bool locked_out(struct device *w, uint8_t type)
{
	int write = scsi_write(w, 0), read = scsi_read(w, 0);

	if (write == SAM_RESERVATION_CONFLICT &&
	    read == (excludes_reads(type) ? SAM_RESERVATION_CONFLICT : SAM_GOOD))
		return true;
	vt_note("a third initiator: write %#x, read %#x", write, read);
	return false;
}

static const char *held_by(struct target *t, uint8_t type)
{
	return type ? vt_str("%x@%s* type %d", KEY, pr_name(t), type) : "conflict";
}

/* What the source still has of it, once the guest has gone. */
#define EXPECT_GONE(type) do {							\
	EXPECT_STREQ("none", pr_shown(&self->ws, 0));				\
	EXPECT_EQ(SAM_GOOD, scsi_write(&self->ws, 0));				\
} while (0)

/* From one host to another, or to another port of it. */
#define EXPECT_MOVES(type) do {							\
	struct device *__w = variant->elsewhere ? &self->wd : &self->ws;	\
	uint32_t __flags = variant->elsewhere && !strcmp(variant->kind, "fileio") ? \
		VHOST_SCSI_MIG_DATA_CACHE_DROPPED : 0;				\
	struct stream *__s;							\
	ASSERT_EQ(SAM_GOOD, take(&self->p.s, type));				\
	EXPECT_TRUE(locked_out(&self->ws, type));				\
	__s = pair_save(&self->p);						\
	if (variant->elsewhere)							\
		stream_from_elsewhere(__s);					\
	/* SPC-2 reservations cannot be taken: there is a gap until then. */	\
	if (type)								\
		EXPECT_TRUE(locked_out(&self->ws, type));			\
	ASSERT_EQ(0, mig_load(&self->p.d, self->p.td->wwpn, __s, __flags));	\
	EXPECT_EQ(VHOST_SCSI_MIG_ACCEPTED, mig_check(&self->p.d).verdict);	\
	/* Nothing has changed yet. */						\
	if (variant->elsewhere)							\
		EXPECT_STREQ("none", pr_shown(__w, 0));				\
	ASSERT_EQ(0, mig_set(&self->p.d, S_STOP));				\
	EXPECT_TRUE(locked_out(__w, type));					\
	pair_rings(&self->p);							\
	ASSERT_EQ(0, device_start(&self->p.d, self->p.td->wwpn));		\
	EXPECT_TRUE(locked_out(__w, type));					\
	ASSERT_EQ(0, mig_set(&self->p.s, S_STOP));				\
	EXPECT_TRUE(locked_out(__w, type));					\
	EXPECT_STREQ(held_by(self->p.td, type), pr_shown(__w, 0));		\
	EXPECT_EQ(SAM_GOOD, scsi_write(&self->p.d, 0));				\
	EXPECT_EQ(SAM_GOOD, scsi_read(&self->p.d, 0));				\
	if (variant->elsewhere)							\
		EXPECT_GONE(type);						\
} while (0)

/* For the next type: everything is where it began. */
static int back(struct pair *p, uint8_t type)
{
	int ret = type ? pr_out(&p->d, 0, PR_CLEAR, 0, KEY, 0) : spc2_release(&p->d, 0);

	if (!ret)
		ret = device_stop(&p->d);
	if (!ret)
		ret = device_stop(&p->s);
	if (!ret && mig_status(&p->s).flags & VHOST_SCSI_MIG_SUSPENDED)
		ret = mig_set(&p->s, S_RUN);
	if (!ret)
		ret = device_start(&p->s, NULL);
	return ret ? ret : scsi_clear_ua(&p->s, Q_IO, 0);
}

static void table_row(const char *kind, bool elsewhere, uint8_t type, const char *result)
{
	vt_note("table: | %s | %s | %s | %s |", pr_type_name(type), kind,
		elsewhere ? "another host" : "same host", result);
}

TEST_F_TIMEOUT(moves, reservation_of_each_type, 600)
{
	static const uint8_t types[] = { PR_WE, PR_EA, PR_WE_RO, PR_EA_RO, PR_WE_AR, PR_EA_AR, 0 };
	bool memory = variant->elsewhere && !strcmp(variant->kind, "rd_mcp");

	for (unsigned int i = 0; i < ARRAY_SIZE(types); i++) {
		struct stream *s;

		if (!memory) {
			EXPECT_MOVES(types[i]);
			table_row(variant->kind, variant->elsewhere, types[i],
				  _metadata->exit_code == KSFT_FAIL ? "FAILED" : "moves");
			ASSERT_EQ(0, back(&self->p, types[i]));
			continue;
		}
		/* Memory of another host is not there: refused, nothing lost. */
		ASSERT_EQ(SAM_GOOD, take(&self->p.s, types[i]));
		s = pair_save(&self->p);
		stream_from_elsewhere(s);
		EXPECT_EQ(-EREMCHG, mig_load(&self->p.d, self->p.td->wwpn, s, 0));
		EXPECT_REFUSED(&self->p.d, EREMCHG, VHOST_SCSI_MIG_LUN_NOT_SHARED, 1, 0);
		ASSERT_EQ(0, mig_set_flags(&self->p.d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
		ASSERT_EQ(0, mig_set(&self->p.s, S_RUN));
		EXPECT_TRUE(locked_out(&self->ws, types[i]));
		EXPECT_EQ(SAM_GOOD, scsi_write(&self->p.s, 0));
		table_row(variant->kind, true, types[i], "refused: not shared");
		ASSERT_EQ(SAM_GOOD, types[i] ? pr_out(&self->p.s, 0, PR_CLEAR, 0, KEY, 0) :
			  spc2_release(&self->p.s, 0));
	}
}

/* Of a reservation that was applied, nothing is left; the source has its own. */
#define EXPECT_UNDONE(how, type) do {						\
	uint32_t __flags = !strcmp(variant->kind, "fileio") ?			\
		VHOST_SCSI_MIG_DATA_CACHE_DROPPED : 0;				\
	struct stream *__s;							\
	const char *__before;							\
	ASSERT_EQ(SAM_GOOD, take(&self->p.s, type));				\
	__before = pr_shown(&self->ws, 0);					\
	EXPECT_STREQ(held_by(self->p.ts, type), __before);			\
	__s = pair_save(&self->p);						\
	if (variant->elsewhere)							\
		stream_from_elsewhere(__s);					\
	ASSERT_EQ(0, pair_apply(&self->p, __s, __flags));			\
	how;									\
	if (variant->elsewhere)							\
		EXPECT_TRUE(vt_until(!strcmp("none", pr_shown(&self->wd, 0)),	\
				     WAIT_MS));					\
	ASSERT_EQ(0, mig_set(&self->p.s, S_RUN));				\
	EXPECT_STREQ(__before, pr_shown(&self->ws, 0));				\
	EXPECT_TRUE(locked_out(&self->ws, type));				\
	EXPECT_EQ(SAM_GOOD, scsi_write(&self->p.s, 0));				\
	ASSERT_EQ(SAM_GOOD, (type) ? pr_out(&self->p.s, 0, PR_CLEAR, 0, KEY, 0) : \
		  spc2_release(&self->p.s, 0));					\
} while (0)

TEST_F_TIMEOUT(moves, dropped_load_is_undone, 600)
{
	static const uint8_t types[] = { PR_WE, PR_EA_RO, PR_WE_AR, 0 };

	if (variant->elsewhere && !strcmp(variant->kind, "rd_mcp"))
		SKIP(return, "cannot be loaded");
	for (unsigned int i = 0; i < ARRAY_SIZE(types); i++)
		EXPECT_UNDONE(ASSERT_EQ(0, mig_set_flags(&self->p.d, S_STOP,
							 VHOST_SCSI_MIG_DROP, 0)), types[i]);
}

TEST_F_TIMEOUT(moves, load_of_a_device_that_is_closed_is_undone, 600)
{
	if (variant->elsewhere && !strcmp(variant->kind, "rd_mcp"))
		SKIP(return, "cannot be loaded");
	EXPECT_UNDONE(device_close(&self->p.d), PR_EA);
}

TEST_F_TIMEOUT(moves, load_that_another_session_replaces_is_undone, 600)
{
	if (variant->elsewhere && !strcmp(variant->kind, "rd_mcp"))
		SKIP(return, "cannot be loaded");
	EXPECT_UNDONE(ASSERT_EQ(0, mig_set(&self->p.d, S_RESUME)), PR_WE_RO);
}

TEST_HARNESS_MAIN
