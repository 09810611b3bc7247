// SPDX-License-Identifier: GPL-2.0-only
/*
 * A set of page numbers: bitmaps of 1024 pages, made where they are needed. Its users serialize; each has a lock that
 * it holds anyhow.
 */
#include <linux/bitmap.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "lab_core.h"

#define CHUNK_SHIFT	10
#define CHUNK_PAGES	(1UL << CHUNK_SHIFT)

struct chunk {
	DECLARE_BITMAP(bits, CHUNK_PAGES);
};

void lab_pageset_init(struct lab_pageset *set)
{
	xa_init(&set->chunks);
	set->pages = 0;
}

void lab_pageset_clear(struct lab_pageset *set)
{
	struct chunk *chunk;
	unsigned long index;

	xa_for_each(&set->chunks, index, chunk)
		kfree(chunk);
	xa_destroy(&set->chunks);
	set->pages = 0;
}

int lab_pageset_add(struct lab_pageset *set, u64 page)
{
	unsigned long index = page >> CHUNK_SHIFT;
	struct chunk *chunk = xa_load(&set->chunks, index);
	int ret;

	if (!chunk) {
		chunk = kzalloc(sizeof(*chunk), GFP_KERNEL);
		if (!chunk)
			return -ENOMEM;
		ret = xa_err(xa_store(&set->chunks, index, chunk, GFP_KERNEL));
		if (ret) {
			kfree(chunk);
			return ret;
		}
	}
	if (!__test_and_set_bit(page & (CHUNK_PAGES - 1), chunk->bits))
		set->pages++;
	return 0;
}

void lab_pageset_visit(struct lab_pageset *set, u64 first, u64 last, bool take,
		       void (*run)(void *arg, u64 first, u64 last), void *arg)
{
	struct chunk *chunk;
	unsigned long index;

	xa_for_each_range(&set->chunks, index, chunk, first >> CHUNK_SHIFT, last >> CHUNK_SHIFT) {
		u64 base = (u64)index << CHUNK_SHIFT;
		unsigned int from = first > base ? first - base : 0;
		unsigned int to = min_t(u64, last - base, CHUNK_PAGES - 1) + 1;
		unsigned int start, end;

		for (start = find_next_bit(chunk->bits, to, from); start < to;
		     start = find_next_bit(chunk->bits, to, end)) {
			end = find_next_zero_bit(chunk->bits, to, start);
			run(arg, base + start, base + end - 1);
			if (take) {
				bitmap_clear(chunk->bits, start, end - start);
				set->pages -= end - start;
			}
		}
		if (bitmap_empty(chunk->bits, CHUNK_PAGES)) {
			xa_erase(&set->chunks, index);
			kfree(chunk);
		}
		cond_resched();
	}
}
