// SPDX-License-Identifier: GPL-2.0
/*
 * The fabric "vhost" in configfs
 *
 *	target/vhost/
 *	  version
 *	  naa.*|fc.*|iqn.*	target port, struct vhost_scsi_wwn
 *	    tpgt_N/		SCSI target N of the guest, struct vhost_scsi_tpg
 *	      nexus		initiator name of the guest; "NULL" removes it
 *	      lun/lun_N/	logical units, linked to LIO backstores
 *	      attrib/fabric_prot_type
 *
 * No callback here waits for a guest (M9): hot plug only queues an event.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/utsname.h>
#include <scsi/scsi_proto.h>

#include "scsi.h"
#include "version.h"

static struct vhost_scsi_tpg *vhost_scsi_tpg_of(struct se_portal_group *se_tpg)
{
	return container_of(se_tpg, struct vhost_scsi_tpg, se_tpg);
}

/* The name that the SCSI protocol has for a port, and which protocol it is. */
static const char *vhost_scsi_port_name(const char *name, u8 *protocol)
{
	if (str_has_prefix(name, "naa.")) {
		*protocol = SCSI_PROTOCOL_SAS;
		return name;
	}
	if (str_has_prefix(name, "fc.")) {
		*protocol = SCSI_PROTOCOL_FCP;
		return name + 3;
	}
	if (str_has_prefix(name, "iqn.")) {
		*protocol = SCSI_PROTOCOL_ISCSI;
		return name;
	}
	return NULL;
}

/* Target ports */

static struct se_wwn *vhost_scsi_make_wwn(struct target_fabric_configfs *tf,
					  struct config_group *group,
					  const char *name)
{
	struct vhost_scsi_wwn *wwn;
	const char *port;
	u8 protocol;

	port = vhost_scsi_port_name(name, &protocol);
	if (!port)
		return ERR_PTR(-EINVAL);

	wwn = kzalloc_obj(*wwn, GFP_KERNEL);
	if (!wwn)
		return ERR_PTR(-ENOMEM);
	wwn->protocol = protocol;
	if (strscpy(wwn->name, port, sizeof(wwn->name)) < 0) {
		kfree(wwn);
		return ERR_PTR(-ENAMETOOLONG);
	}
	return &wwn->wwn;
}

static void vhost_scsi_drop_wwn(struct se_wwn *wwn)
{
	kfree(container_of(wwn, struct vhost_scsi_wwn, wwn));
}

static ssize_t vhost_scsi_wwn_version_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "vhost_scsi %s on %s/%s on %s\n",
			  VHOST_SCSI_VERSION, utsname()->sysname,
			  utsname()->machine, utsname()->release);
}
CONFIGFS_ATTR_RO(vhost_scsi_wwn_, version);

static struct configfs_attribute *vhost_scsi_wwn_attrs[] = {
	&vhost_scsi_wwn_attr_version,
	NULL,
};

/* The guest's nexus */

static int vhost_scsi_nexus_make(struct vhost_scsi_tpg *tpg, const char *name)
{
	struct vhost_scsi_nexus *nexus;

	lockdep_assert_held(&vhost_scsi_tpg_lock);

	if (tpg->nexus)
		return -EEXIST;
	nexus = kzalloc_obj(*nexus, GFP_KERNEL);
	if (!nexus)
		return -ENOMEM;
	spin_lock_init(&nexus->ua_lock);
	INIT_LIST_HEAD(&nexus->uas);

	nexus->session = target_setup_session(&tpg->se_tpg, 0, 0,
					      TARGET_PROT_DIN_PASS |
					      TARGET_PROT_DOUT_PASS,
					      name, nexus, NULL);
	if (IS_ERR(nexus->session)) {
		int r = PTR_ERR(nexus->session);

		kfree(nexus);
		return r;
	}
	tpg->nexus = nexus;
	return 0;
}

