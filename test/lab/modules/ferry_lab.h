/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the lab's devices have in common: an engine that writes stamps by DMA, migration v2 with switchable flags and
 * faults, and a DMA log with the quirks of real ones. A device driver (ferry_mdev, ferry_edu, ferry_dirty) adds what
 * makes it that device: how a write reaches memory, and how it is registered with VFIO.
 *
 * BAR 0, 4 KiB, little-endian 64-bit registers, aligned accesses of 4 or 8 bytes; the rest reads as zero.
 *
 *	0x00 MAGIC	ro	"FERRYDMA"
 *	0x08 KIND	ro	LAB_KIND_*
 *	0x10 SLOT	rw	0..15: which 256 bytes of each page it writes
 *	0x18 SEED	rw
 *	0x20 WINDOW	rw	IOVA, page aligned
 *	0x28 BYTES	rw	of the window, whole pages
 *	0x30 PATTERN	rw	LAB_PATTERN_*
 *	0x38 RATE	rw	bytes a second, each write counting as a page; 0: as fast as it goes
 *	0x40 MODE	rw	LAB_MODE_*, of the mdev; others refuse all but 0 (the write is ignored)
 *	0x48 STATE	rw	bytes of filler in the state stream, up to 256 MiB
 *	0x50 CONTROL	rw	bit 0: engine on. Writing any other register above turns it off.
 *	0x58 POSITION	rw	writes done: the sequence number of the last one
 *	0x60 LIMIT	rw	the engine rests when POSITION has reached it; ~0: never
 *
 * The program (0x10..0x60) is the device's state: it survives a close in RUNNING and opens, so that a test may program
 * a device, close it, and let Ferry open it; the engine writes only while the device is open, in RUNNING or PRE_COPY,
 * and its pages can be reached. VFIO_DEVICE_RESET clears it (all 0, LIMIT ~0), and so does a close in any other state,
 * as a function's reset would: what was moved away does not stay behind. A value that makes no sense (a slot of 16, a
 * window in the middle of a page) is not taken, and what is not one access of 4 or 8 bytes is done as several.
 *
 * debugfs, /sys/kernel/debug/ferry/NAME/ (NAME: dev_name() of the device). Numbers are decimal or 0x hexadecimal.
 *
 *	state, position, limit		as the registers; limit can be written, position cannot
 *	distinct			pages written since this file was last written to (any write clears)
 *	write_errors, write_errno	writes that failed for another reason than that the page could not be
 *					reached, and the errno of the last
 *	flags				rw, VFIO_MIGRATION_* bits offered; default all three
 *	hold				rw bool: the engine rests, whatever else says
 *	transitions			"SEQ FROM TO" of every arc taken, SEQ counting over all lab devices; a
 *					write clears; the last 1024 are kept. A reset is "SEQ FROM RESET", and
 *					ends in RUNNING.
 *	violations			writes done into a page that another lab device writes too (windows
 *					overlap) while that device, opened by the same process, stood in STOP,
 *					STOP_COPY or RESUMING
 *	fail_transition			"N ERRNO": the Nth arc from now fails with ERRNO, nothing moved; "0 0": off
 *	error_transition		"N": the Nth arc from now ends in ERROR, with EIO; 0: off
 *	stall_transition		"N MS": the Nth arc from now takes MS longer (killable)
 *	stall_report			"N MS": the Nth REPORT of the DMA log from now takes MS longer (killable)
 *	short_stream			bytes withheld from the end of the saved stream
 *	endless_stream			bool: the saved stream never ends
 *	blocked_stream			bool: once the device has stopped, the saved stream gives nothing and has no end: a
 *					read waits (killable), or gives EAGAIN with O_NONBLOCK, and poll is not ready
 *	load_error			errno of the next write to a resuming stream, then off; 0: off
 *	precopy_end			errno of a read at the temporary end of a pre-copy: 42 (ENOMSG) or 0
 *	validate			bool, default 1: RESUMING -> STOP refuses a stream that is short or damaged
 *					(EINVAL), and a foreign header is refused while it is written (EFAULT); 0:
 *					takes whatever came, with CONTROL 0 if that did not arrive or makes no sense
 *	drop_dirty			IOVA of a page whose writes are not told to any tracker any more; ~0
 *					(default): none
 *	log_max_ranges			DMA log: most ranges it takes before it merges the nearest, default 256
 *	log_min_page, log_max_page	DMA log: START's page size is clamped to these (powers of two; 4 KiB, 1 GiB)
 *	log_report_rule			bool: REPORT only within one range of START as merged, at multiples of 64
 *					of the log's pages from its beginning (EINVAL)
 *	log_error			errno of the next REPORT, then off: the log is lost, REPORT gives EIO until
 *					STOP and START
 *	log_ranges, log_pages		ro: ranges it holds after merging (0: off), pages dirty in it now
 *
 * State stream: struct lab_stream_match (32 bytes), `filler` bytes (word i is lab_word(seed, i), cut at the end), struct
 * lab_stream_tail, then 8 bytes of checksum: 64-bit FNV-1a over all before it, taken by little-endian words of 8 bytes,
 * the last one filled up with zeros. Seed and filler are those of the moment the stream was opened. It is the same with
 * and without PRE_COPY, which gives the match part as initial bytes and the filler as dirty bytes; the tail is only
 * final once the device has stopped, so it comes in STOP_COPY alone.
 */
