// SPDX-License-Identifier: GPL-2.0-only
/*
 * A DMA log, with what makes those of real devices awkward: few ranges, few page sizes, rules for what one REPORT may
 * ask, and errors after which nothing in it can be trusted. All of it under engine_lock: a write and its mark are one.
 */
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/interval_tree.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/slab.h>

#include "lab_core.h"

#define RULE_PAGES	64

struct lab_range {
	u64 start, last;
};

struct lab_log {
	bool on;
	bool lost;			/* after an error: until the next START */
	unsigned int shift;		/* of its page size */
	u32 count;
	struct lab_range *ranges;	/* ascending, disjoint */
	struct lab_pageset dirty;	/* numbers of pages of its page size */

	/* debugfs */
	u64 max_ranges, min_page, max_page, error;
	bool report_rule;
};

static struct lab_range *find_range(const struct lab_log *log, u64 iova)
{
	u32 low = 0, high = log->count;

	while (low < high) {
		u32 middle = low + (high - low) / 2;
		struct lab_range *range = &log->ranges[middle];

		if (iova < range->start)
			high = middle;
		else if (iova > range->last)
			low = middle + 1;
		else
			return range;
	}
	return NULL;
}

static void log_off(struct lab_log *log)
{
	log->on = false;
	log->lost = false;
	kvfree(log->ranges);
	log->ranges = NULL;
	log->count = 0;
	lab_pageset_clear(&log->dirty);
}

void lab_log_mark(struct lab_device *lab, u64 iova)
{
	struct lab_log *log = lab->log;

	if (!log->on || !find_range(log, iova))
		return;
	if (lab_pageset_add(&log->dirty, iova >> log->shift))
		log->lost = true;
}

/* VFIO's tree as an array, with nearest ranges merged as the kernel does it for everybody with few. */
static struct lab_range *take_ranges(struct rb_root_cached *tree, u32 nodes, u32 most, u32 *count)
{
	struct interval_tree_node *node;
	struct lab_range *ranges;

	/* VFIO lets a length of 0 pass: a range that ends before it begins, or, at 0, one that is everything. */
	for (node = interval_tree_iter_first(tree, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX))
		if (node->last < node->start || node->last - node->start == ULONG_MAX)
			return ERR_PTR(-EINVAL);
	if (nodes > most)
		vfio_combine_iova_ranges(tree, nodes, most);

	ranges = kvcalloc(min(nodes, most), sizeof(*ranges), GFP_KERNEL_ACCOUNT);
	if (!ranges)
		return ERR_PTR(-ENOMEM);
	*count = 0;
	for (node = interval_tree_iter_first(tree, 0, ULONG_MAX); node && *count < min(nodes, most);
	     node = interval_tree_iter_next(node, 0, ULONG_MAX))
		ranges[(*count)++] = (struct lab_range) { node->start, node->last };
	return ranges;
}

int lab_log_start(struct lab_device *lab, struct rb_root_cached *tree, u32 nnodes, u64 *page_size)
{
	struct lab_log *log = lab->log;
	struct lab_range *ranges;
	u64 least, most;
	u32 count;

	if (!is_power_of_2(*page_size))
		return -EINVAL;
	ranges = take_ranges(tree, nnodes, READ_ONCE(log->max_ranges), &count);
	if (IS_ERR(ranges))
		return PTR_ERR(ranges);
	if (mutex_lock_killable(&lab->engine_lock)) {
		kvfree(ranges);
		return -EINTR;
	}
	if (log->on) {
		mutex_unlock(&lab->engine_lock);
		kvfree(ranges);
		return -EINVAL;
	}
	least = READ_ONCE(log->min_page);
	most = max(READ_ONCE(log->max_page), least);
	*page_size = clamp(*page_size, least, most);
	log->shift = ilog2(*page_size);
	log->ranges = ranges;
	log->count = count;
	log->on = true;
	mutex_unlock(&lab->engine_lock);
	return 0;
}
EXPORT_SYMBOL_GPL(lab_log_start);

int lab_log_stop(struct lab_device *lab)
{
	if (mutex_lock_killable(&lab->engine_lock))
		return -EINTR;
	log_off(lab->log);
	mutex_unlock(&lab->engine_lock);
	return 0;
}
EXPORT_SYMBOL_GPL(lab_log_stop);

void lab_log_reset(struct lab_device *lab)
{
	mutex_lock(&lab->engine_lock);
	log_off(lab->log);
	mutex_unlock(&lab->engine_lock);
}

struct report {
	struct lab_log *log;
	struct iova_bitmap *bitmap;
	u64 iova, last;
};

/* Clipped to what was asked for: iova_bitmap_set() goes wrong in silence outside of it. */
static void report_run(void *arg, u64 first, u64 last)
{
	struct report *report = arg;
	unsigned int shift = report->log->shift;
	u64 start = max(first << shift, report->iova);
	u64 end = min((last << shift) + (1ULL << shift) - 1, report->last);

	iova_bitmap_set(report->bitmap, start, end - start + 1);
}

