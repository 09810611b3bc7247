// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state stream, as the file of a saving or resuming session. Nothing of the filler is ever kept: it is made while
 * it is read, and only hashed while it is written. The file may outlive its session, and its device: it holds what it
 * needs by reference, and what the session gave it is a copy.
 */
#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>

#include "lab_core.h"

#define FNV_BASIS	0xcbf29ce484222325ULL
#define FNV_PRIME	0x100000001b3ULL
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
#define OVERHEAD	(sizeof(struct lab_stream_match) + sizeof(struct lab_stream_tail) + CHECKSUM_BYTES)

u64 lab_stream_bytes(u64 filler)
{
	return OVERHEAD + filler;
}

/* The part that `position` is in, how far into it, and how much of it is left. */
static enum part find_part(const struct lab_stream *stream, u64 *offset, u64 *left)
{
	u64 sizes[] = { sizeof(stream->match), stream->filler, sizeof(stream->tail), CHECKSUM_BYTES };
	u64 at = stream->position;
	int part;

	for (part = PART_MATCH; part < PART_END; part++) {
		if (at < sizes[part]) {
			*offset = at;
			*left = sizes[part] - at;
			return part;
		}
		at -= sizes[part];
	}
	*offset = at;
	*left = U64_MAX;
	return PART_END;
}

static void hash_word(struct hash *hash, u64 word)
{
	hash->value = (hash->value ^ word) * FNV_PRIME;
}

static void hash_bytes(struct hash *hash, const u8 *bytes, size_t count)
{
	while (count) {
		if (!hash->bytes && count >= 8) {
			hash_word(hash, get_unaligned_le64(bytes));
			bytes += 8;
			count -= 8;
			continue;
		}
		hash->word |= (u64)*bytes++ << (8 * hash->bytes++);
		count--;
		if (hash->bytes == 8) {
			hash_word(hash, hash->word);
			hash->word = hash->bytes = 0;
		}
	}
}

static u64 hash_value(const struct hash *hash)
{
	struct hash last = *hash;

	if (last.bytes)
		hash_word(&last, last.word);
	return last.value;
}

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

static void stream_free(struct kref *ref)
{
	struct lab_stream *stream = container_of(ref, struct lab_stream, ref);

	lab_migration_put(stream->migration);
	mutex_destroy(&stream->lock);
	kvfree(stream);
}

static int stream_release(struct inode *inode, struct file *file)
{
	struct lab_stream *stream = file->private_data;

	kref_put(&stream->ref, stream_free);
	return 0;
}

/* --- saving --- */

/* Up to a buffer of what comes next; 0 at an end. */
static size_t make_piece(struct lab_stream *stream, size_t most)
{
	u64 total = lab_stream_bytes(stream->filler);
	u64 short_by = min(READ_ONCE(stream->migration->faults.short_stream), total);
	bool endless = READ_ONCE(stream->migration->faults.endless_stream);
	u64 offset, left;
	enum part part = find_part(stream, &offset, &left);

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
		stream->checksum = cpu_to_le64(hash_value(&stream->hash));
		memcpy(stream->buffer, (u8 *)&stream->checksum + offset, most);
		break;
	case PART_END:
		fill(stream->seed, offset, stream->buffer, most);
		break;
	}
	return most;
}

static ssize_t stream_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	struct lab_stream *stream = file->private_data;
	u64 offset, left;
	ssize_t done = 0;
	size_t size;

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
		if (find_part(stream, &offset, &left) < PART_CHECKSUM)
			hash_bytes(&stream->hash, stream->buffer, size);
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

static const struct file_operations save_fops = {
	.owner = THIS_MODULE,
	.read = stream_read,
	.unlocked_ioctl = stream_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = stream_release,
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

/* --- resuming --- */

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
		hash_bytes(&stream->hash, stream->buffer, size);
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
		enum part part = find_part(stream, &offset, &left);
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

static const struct file_operations resume_fops = {
	.owner = THIS_MODULE,
	.write = stream_write,
	.release = stream_release,
};

int lab_stream_load(struct lab_stream *stream, bool validate, struct lab_program *program)
{
	u64 start, arrived = 0;
	int i, ret = 0;

	mutex_lock(&stream->lock);
	if (validate && (stream->foreign || stream->filler == U64_MAX ||
			 stream->position != lab_stream_bytes(stream->filler) ||
			 le64_to_cpu(stream->checksum) != hash_value(&stream->hash))) {
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

/* --- both --- */

void lab_stream_disable(struct lab_stream *stream)
{
	mutex_lock(&stream->lock);
	stream->disabled = true;
	mutex_unlock(&stream->lock);
	kref_put(&stream->ref, stream_free);
}

struct lab_stream *lab_stream_open(struct lab_device *lab, bool saving, struct file **file)
{
	struct lab_stream *stream = kvzalloc(struct_size(stream, buffer, BUFFER_BYTES), GFP_KERNEL_ACCOUNT);

	if (!stream)
		return ERR_PTR(-ENOMEM);
	*file = anon_inode_getfile("ferry_lab", saving ? &save_fops : &resume_fops, stream,
				   saving ? O_RDONLY : O_WRONLY);
	if (IS_ERR(*file)) {
		kvfree(stream);
		return ERR_CAST(*file);
	}
	stream_open((*file)->f_inode, *file);

	kref_init(&stream->ref);
	kref_get(&stream->ref);
	mutex_init(&stream->lock);
	kref_get(&lab->migration->ref);
	stream->migration = lab->migration;
	stream->kind = lab->kind;
	stream->hash.value = FNV_BASIS;
	stream->filler = U64_MAX;
	if (saving) {
		/* As they are now: registers written during a pre-copy show in the tail, not in what was sent. */
		stream->seed = READ_ONCE(lab->program.seed);
		stream->filler = READ_ONCE(lab->program.state);
		stream->match = (struct lab_stream_match) {
			.magic = cpu_to_le64(LAB_STREAM_MAGIC),
			.version = cpu_to_le32(LAB_STREAM_VERSION),
			.kind = cpu_to_le32(lab->kind),
			.total = cpu_to_le64(lab_stream_bytes(stream->filler)),
			.filler = cpu_to_le64(stream->filler),
		};
	}
	return stream;
}
