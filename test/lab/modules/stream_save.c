// SPDX-License-Identifier: GPL-2.0-only
/* The file of a saving session: the stream is made while it is read. */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>

#include "stream.h"

/* Bytes offset.. of the filler. */
static void fill(u64 seed, u64 offset, u8 *out, size_t count)
{
	u64 index = offset / 8;
	u8 word[8];
	size_t skip = offset % 8, take;

	while (count) {
		if (!skip && count >= 8) {
			put_unaligned_le64(lab_word(seed, index++), out);
			take = 8;
		} else {
			take = min(8 - skip, count);
			put_unaligned_le64(lab_word(seed, index++), word);
			memcpy(out, word + skip, take);
			skip = 0;
		}
		out += take;
		count -= take;
	}
}

/* Up to a buffer of what comes next; 0 at an end. */
static size_t make_piece(struct lab_stream *stream, size_t most)
{
	u64 total = lab_stream_bytes(stream->filler);
	u64 short_by = min(READ_ONCE(stream->migration->faults.short_stream), total);
	bool endless = READ_ONCE(stream->migration->faults.endless_stream);
	u64 offset, left;
	enum part part = lab_stream_part(stream, &offset, &left);

	if (part >= PART_TAIL && !stream->finished)
		return 0;
	if (part == PART_END && !endless)
		return 0;
	if (!endless)
		left = min(left, total - short_by - min(stream->position, total - short_by));
	most = min3((u64)most, left, (u64)BUFFER_BYTES);
	switch (part) {
	case PART_MATCH:
		memcpy(stream->buffer, (u8 *)&stream->match + offset, most);
		break;
	case PART_FILLER:
		fill(stream->seed, offset, stream->buffer, most);
		break;
	case PART_TAIL:
		memcpy(stream->buffer, (u8 *)&stream->tail + offset, most);
		break;
	case PART_CHECKSUM:
		stream->checksum = cpu_to_le64(lab_stream_checksum(stream));
		memcpy(stream->buffer, (u8 *)&stream->checksum + offset, most);
		break;
	case PART_END:
		fill(stream->seed, offset, stream->buffer, most);
		break;
	}
	return most;
}

/* As mlx5, whose data comes from firmware: until it does, there is nothing. */
static bool is_blocked(const struct lab_stream *stream)
{
	return READ_ONCE(stream->finished) && READ_ONCE(stream->migration->faults.blocked_stream);
}

static __poll_t stream_poll(struct file *file, struct poll_table_struct *wait)
{
	return is_blocked(file->private_data) ? 0 : EPOLLIN | EPOLLRDNORM;
}

static ssize_t stream_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	struct lab_stream *stream = file->private_data;
	u64 offset, left;
	ssize_t done = 0;
	size_t size;

	while (is_blocked(stream)) {
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		schedule_timeout_killable(HZ / 10);
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	if (mutex_lock_killable(&stream->lock))
		return -EINTR;
	if (stream->disabled) {
		done = -ENODEV;
		goto unlock;
	}
	while (done < count) {
		size = make_piece(stream, count - done);
		if (!size) {
			/* With everything given that there is now, a pre-copy only pauses. */
			if (!done && stream->precopy)
				done = -(ssize_t)min_t(u64, READ_ONCE(stream->migration->faults.precopy_end),
						       MAX_ERRNO);
			break;
		}
		if (copy_to_user(buf + done, stream->buffer, size)) {
			if (!done)
				done = -EFAULT;
			break;
		}
		if (lab_stream_part(stream, &offset, &left) < PART_CHECKSUM)
			lab_stream_hash(stream, stream->buffer, size);
		stream->position += size;
		done += size;
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
unlock:
	mutex_unlock(&stream->lock);
	return done;
}

static long stream_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	const size_t size = offsetofend(struct vfio_precopy_info, dirty_bytes);
	struct lab_stream *stream = file->private_data;
	struct vfio_precopy_info info;
	int ret = 0;

	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	if (copy_from_user(&info, (void __user *)arg, size))
		return -EFAULT;
	if (info.argsz < size)
		return -EINVAL;
	if (mutex_lock_killable(&stream->lock))
		return -EINTR;
	if (stream->disabled) {
		ret = -ENODEV;
	} else if (!stream->precopy) {
		ret = -EINVAL;
	} else {
		u64 initial = sizeof(stream->match);

		info.initial_bytes = initial - min(stream->position, initial);
		info.dirty_bytes = initial + stream->filler - max(stream->position, initial);
	}
	mutex_unlock(&stream->lock);
	if (!ret && copy_to_user((void __user *)arg, &info, size))
		ret = -EFAULT;
	return ret;
}

const struct file_operations lab_stream_save_fops = {
	.owner = THIS_MODULE,
	.read = stream_read,
	.poll = stream_poll,
	.unlocked_ioctl = stream_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = lab_stream_release,
};

void lab_stream_set_precopy(struct lab_stream *stream, bool precopy)
{
	mutex_lock(&stream->lock);
	stream->precopy = precopy;
	mutex_unlock(&stream->lock);
}

void lab_stream_finish(struct lab_stream *stream, const struct lab_program *program)
{
	const u64 *words = (const u64 *)program;
	int i;

	BUILD_BUG_ON(sizeof(*program) != sizeof(stream->tail));
	mutex_lock(&stream->lock);
	for (i = 0; i < ARRAY_SIZE(stream->tail.program); i++)
		stream->tail.program[i] = cpu_to_le64(words[i]);
	stream->finished = true;
	mutex_unlock(&stream->lock);
}
