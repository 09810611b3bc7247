// SPDX-License-Identifier: GPL-2.0-only
/* What the engine is about to write. */
#include <linux/module.h>

#include "lab_ahead.h"
#include "lab_core.h"

/* engine_lock is held: the program stays as it is, and position is that of the write before. */
void lab_slots_ahead(struct lab_device *lab, u8 *slots, unsigned int count)
{
	const struct lab_program *program = &lab->program;
	unsigned int i;
	u64 sequence;

	for (i = 0; i < count; i++) {
		sequence = program->position + 1 + i;
		lab_stamp(slots + i * LAB_SLOT_BYTES, program->seed,
			  lab_program_page(program, sequence) / LAB_PAGE_SIZE, sequence);
	}
}
EXPORT_SYMBOL_GPL(lab_slots_ahead);
