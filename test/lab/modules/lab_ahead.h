/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FERRY_LAB_AHEAD_H
#define FERRY_LAB_AHEAD_H

#include "ferry_lab.h"

/*
 * From lab_ops.write alone: the 256 bytes of this write, and of the `count` - 1 that follow if nothing changes the
 * program meanwhile. For a device that takes several at once.
 */
void lab_slots_ahead(struct lab_device *lab, u8 *slots, unsigned int count);

#endif
