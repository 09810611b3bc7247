/** Every code that Ferry shows, by family; `ferry explain` and docs/codes.md are made from it. */
import type { Explanation, Family } from './code.js'
import { DEVICE_FAMILY } from './device.js'
import { DOCTOR_FAMILY } from './doctor.js'
import { EXIT_FAMILY } from './exit.js'
import { HELPER_FAMILY } from './helper.js'
import { HOLDER_FAMILY } from './holder.js'
import { INVENTORY_FAMILY } from './inventory.js'
import { IOMMU_FAMILY } from './iommu.js'
import { LINK_FAMILY } from './link.js'
import { PLAN_FAMILY } from './plan.js'
import { PROFILE_FAMILY } from './profile.js'
import { PROTOCOL_FAMILY } from './protocol.js'
import { RECORDS_FAMILY } from './records.js'
import { RUN_FAMILY } from './run.js'
import { SIMULATED_FAMILY } from './simulated.js'
import { TRACKER_FAMILY } from './tracker.js'
import { USAGE_FAMILY } from './usage.js'
import { WIRE_FAMILY } from './wire.js'

export const FAMILIES: readonly Family[] = [
  EXIT_FAMILY,
  USAGE_FAMILY,
  PROFILE_FAMILY,
  INVENTORY_FAMILY,
  PLAN_FAMILY,
  DOCTOR_FAMILY,
  RUN_FAMILY,
  RECORDS_FAMILY,
  HELPER_FAMILY,
  LINK_FAMILY,
  WIRE_FAMILY,
  DEVICE_FAMILY,
  IOMMU_FAMILY,
  TRACKER_FAMILY,
  HOLDER_FAMILY,
  PROTOCOL_FAMILY,
  SIMULATED_FAMILY,
]

export interface Explained extends Explanation {
  readonly code: string
  readonly family: string
  readonly where: string
}

/** Undefined for a code that Ferry does not have. */
export function explain(code: string): Explained | undefined {
  for (const { codes, name, where } of FAMILIES) {
    const found = Object.hasOwn(codes, code) ? codes[code] : undefined
    if (found !== undefined) return { code, family: name, ...found, where }
  }
  return undefined
}

export function allCodes(): string[] {
  return FAMILIES.flatMap(({ codes }) => Object.keys(codes))
}
