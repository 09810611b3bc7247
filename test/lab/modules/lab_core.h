/* SPDX-License-Identifier: GPL-2.0-only */
/* Among the files of ferry_lab.ko. */
#ifndef FERRY_LAB_CORE_H
#define FERRY_LAB_CORE_H

#include <linux/debugfs.h>
#include <linux/kref.h>

#include "ferry_lab.h"

#define LAB_STREAM_VERSION	1
#define LAB_FILLER_MAX		(256ULL << 20)

/* --- stamp.c: the simulator's arithmetic (helper/src/stamps), bit for bit --- */
u64 lab_word(u64 seed, u64 index);	/* word `index` of splitmix64's sequence from `seed` */
u64 lab_program_page(const struct lab_program *program, u64 sequence);	/* IOVA of the page write `sequence` goes to */
void lab_stamp(u8 slot[LAB_SLOT_BYTES], u64 seed, u64 page, u64 sequence);

/* --- pageset.c --- */
void lab_pageset_init(struct lab_pageset *set);
void lab_pageset_clear(struct lab_pageset *set);
/* 0 or -ENOMEM; may sleep. */
int lab_pageset_add(struct lab_pageset *set, u64 page);
/* Tells of the pages first..last of the set in ascending runs, and takes them out if `take`. */
void lab_pageset_visit(struct lab_pageset *set, u64 first, u64 last, bool take,
		       void (*run)(void *arg, u64 first, u64 last), void *arg);

/* --- device.c --- */
/* A write to `page` (its IOVA) by `lab` has landed: was a device that owns it too stopped already? */
bool lab_violates(struct lab_device *lab, u64 page);
/* The work of a reset; the state mutex is held. */
void lab_device_clear(struct lab_device *lab);

/* --- engine.c --- */
int lab_engine_init(struct lab_device *lab);
void lab_engine_destroy(struct lab_device *lab);
void lab_engine_kick(struct lab_device *lab);
/*
 * Whether the migration state lets the engine run. false: returns with no write in flight, after ops->stopped; or
 * -EINTR, nothing changed, if `killable` and the caller is being killed while a write does not end.
 */
int lab_engine_allow(struct lab_device *lab, bool run, bool killable);
/* What a program must fulfil to be taken from a stream. */
bool lab_program_valid(const struct lab_device *lab, const struct lab_program *program);

/* --- faults.c: what debugfs has asked to go wrong, and the record of what happened --- */
struct lab_countdown {
	u32 arcs;		/* the arc, from 1 = the next; 0: off */
	u32 value;		/* errno or milliseconds */
	u32 least, most;	/* that the value may be */
};

struct lab_faults {
	struct lab_countdown fail, error, stall, stall_report;
	u64 short_stream;
	bool endless_stream;
	bool blocked_stream;
	bool validate;
	u64 load_error;
	u64 precopy_end;
};

enum lab_arc_fault { LAB_ARC_GOES_ON, LAB_ARC_FAILS, LAB_ARC_ENDS_IN_ERROR };

void lab_faults_init(struct lab_faults *faults);
void lab_faults_debugfs(struct lab_faults *faults, struct dentry *dir);
/* Counts one arc; sleeps if it is to be stalled. LAB_ARC_FAILS: *error is the -errno. */
enum lab_arc_fault lab_faults_arc(struct lab_faults *faults, int *error);
/* Counts one REPORT of the DMA log; sleeps if it is to be stalled. */
void lab_faults_report(struct lab_faults *faults);

/* --- transitions.c --- */
struct lab_transitions;
struct lab_transitions *lab_transitions_alloc(void);
void lab_transitions_free(struct lab_transitions *log);
void lab_transitions_debugfs(struct lab_transitions *log, struct dentry *dir);
#define LAB_TO_RESET	(-1)
void lab_transitions_add(struct lab_transitions *log, int from, int to);
const char *lab_state_name(int state);

/* --- migration.c --- */
struct lab_migration {
	struct kref ref;		/* the device's, and one of each of its streams, which may outlive it */
	struct mutex state_mutex;
	unsigned long reset_wanted;	/* bit 0 */
	enum vfio_device_mig_state state;
	u64 flags;
	struct lab_stream *stream;	/* of the session: saving or resuming */
	struct lab_faults faults;
	struct lab_transitions *transitions;
};

int lab_migration_init(struct lab_device *lab);
void lab_migration_destroy(struct lab_device *lab);
void lab_migration_debugfs(struct lab_device *lab);
void lab_migration_put(struct lab_migration *migration);
bool lab_migration_close(struct lab_device *lab);	/* true: it was RUNNING, the program may stay */
bool lab_migration_stopped(struct lab_device *lab);	/* STOP, STOP_COPY, RESUMING; takes no lock */
void lab_migration_reset(struct lab_device *lab);

/* --- stream.c: the data file of a session --- */
struct lab_stream;
u64 lab_stream_bytes(u64 filler);
/* A stream to save to or load from, and the file for user space. */
struct lab_stream *lab_stream_open(struct lab_device *lab, bool saving, struct file **file);
void lab_stream_set_precopy(struct lab_stream *stream, bool precopy);
/* The device has stopped: `program` is final. */
void lab_stream_finish(struct lab_stream *stream, const struct lab_program *program);
/* What was written so far, as a program. -EINVAL: short or damaged, and `validate` asked to know. */
int lab_stream_load(struct lab_stream *stream, bool validate, struct lab_program *program);
/* Reads and writes give -ENODEV from here on. Drops the session's reference. */
void lab_stream_disable(struct lab_stream *stream);

/* --- dma_log.c --- */
int lab_log_init(struct lab_device *lab);
void lab_log_destroy(struct lab_device *lab);
void lab_log_debugfs(struct lab_device *lab);
/* With engine_lock held, and after the bytes are in memory. */
void lab_log_mark(struct lab_device *lab, u64 iova);
void lab_log_reset(struct lab_device *lab);

#endif
