/**
 * The shape of a profile: which keys there are, what each takes, and its default. profiles/profile.schema.json, which
 * editors read, is generated from it (`npm run schema`). What no shape can say (overlaps, duplicates, the two sides of
 * a device) is in checks.ts.
 */
import * as z from 'zod'
import { hookSchema } from './hook.js'
import { HOLD_POINTS } from '../../points.js'
import { destinationSchema, sourceSchema, transportSchema } from './host.js'
import { regionSchema } from './memory.js'
import * as of from './scalars.js'
import { simSchema } from './sim.js'

const deviceRefSchema = of.exactlyOne(
  z
    .strictObject({
      mdev: of.uuid().optional().meta({ description: 'UUID of a mediated device' }),
      function: of.bdf().optional().meta({ description: 'PCI address of a physical or virtual function' }),
      sim: simSchema.optional(),
    })
    .meta({ description: 'one of mdev, function, sim', minProperties: 1, maxProperties: 1 }),
  '`mdev`, `function`, `sim`',
)

export const deviceSchema = z
  .strictObject({
    name: of.name().meta({ description: 'name of the device in plans and reports' }),
    source: deviceRefSchema,
    destination: deviceRefSchema,
    backend: z
      .enum(['auto', 'type1', 'iommufd', 'sim'])
      .default('auto')
      .meta({ description: 'what maps its memory: type1 (group and container) or iommufd (cdev)' }),
    tracker: z.enum(['auto', 'pinned', 'device', 'iommu', 'all']).default('auto').meta({
      description: 'how Ferry learns which pages it wrote; auto: the planner chooses and gives the reason',
    }),
    container: of
      .name()
      .nullable()
      .default(null)
      .meta({ description: 'devices with the same name share one container; null: the planner decides' }),
  })
  .meta({ description: 'a device and where it goes' })

export const trackersSchema = z
  .strictObject({
    prefer: z
      .enum(['device', 'iommu'])
      .default('device')
      .meta({ description: 'which tracker to take when a function has both' }),
    forbidAll: z
      .boolean()
      .default(false)
      .meta({ description: 'refuse a plan in which every page counts as dirty in every round' }),
    mixedContainers: z.enum(['refuse', 'allow']).default('refuse').meta({
      description:
        'allow: the profile may put emulated and physical groups into one type1 container, to measure its cost: every page is dirty in every round',
    }),
    iommuHugePages: z.enum(['split', 'keep']).default('split').meta({
      description:
        'entries of page tables that track dirty pages: split, so that each is one page; keep huge ones, and one written byte makes 2 MiB or 1 GiB dirty',
    }),
    process: z
      .strictObject({
        method: z.enum(['auto', 'write-protect', 'soft-dirty']).default('auto').meta({
          description:
            'auto: write protection where the process registered its mapping with a userfaultfd, else soft-dirty bits',
        }),
        freeze: z.enum(['auto', 'cgroup', 'signal']).default('auto').meta({
          description:
            'how processes are stopped in the blackout; auto: by a cgroup (v2) of their own, else SIGSTOP',
        }),
      })
      .nullable()
      .default(null)
      .meta({
        description:
          'track what other processes write into the memory by CPU, and stop them in the blackout; null: no',
      }),
  })
  .meta({ description: 'rules for choosing trackers' })

export const migrationSchema = z
  .strictObject({
    downtimeLimit: of.milliseconds().prefault('300ms').meta({
      description: 'longest blackout allowed: a run that would pass it is undone (`ferry set` changes it)',
    }),
    precopy: z
      .strictObject({
        rounds: of.count(1, 100_000).default(30).meta({ description: 'at most this many rounds' }),
        time: of.milliseconds().prefault('60s').meta({ description: 'at most this long' }),
      })
      .prefault({})
      .meta({ description: 'bounds of pre-copy' }),
    onNotConverged: z
      .enum(['cancel', 'cutover'])
      .default('cancel')
      .meta({ description: 'when a bound is reached first; cutover still keeps the downtime limit' }),
    verify: z
      .enum(['none', 'full'])
      .default('none')
      .meta({ description: 'full: hash all memory on both sides during the blackout, before the commit' }),
    bandwidth: of
      .positiveRate()
      .nullable()
      .default(null)
      .meta({ description: 'cap of pre-copy; null: none' }),
    maxState: of.size().nullable().default(null).meta({
      description:
        'longest state of one device in the blackout; null: four times what it announced, and at least 64 MiB',
    }),
    linkTimeout: of
      .milliseconds()
      .prefault('30s')
      .meta({ description: 'silence while something is due on a data connection after which the run fails' }),
    grace: of.milliseconds().nullable().prefault('30s').meta({
      description:
        'how long both helpers keep a run before its stop when ferry is killed or lost, for `ferry recover` to go on with; null: not at all',
    }),
    hold: z.enum(HOLD_POINTS).nullable().default(null).meta({
      description: 'where the run waits for `ferry cutover`; before-cutover: pre-copy goes on while it waits',
    }),
    holdTimeout: of
      .milliseconds()
      .nullable()
      .default(null)
      .meta({ description: 'longest hold; null: no limit' }),
    holdEnd: z
      .enum(['cancel', 'cutover'])
      .default('cancel')
      .meta({ description: 'what happens when holdTimeout is over' }),
  })
  .meta({ description: 'how the move is made' })

export const releaseSchema = z.enum(['on-commit', 'by-hand']).nullable().default(null).meta({
  description:
    'when the source closes its devices after the commit; by-hand: with `ferry release`. Default: on-commit for `from: open`, by-hand for `from: holder`',
})

export const profileSchema = z
  .strictObject({
    version: z.literal(1).meta({ description: 'version of this format' }),
    name: of.name().meta({ description: 'name of the workload' }),
    source: sourceSchema.prefault({}),
    destination: destinationSchema.prefault({}),
    memory: z
      .array(regionSchema)
      .min(1, 'at least one memory region is needed')
      .meta({ description: 'memory regions' }),
    devices: z.array(deviceSchema).min(1, 'at least one device is needed').meta({ description: 'devices' }),
    trackers: trackersSchema.prefault({}),
    migration: migrationSchema.prefault({}),
    transport: transportSchema.prefault({}),
    hooks: z
      .array(hookSchema)
      .default([])
      .meta({ description: 'commands at points of the run, in this order' }),
    handOut: z
      .strictObject({
        socket: of.socketPath().meta({ description: 'unix socket at which a holder gives the descriptors' }),
        uid: of.count(0, 4_294_967_294).meta({ description: 'the one user it gives them to' }),
      })
      .nullable()
      .default(null)
      .meta({
        description: 'which user may ask the holder of this workload for its descriptors; null: none',
      }),
    releaseSource: releaseSchema,
  })
  .meta({ title: 'ferry migration profile', description: 'what to move, from where to where, and how' })

export type ProfileInput = z.output<typeof profileSchema>
export type DeviceInput = z.output<typeof deviceSchema>

/** JSON Schema (draft-7, which editors read best) of a profile as it is written. */
export function profileJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(profileSchema, { target: 'draft-7', io: 'input' }) as Record<string, unknown>
}
