// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state stream, as the file of a saving or resuming session. Nothing of the filler is ever kept: it is made while
 * it is read, and only hashed while it is written. The file may outlive its session, and its device: it holds what it
 * needs by reference, and what the session gave it is a copy.
 */
#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

#include "stream.h"

#define FNV_BASIS	0xcbf29ce484222325ULL
#define FNV_PRIME	0x100000001b3ULL
#define OVERHEAD	(sizeof(struct lab_stream_match) + sizeof(struct lab_stream_tail) + CHECKSUM_BYTES)

u64 lab_stream_bytes(u64 filler)
{
	return OVERHEAD + filler;
}

enum part lab_stream_part(const struct lab_stream *stream, u64 *offset, u64 *left)
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

void lab_stream_hash(struct lab_stream *stream, const u8 *bytes, size_t count)
{
	struct hash *hash = &stream->hash;

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
			hash->word = 0;
			hash->bytes = 0;
		}
	}
}

u64 lab_stream_checksum(const struct lab_stream *stream)
{
	struct hash last = stream->hash;

	if (last.bytes)
		hash_word(&last, last.word);
	return last.value;
}

static void stream_free(struct kref *ref)
{
	struct lab_stream *stream = container_of(ref, struct lab_stream, ref);

	lab_migration_put(stream->migration);
	mutex_destroy(&stream->lock);
	kvfree(stream);
}

int lab_stream_release(struct inode *inode, struct file *file)
{
	struct lab_stream *stream = file->private_data;

	kref_put(&stream->ref, stream_free);
	return 0;
}

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
	*file = anon_inode_getfile("ferry_lab", saving ? &lab_stream_save_fops : &lab_stream_load_fops, stream,
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
