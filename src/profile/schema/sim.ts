/** The `sim:` block: a device that exists only inside the helper. */
import * as z from 'zod'
import type { DeviceState } from '../../protocol/protocol.js'
import { count, iova, microseconds, rate, size } from './scalars.js'

const STATES = [
  'ERROR',
  'STOP',
  'RUNNING',
  'STOP_COPY',
  'RESUMING',
  'RUNNING_P2P',
  'PRE_COPY',
  'PRE_COPY_P2P',
] as const satisfies readonly DeviceState[]

const faultSchema = z.discriminatedUnion('kind', [
  z
    .strictObject({
      kind: z.literal('transition'),
      state: z.enum(STATES).meta({ description: 'the state whose SET fails' }),
      nth: count(1).optional().meta({ description: 'only the nth time; 1 is the first' }),
      errno: z
        .string()
        .regex(/^E[A-Z0-9]+$/u, 'write an errno by name, e.g. EIO')
        .optional()
        .meta({ description: 'errno the SET fails with' }),
      enterError: z
        .boolean()
        .optional()
        .meta({ description: 'the device ends in ERROR instead of its old state' }),
    })
    .meta({ description: 'a state transition fails' }),
  z
    .strictObject({
      kind: z.literal('short-stream'),
      bytes: size().meta({ description: 'how many bytes it gives' }),
    })
    .meta({ description: 'the state stream ends early' }),
  z.strictObject({ kind: z.literal('endless-stream') }).meta({ description: 'the state stream never ends' }),
  z
    .strictObject({ kind: z.literal('slow-stop'), delay: microseconds().meta({ description: 'how late' }) })
    .meta({ description: 'the device stops late' }),
  z
    .strictObject({
      kind: z.literal('tracker-error'),
      nth: count(1).meta({ description: 'which read fails' }),
    })
    .meta({ description: 'a read of the dirty log fails with EIO' }),
  z
    .strictObject({ kind: z.literal('drop-dirty-bit'), nth: count(1).meta({ description: 'at which read' }) })
    .meta({ description: 'one dirty page is not reported: full verification must find it' }),
  z
    .strictObject({ kind: z.literal('precopy-ends-with-zero') })
    .meta({ description: 'a drained PRE_COPY read returns 0 instead of ENOMSG, as several drivers do' }),
  z.strictObject({ kind: z.literal('reset-fails') }).meta({ description: 'the device cannot be reset' }),
  z
    .strictObject({ kind: z.literal('reset-does-nothing') })
    .meta({ description: 'a reset reports success and changes nothing' }),
  z
    .strictObject({ kind: z.literal('reset-refused-when-stopped') })
    .meta({ description: 'a reset is refused in STOP and STOP_COPY' }),
  z
    .strictObject({ kind: z.literal('stream-lost') })
    .meta({ description: 'a transition that opens a state stream is made and answers EMFILE' }),
  z
    .strictObject({ kind: z.literal('blocked-stream') })
    .meta({ description: 'in STOP_COPY the state stream gives nothing and does not end' }),
  z
    .strictObject({
      kind: z.literal('short-reads'),
      bytes: size().meta({ description: 'most bytes of one read' }),
    })
    .meta({ description: 'a read of the state stream gives less than was asked for' }),
  z
    .strictObject({ kind: z.literal('stale-session') })
    .meta({ description: 'a state stream begins where the last reader of the one before stopped' }),
  z
    .strictObject({ kind: z.literal('refused-write') })
    .meta({ description: 'a write of state is refused in the middle, and the load succeeds all the same' }),
  z
    .strictObject({ kind: z.literal('writes-after-stop') })
    .meta({ description: 'the device goes on writing memory after it was stopped' }),
  z.strictObject({ kind: z.literal('log-forgets') }).meta({
    description:
      'the DMA log forgets all but its first 256 pages when it reports in larger pages than its own',
  }),
  z
    .strictObject({
      kind: z.literal('tracker-hangs'),
      nth: count(1).meta({ description: 'which read hangs' }),
    })
    .meta({ description: 'a read of the dirty log does not return until the device is closed' }),
  z
    .strictObject({ kind: z.literal('refusals-einval') })
    .meta({ description: 'the device refuses everything with EINVAL' }),
])

export const simSchema = z
  .strictObject({
    model: z
      .enum(['mdev', 'function'])
      .meta({ description: 'mdev pins its own pages; a function has its whole memory pinned' }),
    flags: z
      .array(z.enum(['stop-copy', 'p2p', 'pre-copy']))
      .default(['stop-copy', 'p2p', 'pre-copy'])
      .meta({ description: 'VFIO migration flags the device reports' }),
    trackers: z
      .array(z.enum(['pinned', 'device', 'iommu', 'all']))
      .optional()
      .meta({ description: 'trackers the device has; default: pinned for an mdev, device for a function' }),
    state: size().meta({ description: 'size of the device state' }),
    precopy: size().prefault('0B').meta({ description: 'part of the state offered during pre-copy' }),
    stateRate: rate()
      .nullable()
      .default(null)
      .meta({ description: 'bandwidth of the state stream; null: unlimited' }),
    seed: count(0).default(1).meta({ description: 'seed of everything the device writes' }),
    window: z
      .strictObject({
        iova: iova().meta({ description: 'where the window begins' }),
        size: size().meta({ description: 'its size' }),
      })
      .meta({ description: 'memory the device writes; must lie inside the memory of the profile' }),
    writes: rate().meta({ description: 'how fast it dirties the window' }),
    pattern: z
      .enum(['uniform', 'hot', 'sequential'])
      .default('uniform')
      .meta({ description: 'which pages it writes: any, mostly a few, or one after the other' }),
    latency: z
      .partialRecord(z.enum(STATES), microseconds())
      .default({})
      .meta({ description: 'delay of each transition, by target state' }),
    faults: z.array(faultSchema).default([]).meta({ description: 'faults to simulate' }),
  })
  .meta({ description: 'a simulated device' })

export type SimInput = z.output<typeof simSchema>
export type FaultInput = z.output<typeof faultSchema>
