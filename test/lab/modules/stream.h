/* SPDX-License-Identifier: GPL-2.0-only */
/* Of stream.c, stream_save.c and stream_load.c: a data file from the inside. */
#ifndef FERRY_LAB_STREAM_H
#define FERRY_LAB_STREAM_H

#include <linux/fs.h>

#include "lab_core.h"

#define CHECKSUM_BYTES	8

/* FNV-1a by words rather than bytes: every step is a bijection still, and a slow processor can afford it. */
struct hash {
	u64 value;
	u64 word;				/* bytes that do not make a word yet */
	unsigned int bytes;
};

struct lab_stream {
	struct kref ref;			/* the file's and the session's */
	struct mutex lock;
	struct lab_migration *migration;
	u32 kind;
	bool disabled;
	bool precopy;				/* the device is in a pre-copy state */
	bool finished;				/* saving: the tail is there */
	bool foreign;				/* resuming: the match part is not of this kind of device */
	u64 seed;
	u64 filler;				/* bytes; unknown (U64_MAX) until a match part has been written */
	u64 position;
	struct hash hash;			/* of all bytes before the checksum */
	struct lab_stream_match match;
	struct lab_stream_tail tail;
	__le64 checksum;
	u8 buffer[];				/* a page, of which each piece passes through */
};

enum part { PART_MATCH, PART_FILLER, PART_TAIL, PART_CHECKSUM, PART_END };

#define BUFFER_BYTES	PAGE_SIZE
extern const struct file_operations lab_stream_save_fops;
extern const struct file_operations lab_stream_load_fops;

/* The part that the position is in, how far into it, and how much of it is left. */
enum part lab_stream_part(const struct lab_stream *stream, u64 *offset, u64 *left);
void lab_stream_hash(struct lab_stream *stream, const u8 *bytes, size_t count);
u64 lab_stream_checksum(const struct lab_stream *stream);
int lab_stream_release(struct inode *inode, struct file *file);

#endif