#ifndef FERRY_LAB_H
#define FERRY_LAB_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/vfio.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#define LAB_PAGE_SIZE	4096
#define LAB_SLOT_BYTES	256
#define LAB_BAR_BYTES	4096

#define LAB_KIND_MDEV	1	/* ferry_mdev: pins pages, behind no IOMMU */
#define LAB_KIND_EDU	2	/* ferry_edu: QEMU's edu function behind the emulated VT-d */
#define LAB_KIND_DIRTY	3	/* ferry_dirty: a function behind an IOMMU with dirty bits */

#define LAB_PATTERN_UNIFORM	0
#define LAB_PATTERN_HOT		1	/* nine writes of ten go to the first tenth of the window */
#define LAB_PATTERN_SEQUENTIAL	2

#define LAB_MODE_PIN_KEEP	0	/* pins a page when it first writes to it, and keeps it pinned */
#define LAB_MODE_RW		1	/* vfio_dma_rw(): pins nothing */
#define LAB_MODE_PIN_EACH	2	/* pins, writes, unpins */

struct lab_device;

/* What the driver of a kind does. All run in process context and may sleep. */
struct lab_ops {
	/*
	 * Writes the 256 bytes at `iova` as the device would, and returns when they are in memory. -ENXIO: the page
	 * cannot be reached now (not mapped, or not open); the engine tries again later. `untold`: the page is the one
	 * of drop_dirty; write it so that no tracker of this kind sees it. The DMA log is not this function's business.
	 */
	int (*write)(struct lab_device *lab, u64 iova, const u8 *slot, bool untold);
	/* The engine has stopped (P2P, STOP, close). Optional. */
	void (*stopped)(struct lab_device *lab);
};

/* What the engine is told to do; goes with the device when it moves. */
struct lab_program {
	u64 slot, seed, window, bytes, pattern, rate, mode, state, control, position, limit;
};

/* First part of the state stream. All little-endian. */
struct lab_stream_match {
	__le64 magic;		/* LAB_STREAM_MAGIC */
	__le32 version;		/* 1 */
	__le32 kind;
	__le64 total;		/* bytes of the whole stream, checksum included */
	__le64 filler;		/* bytes that follow this */
};

/* After the filler; then the checksum. */
struct lab_stream_tail {
	__le64 program[11];	/* struct lab_program, in order */
};
#define LAB_STREAM_MAGIC 0x4554415453595246ULL	/* "FRYSTATE" */

