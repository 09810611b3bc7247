// SPDX-License-Identifier: GPL-2.0-only
/* The file of a resuming session: what is written is hashed, and but for its ends forgotten. */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>

#include "stream.h"

static bool match_valid(const struct lab_stream *stream)
{
	u64 filler = le64_to_cpu(stream->match.filler);

	return le64_to_cpu(stream->match.magic) == LAB_STREAM_MAGIC &&
	       le32_to_cpu(stream->match.version) == LAB_STREAM_VERSION &&
	       le32_to_cpu(stream->match.kind) == stream->kind && filler <= LAB_FILLER_MAX &&
	       le64_to_cpu(stream->match.total) == lab_stream_bytes(filler);
}

/* `size` bytes of the buffer, all of one part. */
static int take_piece(struct lab_stream *stream, enum part part, u64 offset, size_t size)
{
	switch (part) {
	case PART_MATCH:
		memcpy((u8 *)&stream->match + offset, stream->buffer, size);
		break;
	case PART_TAIL:
		memcpy((u8 *)&stream->tail + offset, stream->buffer, size);
		break;
	case PART_CHECKSUM:
		memcpy((u8 *)&stream->checksum + offset, stream->buffer, size);
		break;
	default:
		break;
	}
	if (part < PART_CHECKSUM)
		lab_stream_hash(stream, stream->buffer, size);
	stream->position += size;
	if (stream->position != sizeof(stream->match) || part != PART_MATCH)
		return 0;
	if (match_valid(stream)) {
		stream->filler = le64_to_cpu(stream->match.filler);
		return 0;
	}
	stream->foreign = true;
	return READ_ONCE(stream->migration->faults.validate) ? -EFAULT : 0;
}

static ssize_t stream_write(struct file *file, const char __user *buf, size_t count, loff_t *pos)
{
	struct lab_stream *stream = file->private_data;
	struct lab_faults *faults = &stream->migration->faults;
	ssize_t done = 0;
	int ret;

	if (mutex_lock_killable(&stream->lock))
		return -EINTR;
	if (stream->disabled) {
		done = -ENODEV;
		goto unlock;
	}
	ret = -(int)min_t(u64, xchg(&faults->load_error, 0), MAX_ERRNO);
	while (!ret && done < count) {
		u64 offset, left;
		enum part part = lab_stream_part(stream, &offset, &left);
		size_t size = min3((u64)(count - done), left, (u64)BUFFER_BYTES);

		/* Nothing of what is too much is taken; nor of what follows a header that was refused. */
		if (READ_ONCE(faults->validate)) {
			if (stream->foreign)
				ret = -EFAULT;
			else if (stream->filler != U64_MAX &&
				 count - done > lab_stream_bytes(stream->filler) - stream->position)
				ret = -ENOMEM;
			if (ret)
				break;
		}
		if (copy_from_user(stream->buffer, buf + done, size)) {
			if (!done)
				ret = -EFAULT;
			break;
		}
		ret = take_piece(stream, part, offset, size);
		done += size;
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	if (ret)
		done = ret;
unlock:
	mutex_unlock(&stream->lock);
	return done;
}

const struct file_operations lab_stream_load_fops = {
	.owner = THIS_MODULE,
	.write = stream_write,
	.release = lab_stream_release,
};

int lab_stream_load(struct lab_stream *stream, bool validate, struct lab_program *program)
{
	u64 start, arrived = 0;
	int i, ret = 0;

	mutex_lock(&stream->lock);
	if (validate && (stream->foreign || stream->filler == U64_MAX ||
			 stream->position != lab_stream_bytes(stream->filler) ||
			 le64_to_cpu(stream->checksum) != lab_stream_checksum(stream))) {
		ret = -EINVAL;
		goto unlock;
	}
	/* Without validation whole words that arrived are used; CONTROL is the ninth, and 0 is off. */
	*program = (struct lab_program) {};
	start = sizeof(stream->match) + stream->filler;
	if (stream->filler != U64_MAX && stream->position > start)
		arrived = (stream->position - start) / 8;
	for (i = 0; i < min_t(u64, arrived, ARRAY_SIZE(stream->tail.program)); i++)
		((u64 *)program)[i] = le64_to_cpu(stream->tail.program[i]);
unlock:
	mutex_unlock(&stream->lock);
	return ret;
}