static int vhost_scsi_nexus_remove(struct vhost_scsi_tpg *tpg)
{
	struct vhost_scsi_nexus *nexus = tpg->nexus;

	lockdep_assert_held(&vhost_scsi_tpg_lock);

	if (!nexus)
		return -ENODEV;
	if (tpg->ports || tpg->users)
		return -EBUSY;

	tpg->nexus = NULL;
	/*
	 * LIO counts a command a moment longer than it keeps its structure
	 * from us.  None is under way, so this does not wait for a backend.
	 */
	target_stop_session(nexus->session);
	target_wait_for_sess_cmds(nexus->session);
	target_remove_session(nexus->session);
	vhost_scsi_ua_forget(nexus);
	kfree(nexus);
	return 0;
}

static ssize_t vhost_scsi_tpg_nexus_show(struct config_item *item, char *page)
{
	struct vhost_scsi_tpg *tpg = vhost_scsi_tpg_of(to_tpg(item));
	ssize_t r = -ENODEV;

	mutex_lock(&vhost_scsi_tpg_lock);
	if (tpg->nexus)
		r = sysfs_emit(page, "%s\n",
			       tpg->nexus->session->se_node_acl->initiatorname);
	mutex_unlock(&vhost_scsi_tpg_lock);
	return r;
}

static ssize_t vhost_scsi_tpg_nexus_store(struct config_item *item,
					  const char *page, size_t count)
{
	struct vhost_scsi_tpg *tpg = vhost_scsi_tpg_of(to_tpg(item));
	char name[TRANSPORT_IQN_LEN];
	const char *port;
	u8 protocol;
	int r;

	if (strscpy(name, page, sizeof(name)) < 0)
		return -EINVAL;
	strim(name);

	mutex_lock(&vhost_scsi_tpg_lock);
	if (!strcmp(name, "NULL")) {
		r = vhost_scsi_nexus_remove(tpg);
	} else {
		port = vhost_scsi_port_name(name, &protocol);
		if (port && protocol == tpg->wwn->protocol)
			r = vhost_scsi_nexus_make(tpg, port);
		else
			r = -EINVAL;
	}
	mutex_unlock(&vhost_scsi_tpg_lock);
	return r ?: count;
}
CONFIGFS_ATTR(vhost_scsi_tpg_, nexus);

static struct configfs_attribute *vhost_scsi_tpg_attrs[] = {
	&vhost_scsi_tpg_attr_nexus,
	NULL,
};

/* Targets */

static ssize_t
vhost_scsi_tpg_attrib_fabric_prot_type_show(struct config_item *item,
					    char *page)
{
	struct vhost_scsi_tpg *tpg = vhost_scsi_tpg_of(attrib_to_tpg(item));

	return sysfs_emit(page, "%d\n", READ_ONCE(tpg->prot_type));
}

static ssize_t
vhost_scsi_tpg_attrib_fabric_prot_type_store(struct config_item *item,
					     const char *page, size_t count)
{
	struct vhost_scsi_tpg *tpg = vhost_scsi_tpg_of(attrib_to_tpg(item));
	unsigned int type;
	int r;

	r = kstrtouint(page, 0, &type);
	if (r)
		return r;
	if (type != TARGET_DIF_TYPE0_PROT && type != TARGET_DIF_TYPE1_PROT &&
	    type != TARGET_DIF_TYPE3_PROT)
		return -EINVAL;
	WRITE_ONCE(tpg->prot_type, type);
	return count;
}
CONFIGFS_ATTR(vhost_scsi_tpg_attrib_, fabric_prot_type);

static struct configfs_attribute *vhost_scsi_tpg_attrib_attrs[] = {
	&vhost_scsi_tpg_attrib_attr_fabric_prot_type,
	NULL,
};