struct lab_migration;	/* migration.c */
struct lab_log;		/* dma_log.c */

/* A set of page numbers, exact whatever its size; pageset.c. */
struct lab_pageset {
	struct xarray chunks;
	u64 pages;
};

struct lab_device {
	struct vfio_device *vdev;
	const struct lab_ops *ops;
	const char *name;
	u32 kind;
	struct list_head node;			/* all lab devices, for violations */

	/* engine.c */
	struct mutex engine_lock;		/* held for each write: who holds it has the engine at rest */
	struct lab_program program;
	bool open;
	pid_t opener;				/* tgid: source and destination have the same windows */
	bool hold;
	bool may_run;				/* the migration state lets it */
	struct task_struct *thread;
	wait_queue_head_t wake;
	bool kicked;				/* something of the above has changed: look again */
	u64 drop_dirty;
	u64 violations;
	u64 write_errors;			/* errors of ops->write other than -ENXIO */
	u32 write_errno;			/* the last of them */
	struct lab_pageset distinct;		/* page numbers written since cleared */

	struct lab_migration *migration;
	struct lab_log *log;
	struct dentry *debugfs;
};

/* --- device.c: for drivers --- */

/*
 * Registers, debugfs, thread; `name` must live as long as the device. On error nothing is left behind. Sets
 * vdev->migration_flags. Call it before the device is registered with VFIO (from vfio_device_ops.init, say); mig_ops
 * and log_ops are the driver's to set.
 */
int lab_init(struct lab_device *lab, struct vfio_device *vdev, u32 kind, const char *name, const struct lab_ops *ops);
/* After the last close: from vfio_device_ops.release. Waits for readers of debugfs. */
void lab_destroy(struct lab_device *lab);
/*
 * From open_device and close_device. lab_open() also renews vdev->migration_flags: debugfs may have changed them, and
 * while a device is open they must not change. After lab_close() no write is in flight and none begins.
 */
void lab_open(struct lab_device *lab);
void lab_close(struct lab_device *lab);
/*
 * VFIO_DEVICE_RESET: RUNNING, no program, engine off, streams disabled, DMA log off. If another thread is in the
 * middle of lab_set_state(), it does all that when it has finished, as other drivers do, and lab_reset() does not wait.
 */
void lab_reset(struct lab_device *lab);

/*
 * stamp.c. From lab_ops.write alone: the 256 bytes of this write, and of the `count` - 1 that follow if nothing changes
 * the program meanwhile. For a device that takes several at once.
 */
void lab_slots_ahead(struct lab_device *lab, u8 *slots, unsigned int count);

/* --- registers.c: BAR 0; `offset` within it. Bytes done, or -EINVAL, -EFAULT, -EINTR --- */
ssize_t lab_bar_read(struct lab_device *lab, char __user *buf, size_t count, u64 offset);
ssize_t lab_bar_write(struct lab_device *lab, const char __user *buf, size_t count, u64 offset);

/* --- migration.c: bodies of vfio_migration_ops --- */
struct file *lab_set_state(struct lab_device *lab, enum vfio_device_mig_state state);
int lab_get_state(struct lab_device *lab, enum vfio_device_mig_state *state);
int lab_get_data_size(struct lab_device *lab, unsigned long *bytes);
/* VFIO_MIGRATION_* bits of debugfs' `flags`; lab_open() has put them into vdev->migration_flags. */
u64 lab_migration_flags(struct lab_device *lab);

/* --- dma_log.c: bodies of vfio_log_ops --- */
int lab_log_start(struct lab_device *lab, struct rb_root_cached *ranges, u32 nnodes, u64 *page_size);
int lab_log_stop(struct lab_device *lab);
int lab_log_report(struct lab_device *lab, unsigned long iova, unsigned long length, struct iova_bitmap *dirty);

#endif
