// SPDX-License-Identifier: GPL-2.0-only
/* A lab device from init to destroy, the list of them all, and the debugfs files that belong to no other part. */
#include <linux/debugfs.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

#include "lab_core.h"

static struct dentry *debugfs_root;
static LIST_HEAD(lab_devices);
static DEFINE_SPINLOCK(lab_devices_lock);

/*
 * Two devices of one process are parts of one workload: same memory, same IOVAs. Before any of them may enter STOP,
 * all must have left the states in which they write; so no write can meet a stopped owner of its page if whoever
 * drives them keeps the order. The caller holds its engine_lock, hence it cannot have been stopped meanwhile.
 */
bool lab_violates(struct lab_device *lab, u64 page)
{
	struct lab_device *other;
	bool found = false;

	spin_lock(&lab_devices_lock);
	list_for_each_entry(other, &lab_devices, node) {
		if (other == lab || !READ_ONCE(other->open) || READ_ONCE(other->opener) != lab->opener)
			continue;
		if (page - READ_ONCE(other->program.window) < READ_ONCE(other->program.bytes) &&
		    lab_migration_stopped(other)) {
			found = true;
			break;
		}
	}
	spin_unlock(&lab_devices_lock);
	return found;
}

static void clear_program(struct lab_device *lab)
{
	mutex_lock(&lab->engine_lock);
	lab->program = (struct lab_program) { .limit = U64_MAX };
	mutex_unlock(&lab->engine_lock);
}

void lab_device_clear(struct lab_device *lab)
{
	lab_engine_allow(lab, false, false);
	clear_program(lab);
	lab_log_reset(lab);
}

void lab_open(struct lab_device *lab)
{
	lab->vdev->migration_flags = lab_migration_flags(lab);
	mutex_lock(&lab->engine_lock);
	lab->opener = current->tgid;
	WRITE_ONCE(lab->open, true);
	mutex_unlock(&lab->engine_lock);
	lab_engine_kick(lab);
}
EXPORT_SYMBOL_GPL(lab_open);

void lab_close(struct lab_device *lab)
{
	mutex_lock(&lab->engine_lock);
	WRITE_ONCE(lab->open, false);
	mutex_unlock(&lab->engine_lock);
	if (lab->ops->stopped)
		lab->ops->stopped(lab);
	if (!lab_migration_close(lab))
		clear_program(lab);
	lab_log_reset(lab);
}
EXPORT_SYMBOL_GPL(lab_close);

void lab_reset(struct lab_device *lab)
{
	lab_migration_reset(lab);
}
EXPORT_SYMBOL_GPL(lab_reset);

/* --- debugfs --- */

static int state_show(struct seq_file *seq, void *unused)
{
	struct lab_device *lab = seq->private;

	seq_printf(seq, "%s\n", lab_state_name(READ_ONCE(lab->migration->state)));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(state);

/* A u64 of the device that a write changes with the engine at rest; what it means is in ferry_lab.h. */
#define LAB_ATTRIBUTE(_name, _read, _write)						\
static int _name##_get(void *data, u64 *value)						\
{											\
	struct lab_device *lab = data;							\
											\
	*value = READ_ONCE(_read);							\
	return 0;									\
}											\
static int _name##_set(void *data, u64 value)						\
{											\
	struct lab_device *lab = data;							\
											\
	if (mutex_lock_killable(&lab->engine_lock))					\
		return -EINTR;								\
	_write;										\
	mutex_unlock(&lab->engine_lock);						\
	lab_engine_kick(lab);								\
	return 0;									\
}											\
DEFINE_DEBUGFS_ATTRIBUTE(_name##_fops, _name##_get, _name##_set, "%llu\n")

LAB_ATTRIBUTE(limit, lab->program.limit, lab->program.limit = value);
LAB_ATTRIBUTE(hold, lab->hold, lab->hold = value);
LAB_ATTRIBUTE(distinct, lab->distinct.pages, lab_pageset_clear(&lab->distinct));
LAB_ATTRIBUTE(violations, lab->violations, lab->violations = 0);
LAB_ATTRIBUTE(write_errors, lab->write_errors, lab->write_errors = 0);
LAB_ATTRIBUTE(drop_dirty, lab->drop_dirty, lab->drop_dirty = value);

static void create_debugfs(struct lab_device *lab)
{
	struct dentry *dir = debugfs_create_dir(lab->name, debugfs_root);

	lab->debugfs = dir;
	debugfs_create_file("state", 0444, dir, lab, &state_fops);
	debugfs_create_u64("position", 0444, dir, &lab->program.position);
	debugfs_create_file_unsafe("limit", 0644, dir, lab, &limit_fops);
	debugfs_create_file_unsafe("hold", 0644, dir, lab, &hold_fops);
	debugfs_create_file_unsafe("distinct", 0644, dir, lab, &distinct_fops);
	debugfs_create_file_unsafe("violations", 0644, dir, lab, &violations_fops);
	debugfs_create_file_unsafe("write_errors", 0644, dir, lab, &write_errors_fops);
	debugfs_create_u32("write_errno", 0444, dir, &lab->write_errno);
	debugfs_create_file_unsafe("drop_dirty", 0644, dir, lab, &drop_dirty_fops);
	lab_migration_debugfs(lab);
	lab_log_debugfs(lab);
}

int lab_init(struct lab_device *lab, struct vfio_device *vdev, u32 kind, const char *name, const struct lab_ops *ops)
{
	int ret;

	*lab = (struct lab_device) {
		.vdev = vdev,
		.ops = ops,
		.name = name,
		.kind = kind,
		.may_run = true,
		.drop_dirty = U64_MAX,
		.program.limit = U64_MAX,
	};
	mutex_init(&lab->engine_lock);
	init_waitqueue_head(&lab->wake);
	lab_pageset_init(&lab->distinct);

	ret = lab_migration_init(lab);
	if (ret)
		return ret;
	ret = lab_log_init(lab);
	if (ret)
		goto err_migration;
	ret = lab_engine_init(lab);
	if (ret)
		goto err_log;
	vdev->migration_flags = lab_migration_flags(lab);
	spin_lock(&lab_devices_lock);
	list_add_tail(&lab->node, &lab_devices);
	spin_unlock(&lab_devices_lock);
	create_debugfs(lab);
	return 0;

err_log:
	lab_log_destroy(lab);
err_migration:
	lab_migration_destroy(lab);
	return ret;
}
EXPORT_SYMBOL_GPL(lab_init);

void lab_destroy(struct lab_device *lab)
{
	debugfs_remove_recursive(lab->debugfs);
	spin_lock(&lab_devices_lock);
	list_del(&lab->node);
	spin_unlock(&lab_devices_lock);
	lab_engine_destroy(lab);
	lab_log_destroy(lab);
	lab_migration_destroy(lab);
	lab_pageset_clear(&lab->distinct);
	mutex_destroy(&lab->engine_lock);
}
EXPORT_SYMBOL_GPL(lab_destroy);

static int __init lab_module_init(void)
{
	debugfs_root = debugfs_create_dir("ferry", NULL);
	return 0;
}
module_init(lab_module_init);

static void __exit lab_module_exit(void)
{
	debugfs_remove_recursive(debugfs_root);
}
module_exit(lab_module_exit);

MODULE_DESCRIPTION("What the devices of the Ferry lab have in common");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(IOMMUFD);