static struct se_portal_group *vhost_scsi_make_tpg(struct se_wwn *se_wwn,
						   const char *name)
{
	struct vhost_scsi_wwn *wwn = container_of(se_wwn,
						  struct vhost_scsi_wwn, wwn);
	struct vhost_scsi_tpg *tpg;
	size_t prefix = str_has_prefix(name, "tpgt_");
	u16 tag;
	int r;

	if (!prefix || kstrtou16(name + prefix, 10, &tag) ||
	    tag >= VHOST_SCSI_MAX_TARGETS)
		return ERR_PTR(-EINVAL);

	tpg = kzalloc_obj(*tpg, GFP_KERNEL);
	if (!tpg)
		return ERR_PTR(-ENOMEM);
	tpg->wwn = wwn;
	tpg->tag = tag;

	r = core_tpg_register(se_wwn, &tpg->se_tpg, wwn->protocol);
	if (r) {
		kfree(tpg);
		return ERR_PTR(r);
	}
	mutex_lock(&vhost_scsi_tpg_lock);
	list_add_tail(&tpg->entry, &vhost_scsi_tpgs);
	mutex_unlock(&vhost_scsi_tpg_lock);
	return &tpg->se_tpg;
}

static void vhost_scsi_drop_tpg(struct se_portal_group *se_tpg)
{
	struct vhost_scsi_tpg *tpg = vhost_scsi_tpg_of(se_tpg);

	/* configfs has seen to it that there are no users and no ports. */
	mutex_lock(&vhost_scsi_tpg_lock);
	list_del(&tpg->entry);
	vhost_scsi_nexus_remove(tpg);
	mutex_unlock(&vhost_scsi_tpg_lock);

	core_tpg_deregister(se_tpg);
	kfree(tpg);
}

/* Logical units */

static int vhost_scsi_port_link(struct se_portal_group *se_tpg,
				struct se_lun *lun)
{
	struct vhost_scsi_tpg *tpg = vhost_scsi_tpg_of(se_tpg);

	mutex_lock(&vhost_scsi_tpg_lock);
	tpg->ports++;
	vhost_scsi_event_hotplug(tpg, lun, VIRTIO_SCSI_EVT_RESET_RESCAN);
	if (tpg->vs)
		vhost_scsi_mig_lun_changed(tpg->vs);
	mutex_unlock(&vhost_scsi_tpg_lock);
	return 0;
}

static void vhost_scsi_port_unlink(struct se_portal_group *se_tpg,
				   struct se_lun *lun)
{
	struct vhost_scsi_tpg *tpg = vhost_scsi_tpg_of(se_tpg);

	mutex_lock(&vhost_scsi_tpg_lock);
	tpg->ports--;
	vhost_scsi_event_hotplug(tpg, lun, VIRTIO_SCSI_EVT_RESET_REMOVED);
	/* A session looks at the units again when the device has stopped. */
	mutex_unlock(&vhost_scsi_tpg_lock);
}

/* What LIO asks about a target */

static char *vhost_scsi_tpg_wwn(struct se_portal_group *se_tpg)
{
	return vhost_scsi_tpg_of(se_tpg)->wwn->name;
}

static u16 vhost_scsi_tpg_tag(struct se_portal_group *se_tpg)
{
	return vhost_scsi_tpg_of(se_tpg)->tag;
}

/* Whoever opens the device node is let in: there is one nexus, made here. */
static int vhost_scsi_tpg_demo_mode(struct se_portal_group *se_tpg)
{
	return 1;
}

static int vhost_scsi_tpg_prot_type(struct se_portal_group *se_tpg)
{
	return READ_ONCE(vhost_scsi_tpg_of(se_tpg)->prot_type);
}

/* What LIO tells about a command */

static struct vhost_scsi_op *vhost_scsi_op_of(struct se_cmd *se_cmd)
{
	return container_of(se_cmd, struct vhost_scsi_op, se_cmd);
}

static int vhost_scsi_write_pending(struct se_cmd *se_cmd)
{
	/* The data is there already. */
	target_execute_cmd(se_cmd);
	return 0;
}

