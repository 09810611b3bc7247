// SPDX-License-Identifier: GPL-2.0-only
/*
 * What write n of a program is: which page, which 256 bytes. The same functions as the simulator's in
 * helper/src/stamps, so that its checker can tell whether a page holds what the device
 * wrote last. Change neither without the other.
 */
#include <linux/module.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/unaligned.h>

#include "lab_core.h"

#define GOLDEN		0x9e3779b97f4a7c15ULL	/* 2^64 divided by the golden ratio */
#define STAMP_MAGIC	0x504d415453595246ULL	/* "FRYSTAMP" */
#define STAMP_FILLER_AT	40

/* The finalizer of splitmix64. */
static u64 mix(u64 value)
{
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
	return value ^ (value >> 31);
}

u64 lab_word(u64 seed, u64 index)
{
	return mix(seed + (index + 1) * GOLDEN);
}

/* A number below `limit`, evenly, from 64 random bits. */
static u64 below(u64 random, u64 limit)
{
	return mul_u64_u64_shr(random, limit, 64);
}

u64 lab_program_page(const struct lab_program *program, u64 sequence)
{
	u64 pages = program->bytes / LAB_PAGE_SIZE;
	u64 random = lab_word(program->seed, sequence * 2);
	u64 index;

	switch (program->pattern) {
	case LAB_PATTERN_SEQUENTIAL:
		index = (sequence - 1) % pages;
		break;
	case LAB_PATTERN_HOT:
		if (below(lab_word(program->seed, sequence * 2 + 1), 10) < 9)
			pages = DIV_ROUND_UP_ULL(pages, 10);
		fallthrough;
	default:
		index = below(random, pages);
	}
	return program->window + index * LAB_PAGE_SIZE;
}

void lab_stamp(u8 slot[LAB_SLOT_BYTES], u64 seed, u64 page, u64 sequence)
{
	u64 checksum = mix(mix(mix(mix(STAMP_MAGIC) ^ seed) ^ page) ^ sequence);
	u64 state = checksum;
	int at;

	put_unaligned_le64(STAMP_MAGIC, slot);
	put_unaligned_le64(seed, slot + 8);
	put_unaligned_le64(page, slot + 16);
	put_unaligned_le64(sequence, slot + 24);
	put_unaligned_le64(checksum, slot + 32);
	for (at = STAMP_FILLER_AT; at < LAB_SLOT_BYTES; at += 8) {
		state += GOLDEN;
		put_unaligned_le64(mix(state), slot + at);
	}
}

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
