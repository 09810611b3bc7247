// SPDX-License-Identifier: GPL-2.0-only
/*
 * The DMA engine: a thread that writes stamps, one after the other, as the program says. It is a kernel thread of its
 * own because vfio_dma_rw() takes the memory of whoever called it unless that is one.
 */
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>

#include "lab_core.h"

/* Of writes that could not be done in time, at most so much is made up for. */
#define MOST_OWED	(100 * NSEC_PER_MSEC)
/* Until a page that could not be reached is tried again. */
#define RETRY_MS	10

enum engine_result { ENGINE_WROTE, ENGINE_RESTS, ENGINE_FAILED };

bool lab_program_valid(const struct lab_device *lab, const struct lab_program *program)
{
	return program->slot < LAB_PAGE_SIZE / LAB_SLOT_BYTES &&
	       IS_ALIGNED(program->window, LAB_PAGE_SIZE) &&
	       IS_ALIGNED(program->bytes, LAB_PAGE_SIZE) &&
	       program->pattern <= LAB_PATTERN_SEQUENTIAL &&
	       program->mode <= (lab->kind == LAB_KIND_MDEV ? LAB_MODE_PIN_EACH : 0) &&
	       program->state <= LAB_FILLER_MAX &&
	       program->control <= 1;
}

static bool may_write(const struct lab_device *lab)
{
	const struct lab_program *program = &lab->program;

	return lab->open && lab->may_run && !lab->hold && program->control && program->position < program->limit &&
	       program->bytes && program->window + (program->bytes - 1) >= program->window;
}

/* One write. *cost: nanoseconds it stands for at the program's rate. */
static enum engine_result engine_write(struct lab_device *lab, u64 *cost)
{
	struct lab_program *program = &lab->program;
	enum engine_result result = ENGINE_FAILED;
	u8 slot[LAB_SLOT_BYTES];
	u64 sequence, page;
	bool untold;
	int ret;

	mutex_lock(&lab->engine_lock);
	if (!may_write(lab)) {
		result = ENGINE_RESTS;
		goto unlock;
	}
	sequence = program->position + 1;
	page = lab_program_page(program, sequence);
	lab_stamp(slot, program->seed, page / LAB_PAGE_SIZE, sequence);
	untold = page == round_down(lab->drop_dirty, LAB_PAGE_SIZE) && lab->drop_dirty != U64_MAX;

	ret = lab->ops->write(lab, page + program->slot * LAB_SLOT_BYTES, slot, untold);
	if (ret) {
		/* Retried with the same number: a sequence has no holes. */
		if (ret != -ENXIO) {
			lab->write_errors++;
			lab->write_errno = -ret;
		}
		goto unlock;
	}
	/*
	 * A REPORT takes engine_lock too, so it sees this write both landed and marked, or neither. Marked after it
	 * landed: whoever reads a page once its bit is reported reads at least this.
	 */
	if (!untold)
		lab_log_mark(lab, page);
	if (lab_pageset_add(&lab->distinct, page / LAB_PAGE_SIZE))
		lab->write_errors++;
	if (lab_violates(lab, page))
		lab->violations++;
	WRITE_ONCE(program->position, sequence);
	*cost = program->rate ? div64_u64(LAB_PAGE_SIZE * NSEC_PER_SEC, program->rate) : 0;
	result = ENGINE_WROTE;
unlock:
	mutex_unlock(&lab->engine_lock);
	return result;
}

static bool engine_called(struct lab_device *lab)
{
	return READ_ONCE(lab->kicked) || kthread_should_stop();
}

static int engine_thread(void *data)
{
	struct lab_device *lab = data;
	u64 due = ktime_get_ns();
	u64 cost, now;

	while (!kthread_should_stop()) {
		WRITE_ONCE(lab->kicked, false);
		/* Cleared before looking: a change made while it looks is seen in the next round. */
		smp_mb();
		switch (engine_write(lab, &cost)) {
		case ENGINE_RESTS:
			wait_event_idle(lab->wake, engine_called(lab));
			due = ktime_get_ns();
			break;
		case ENGINE_FAILED:
			wait_event_idle_timeout(lab->wake, kthread_should_stop(), msecs_to_jiffies(RETRY_MS));
			due = ktime_get_ns();
			break;
		case ENGINE_WROTE:
			due += cost;
			now = ktime_get_ns();
			if (due + MOST_OWED < now)
				due = now - MOST_OWED;
			/* Sleeps are some milliseconds long; writes that fell due meanwhile follow in a burst. */
			if (due > now &&
			    wait_event_idle_timeout(lab->wake, engine_called(lab), nsecs_to_jiffies(due - now) + 1))
				due = ktime_get_ns();
			cond_resched();
		}
	}
	return 0;
}

void lab_engine_kick(struct lab_device *lab)
{
	/* The change before the kick, as engine_thread() looks the other way round. */
	smp_mb();
	WRITE_ONCE(lab->kicked, true);
	wake_up_all(&lab->wake);
}

int lab_engine_allow(struct lab_device *lab, bool run, bool killable)
{
	bool stops;

	if (!killable)
		mutex_lock(&lab->engine_lock);
	else if (mutex_lock_killable(&lab->engine_lock))
		return -EINTR;
	stops = lab->may_run && !run;
	lab->may_run = run;
	mutex_unlock(&lab->engine_lock);
	if (run)
		lab_engine_kick(lab);
	if (stops && lab->ops->stopped)
		lab->ops->stopped(lab);
	return 0;
}

int lab_engine_init(struct lab_device *lab)
{
	struct task_struct *thread = kthread_run(engine_thread, lab, "ferry/%s", lab->name);

	if (IS_ERR(thread))
		return PTR_ERR(thread);
	lab->thread = thread;
	return 0;
}

void lab_engine_destroy(struct lab_device *lab)
{
	kthread_stop(lab->thread);
}