/* Whether all of a page that can be dirty is asked for. Bits of other pages must stay for a REPORT of the rest. */
static bool covers(const struct report *report, u64 page)
{
	u64 start = page << report->log->shift, last = start + (1ULL << report->log->shift) - 1;
	u32 i;

	for (i = 0; i < report->log->count; i++) {
		const struct lab_range *range = &report->log->ranges[i];

		if (range->last < start || range->start > last)
			continue;
		if (max(range->start, start) < report->iova || min(range->last, last) > report->last)
			return false;
	}
	return true;
}

static void report_and_clear(struct report *report)
{
	struct lab_pageset *dirty = &report->log->dirty;
	u64 first = report->iova >> report->log->shift, last = report->last >> report->log->shift;
	bool keep_last = !covers(report, last);

	if (first == last) {
		lab_pageset_visit(dirty, first, first, !keep_last, report_run, report);
		return;
	}
	lab_pageset_visit(dirty, first, first, covers(report, first), report_run, report);
	if (first + 1 < last)
		lab_pageset_visit(dirty, first + 1, last - 1, true, report_run, report);
	lab_pageset_visit(dirty, last, last, !keep_last, report_run, report);
}

/* As pds: within one range, and a whole number of words of the bitmap from where that begins. */
static bool follows_rule(const struct lab_log *log, u64 iova, u64 last)
{
	const struct lab_range *range = find_range(log, iova);

	return range && last <= range->last && !((iova - range->start) & (((u64)RULE_PAGES << log->shift) - 1));
}

int lab_log_report(struct lab_device *lab, unsigned long iova, unsigned long length, struct iova_bitmap *dirty)
{
	struct lab_log *log = lab->log;
	struct report report = { log, dirty, iova, iova + length - 1 };
	u64 error;
	int ret = 0;

	if (!length)
		return -EINVAL;
	/* Without a lock, unlike mlx5: the device can be stopped and started meanwhile. */
	lab_faults_report(&lab->migration->faults);
	if (mutex_lock_killable(&lab->engine_lock))
		return -EINTR;
	if (!log->on || (READ_ONCE(log->report_rule) && !follows_rule(log, report.iova, report.last))) {
		ret = -EINVAL;
		goto unlock;
	}
	error = xchg(&log->error, 0);
	if (error)
		log->lost = true;
	if (log->lost) {
		/* mlx5 gives EIO for good after its first word of an error. */
		ret = error ? -(int)min_t(u64, error, MAX_ERRNO) : -EIO;
		lab_pageset_clear(&log->dirty);
		goto unlock;
	}
	report_and_clear(&report);
unlock:
	mutex_unlock(&lab->engine_lock);
	return ret;
}
EXPORT_SYMBOL_GPL(lab_log_report);

/* --- debugfs --- */

static int max_ranges_get(void *data, u64 *value)
{
	*value = ((struct lab_log *)data)->max_ranges;
	return 0;
}

static int max_ranges_set(void *data, u64 value)
{
	if (!value || value > U32_MAX)
		return -EINVAL;
	WRITE_ONCE(((struct lab_log *)data)->max_ranges, value);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(max_ranges_fops, max_ranges_get, max_ranges_set, "%llu\n");

static int page_get(void *data, u64 *value)
{
	*value = *(u64 *)data;
	return 0;
}

static int page_set(void *data, u64 value)
{
	if (!is_power_of_2(value) || value < LAB_PAGE_SIZE)
		return -EINVAL;
	WRITE_ONCE(*(u64 *)data, value);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(page_fops, page_get, page_set, "%llu\n");

void lab_log_debugfs(struct lab_device *lab)
{
	struct dentry *dir = lab->debugfs;
	struct lab_log *log = lab->log;

	debugfs_create_file_unsafe("log_max_ranges", 0644, dir, log, &max_ranges_fops);
	debugfs_create_file_unsafe("log_min_page", 0644, dir, &log->min_page, &page_fops);
	debugfs_create_file_unsafe("log_max_page", 0644, dir, &log->max_page, &page_fops);
	debugfs_create_bool("log_report_rule", 0644, dir, &log->report_rule);
	debugfs_create_u64("log_error", 0644, dir, &log->error);
	debugfs_create_u32("log_ranges", 0444, dir, &log->count);
	debugfs_create_u64("log_pages", 0444, dir, &log->dirty.pages);
}

int lab_log_init(struct lab_device *lab)
{
	struct lab_log *log = kzalloc(sizeof(*log), GFP_KERNEL_ACCOUNT);

	if (!log)
		return -ENOMEM;
	lab_pageset_init(&log->dirty);
	log->max_ranges = 256;
	log->min_page = LAB_PAGE_SIZE;
	log->max_page = 1ULL << 30;
	lab->log = log;
	return 0;
}

void lab_log_destroy(struct lab_device *lab)
{
	log_off(lab->log);
	kfree(lab->log);
}