static int vhost_scsi_queue_data_in(struct se_cmd *se_cmd)
{
	struct vhost_scsi_op *op = vhost_scsi_op_of(se_cmd);

	if (op->kind == VHOST_SCSI_OP_CMD)
		vhost_scsi_cmd_data_in(op);
	return 0;
}

static int vhost_scsi_queue_status(struct se_cmd *se_cmd)
{
	return 0;
}

static void vhost_scsi_queue_tm_rsp(struct se_cmd *se_cmd)
{
	vhost_scsi_tmf_step_answer(vhost_scsi_op_of(se_cmd));
}

static void vhost_scsi_aborted_task(struct se_cmd *se_cmd)
{
	struct vhost_scsi_op *op = vhost_scsi_op_of(se_cmd);

	switch (op->kind) {
	case VHOST_SCSI_OP_CMD:
		vhost_scsi_cmd_aborted(op);
		break;
	case VHOST_SCSI_OP_EXEC:
		vhost_scsi_exec_aborted(op);
		break;
	case VHOST_SCSI_OP_TMF:
		break;
	}
}

static int vhost_scsi_check_stop_free(struct se_cmd *se_cmd)
{
	return target_put_sess_cmd(se_cmd);
}

/*
 * The one place where LIO gives an op back: after the answer, after an abort
 * without one, and after it refused the command.
 */
static void vhost_scsi_release_cmd(struct se_cmd *se_cmd)
{
	struct vhost_scsi_op *op = vhost_scsi_op_of(se_cmd);

	switch (op->kind) {
	case VHOST_SCSI_OP_CMD:
		vhost_scsi_ring_done(op);
		break;
	case VHOST_SCSI_OP_TMF:
		vhost_scsi_tmf_step_done(op);
		break;
	case VHOST_SCSI_OP_EXEC:
		vhost_scsi_exec_done(op);
		break;
	}
}

const struct target_core_fabric_ops vhost_scsi_fabric_ops = {
	.module				= THIS_MODULE,
	.fabric_name			= "vhost",
	.max_data_sg_nents		= VHOST_SCSI_MAX_SG,

	.fabric_make_wwn		= vhost_scsi_make_wwn,
	.fabric_drop_wwn		= vhost_scsi_drop_wwn,
	.fabric_make_tpg		= vhost_scsi_make_tpg,
	.fabric_drop_tpg		= vhost_scsi_drop_tpg,
	.fabric_post_link		= vhost_scsi_port_link,
	.fabric_pre_unlink		= vhost_scsi_port_unlink,
	.tfc_wwn_attrs			= vhost_scsi_wwn_attrs,
	.tfc_tpg_base_attrs		= vhost_scsi_tpg_attrs,
	.tfc_tpg_attrib_attrs		= vhost_scsi_tpg_attrib_attrs,

	.tpg_get_wwn			= vhost_scsi_tpg_wwn,
	.tpg_get_tag			= vhost_scsi_tpg_tag,
	.tpg_check_demo_mode		= vhost_scsi_tpg_demo_mode,
	.tpg_check_demo_mode_cache	= vhost_scsi_tpg_demo_mode,
	.tpg_check_prot_fabric_only	= vhost_scsi_tpg_prot_type,

	.write_pending			= vhost_scsi_write_pending,
	.queue_data_in			= vhost_scsi_queue_data_in,
	.queue_status			= vhost_scsi_queue_status,
	.queue_tm_rsp			= vhost_scsi_queue_tm_rsp,
	.aborted_task			= vhost_scsi_aborted_task,
	.check_stop_free		= vhost_scsi_check_stop_free,
	.release_cmd			= vhost_scsi_release_cmd,

	/* cmd.c decides. */
	.default_submit_type		= TARGET_DIRECT_SUBMIT,
	.direct_submit_supp		= 1,
	COMPAT_TARGET_COMPLETE_TYPES
};
