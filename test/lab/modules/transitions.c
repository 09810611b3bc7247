// SPDX-License-Identifier: GPL-2.0-only
/*
 * What arcs a device took, in an order that holds across all of them: that every device had reached its P2P state
 * before the first went on to STOP can be read from the files of all.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "lab_core.h"

#define KEPT	1024

struct transition {
	u64 sequence;
	s8 from, to;
};

struct lab_transitions {
	u64 count;			/* the last KEPT of them are there */
	struct transition ring[KEPT];
};

static DEFINE_SPINLOCK(lock);
static u64 last_sequence;

const char *lab_state_name(int state)
{
	static const char *const names[] = {
		[VFIO_DEVICE_STATE_ERROR] = "ERROR",
		[VFIO_DEVICE_STATE_STOP] = "STOP",
		[VFIO_DEVICE_STATE_RUNNING] = "RUNNING",
		[VFIO_DEVICE_STATE_STOP_COPY] = "STOP_COPY",
		[VFIO_DEVICE_STATE_RESUMING] = "RESUMING",
		[VFIO_DEVICE_STATE_RUNNING_P2P] = "RUNNING_P2P",
		[VFIO_DEVICE_STATE_PRE_COPY] = "PRE_COPY",
		[VFIO_DEVICE_STATE_PRE_COPY_P2P] = "PRE_COPY_P2P",
	};

	return state == LAB_TO_RESET ? "RESET" : names[state];
}

void lab_transitions_add(struct lab_transitions *log, int from, int to)
{
	struct transition *entry;

	spin_lock(&lock);
	entry = &log->ring[log->count++ % KEPT];
	entry->sequence = ++last_sequence;
	entry->from = from;
	entry->to = to;
	spin_unlock(&lock);
}

static int transitions_show(struct seq_file *seq, void *unused)
{
	struct lab_transitions *log = seq->private, *copy;
	u64 at;

	/* Printing may sleep and start over with more room. */
	copy = kmalloc(sizeof(*copy), GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	spin_lock(&lock);
	*copy = *log;
	spin_unlock(&lock);
	for (at = copy->count > KEPT ? copy->count - KEPT : 0; at < copy->count; at++) {
		const struct transition *entry = &copy->ring[at % KEPT];

		seq_printf(seq, "%llu %s %s\n", entry->sequence, lab_state_name(entry->from),
			   lab_state_name(entry->to));
	}
	kfree(copy);
	return 0;
}

static int transitions_open(struct inode *inode, struct file *file)
{
	return single_open(file, transitions_show, inode->i_private);
}

static ssize_t transitions_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	struct lab_transitions *log = ((struct seq_file *)file->private_data)->private;

	spin_lock(&lock);
	log->count = 0;
	spin_unlock(&lock);
	return count;
}

static const struct file_operations transitions_fops = {
	.owner = THIS_MODULE,
	.open = transitions_open,
	.read = seq_read,
	.write = transitions_write,
	.llseek = seq_lseek,
	.release = single_release,
};

struct lab_transitions *lab_transitions_alloc(void)
{
	return kzalloc(sizeof(struct lab_transitions), GFP_KERNEL);
}

void lab_transitions_free(struct lab_transitions *log)
{
	kfree(log);
}

void lab_transitions_debugfs(struct lab_transitions *log, struct dentry *dir)
{
	debugfs_create_file("transitions", 0644, dir, log, &transitions_fops);
}
