// SPDX-License-Identifier: GPL-2.0-only
/* Faults that debugfs can ask for. Those of a stream are read by stream.c where they apply. */
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/seq_file.h>
#include <linux/sched/signal.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "lab_core.h"

/* Of all countdowns: taken once an arc, and once a REPORT. */
static DEFINE_SPINLOCK(lock);

/* One arc less; true if this was the one. */
static bool count_down(struct lab_countdown *countdown)
{
	return countdown->arcs && --countdown->arcs == 0;
}

/* A caller that is killed goes on at once: it must be able to exit. */
static void stall(u32 ms)
{
	if (ms)
		schedule_timeout_killable(msecs_to_jiffies(ms));
}

enum lab_arc_fault lab_faults_arc(struct lab_faults *faults, int *error)
{
	enum lab_arc_fault fault = LAB_ARC_GOES_ON;
	u32 stall_ms = 0;

	spin_lock(&lock);
	if (count_down(&faults->stall))
		stall_ms = faults->stall.value;
	if (count_down(&faults->error))
		fault = LAB_ARC_ENDS_IN_ERROR;
	if (count_down(&faults->fail)) {
		fault = LAB_ARC_FAILS;
		*error = -(int)faults->fail.value;
	}
	spin_unlock(&lock);
	stall(stall_ms);
	return fault;
}

void lab_faults_report(struct lab_faults *faults)
{
	u32 stall_ms = 0;

	spin_lock(&lock);
	if (count_down(&faults->stall_report))
		stall_ms = faults->stall_report.value;
	spin_unlock(&lock);
	stall(stall_ms);
}

static int countdown_show(struct seq_file *seq, void *unused)
{
	struct lab_countdown *countdown = seq->private;

	spin_lock(&lock);
	seq_printf(seq, "%u %u\n", countdown->arcs, countdown->value);
	spin_unlock(&lock);
	return 0;
}

static int countdown_open(struct inode *inode, struct file *file)
{
	return single_open(file, countdown_show, inode->i_private);
}

static ssize_t countdown_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	struct lab_countdown *countdown = ((struct seq_file *)file->private_data)->private;
	int arcs = 0, value = 0;
	char text[32] = {};

	if (count >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buf, count))
		return -EFAULT;
	if (sscanf(text, "%i %i", &arcs, &value) < 1 || arcs < 0)
		return -EINVAL;
	if (arcs && (value < (int)countdown->least || value > (int)countdown->most))
		return -EINVAL;
	spin_lock(&lock);
	countdown->arcs = arcs;
	countdown->value = value;
	spin_unlock(&lock);
	return count;
}

static const struct file_operations countdown_fops = {
	.owner = THIS_MODULE,
	.open = countdown_open,
	.read = seq_read,
	.write = countdown_write,
	.llseek = seq_lseek,
	.release = single_release,
};

void lab_faults_init(struct lab_faults *faults)
{
	*faults = (struct lab_faults) {
		.fail = { .least = 1, .most = MAX_ERRNO },
		.stall = { .most = 600 * MSEC_PER_SEC },
		.stall_report = { .most = 600 * MSEC_PER_SEC },
		.validate = true,
		.precopy_end = ENOMSG,
	};
}

void lab_faults_debugfs(struct lab_faults *faults, struct dentry *dir)
{
	debugfs_create_file("fail_transition", 0644, dir, &faults->fail, &countdown_fops);
	debugfs_create_file("error_transition", 0644, dir, &faults->error, &countdown_fops);
	debugfs_create_file("stall_transition", 0644, dir, &faults->stall, &countdown_fops);
	debugfs_create_file("stall_report", 0644, dir, &faults->stall_report, &countdown_fops);
	debugfs_create_u64("short_stream", 0644, dir, &faults->short_stream);
	debugfs_create_bool("endless_stream", 0644, dir, &faults->endless_stream);
	debugfs_create_bool("blocked_stream", 0644, dir, &faults->blocked_stream);
	debugfs_create_u64("load_error", 0644, dir, &faults->load_error);
	debugfs_create_u64("precopy_end", 0644, dir, &faults->precopy_end);
	debugfs_create_bool("validate", 0644, dir, &faults->validate);
}
