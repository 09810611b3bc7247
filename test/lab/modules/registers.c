// SPDX-License-Identifier: GPL-2.0-only
/* BAR 0; the table is in ferry_lab.h. */
#include <linux/export.h>
#include <linux/uaccess.h>
#include <linux/unaligned.h>

#include "lab_core.h"

#define REG_MAGIC	0x00
#define REG_KIND	0x08
#define REG_PROGRAM	0x10	/* struct lab_program, in order */
#define REG_CONTROL	0x50
#define REG_END		0x68

#define MAGIC		0x414d445952524546ULL	/* "FERRYDMA" */

static u64 read_register(struct lab_device *lab, u64 offset)
{
	switch (offset) {
	case REG_MAGIC:
		return MAGIC;
	case REG_KIND:
		return lab->kind;
	case REG_PROGRAM ... REG_END - 1:
		return READ_ONCE(((u64 *)&lab->program)[(offset - REG_PROGRAM) / 8]);
	default:
		return 0;
	}
}

/* Bits `mask` of the register get those of `value`; a value that no program may have changes nothing. */
static int write_register(struct lab_device *lab, u64 offset, u64 value, u64 mask)
{
	struct lab_program program;
	u64 *word;

	BUILD_BUG_ON(REG_PROGRAM + sizeof(program) != REG_END);
	if (offset < REG_PROGRAM || offset >= REG_END)
		return 0;
	if (mutex_lock_killable(&lab->engine_lock))
		return -EINTR;
	program = lab->program;
	word = &((u64 *)&program)[(offset - REG_PROGRAM) / 8];
	*word = (*word & ~mask) | (value & mask);
	if (offset < REG_CONTROL)
		program.control = 0;
	if (lab_program_valid(lab, &program))
		lab->program = program;
	mutex_unlock(&lab->engine_lock);
	lab_engine_kick(lab);
	return 0;
}

/* The next piece of an access: 8 bytes where they are aligned, else 4. */
static size_t piece(size_t left, u64 offset)
{
	return left >= 8 && IS_ALIGNED(offset, 8) ? 8 : 4;
}

static bool access_valid(size_t count, u64 offset)
{
	return IS_ALIGNED(count, 4) && IS_ALIGNED(offset, 4) && offset <= LAB_BAR_BYTES &&
	       count <= LAB_BAR_BYTES - offset;
}

ssize_t lab_bar_read(struct lab_device *lab, char __user *buf, size_t count, u64 offset)
{
	size_t done, size;

	if (!access_valid(count, offset))
		return -EINVAL;
	for (done = 0; done < count; done += size) {
		u64 at = offset + done;
		u64 value = read_register(lab, round_down(at, 8)) >> (at % 8 * 8);
		u8 bytes[8];

		size = piece(count - done, at);
		put_unaligned_le64(value, bytes);
		if (copy_to_user(buf + done, bytes, size))
			return -EFAULT;
	}
	return done;
}
EXPORT_SYMBOL_GPL(lab_bar_read);

ssize_t lab_bar_write(struct lab_device *lab, const char __user *buf, size_t count, u64 offset)
{
	size_t done, size;
	int ret;

	if (!access_valid(count, offset))
		return -EINVAL;
	for (done = 0; done < count; done += size) {
		u64 at = offset + done;
		unsigned int shift = at % 8 * 8;
		u8 bytes[8] = {};

		size = piece(count - done, at);
		if (copy_from_user(bytes, buf + done, size))
			return -EFAULT;
		ret = write_register(lab, round_down(at, 8), get_unaligned_le64(bytes) << shift,
				     size == 8 ? U64_MAX : (u64)U32_MAX << shift);
		if (ret)
			return ret;
	}
	return done;
}
EXPORT_SYMBOL_GPL(lab_bar_write);
