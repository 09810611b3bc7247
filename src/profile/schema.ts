/**
 * The shape of a profile: which keys there are, what each takes, and its default. profiles/profile.schema.json, which
 * editors read, is generated from it (`npm run schema`). What no shape can say (overlaps, duplicates, the two sides of
 * a device) is in checks.ts.
 */
import { z } from 'zod'
import { hookSchema } from './hook-schema.js'
import * as of from './scalars.js'
import { simSchema } from './sim-schema.js'

/** Exactly one of the keys of an object of optional keys. */
function exactlyOne<T extends z.ZodType<object>>(schema: T, keys: string): T {
  return schema.superRefine((value, context) => {
    const given = Object.keys(value).length
    if (given === 1) return
    context.addIssue({
      code: 'custom',
      message: given === 0 ? `one of ${keys} is needed` : `only one of ${keys} can be given`,
      params: { code: 'profile/exactly-one' },
    })
  })
}

const hostFields = {
  host: of
    .host()
    .prefault('local')
    .meta({ description: '`local`, or a host as ssh takes it: [user@]host or ssh://[user@]host[:port]' }),
  helper: z
    .string()
    .regex(/^[^-\0\n][^\0\n]*$/u, 'write the path of the program')
    .nullable()
    .default(null)
    .meta({ description: 'path of ferry-helper on that host; null: where ferry installs or finds it' }),
  become: z
    .enum(['sudo'])
    .nullable()
    .default(null)
    .meta({ description: 'how the helper becomes root there; null: it runs as the user who logs in' }),
  stateDir: of
    .absolutePath()
    .nullable()
    .default(null)
    .meta({ description: 'folder of records, locks and holders there; null: the default of that host' }),
}

const sourceSchema = z
  .strictObject({
    ...hostFields,
    from: z.enum(['open', 'holder']).default('open').meta({
      description: 'open: ferry opens the devices; holder: a running `ferry hold` of this workload has them',
    }),
    address: of
      .ip()
      .nullable()
      .default(null)
      .meta({ description: 'local IP address the data connections leave from; null: as the host routes' }),
  })
  .meta({ description: 'the host the devices leave' })
const thenSchema = z
  .union(
    [
      z.enum(['hold', 'close']),
      z.strictObject({
        exec: z
          .array(z.string().min(1))
          .min(1, 'a command is needed')
          .meta({ description: 'program and arguments; descriptors are passed as LISTEN_FDS does' }),
      }),
    ],
    { error: '`hold`, `close` or {exec: [PROGRAM, …]}' },
  )
  .meta({
    description:
      'what becomes of the devices once they run: hold: the helper stays and keeps them; exec: a command gets them; close: they are closed',
  })
const destinationSchema = z
  .strictObject({
    ...hostFields,
    listen: of.listen().optional().meta({
      description:
        'IP address and port the source connects to; port 0: any free one. Default: 127.0.0.1:0 when the host is local',
    }),
    interface: of
      .interfaceName()
      .nullable()
      .default(null)
      .meta({
        description: 'listen on the address of this interface, at any free port, instead of `listen`',
      }),
    then: thenSchema.prefault('hold'),
  })
  .meta({ description: 'the host the devices go to' })

const memfdSchema = z
  .strictObject({
    hugePages: z
      .enum(['2MiB', '1GiB'])
      .nullable()
      .default(null)
      .meta({ description: 'size of huge pages; null: ordinary pages' }),
  })
  .meta({ description: 'anonymous memory' })
const backingFields = {
  memfd: memfdSchema.optional(),
  file: of.absolutePath().optional().meta({ description: 'file to map, hugetlbfs included; it must exist' }),
}
const oneBacking = z.union(
  [
    z.literal('memfd'),
    exactlyOne(z.strictObject(backingFields).meta({ minProperties: 1, maxProperties: 1 }), '`memfd`, `file`'),
  ],
  { error: '`memfd` or {file: PATH}' },
)
export type BackingInput = z.output<typeof oneBacking>
const bothBackings = z.strictObject({
  ...backingFields,
  source: oneBacking.optional().meta({ description: 'on the source' }),
  destination: oneBacking.optional().meta({ description: 'on the destination' }),
})
const backingSchema = z
  .union(
    [
      z.literal('memfd'),
      bothBackings.superRefine((value, context) => {
        const keys = Object.keys(value)
        const sides = keys.length === 2 && keys.includes('source') && keys.includes('destination')
        if (sides || (keys.length === 1 && (keys[0] === 'memfd' || keys[0] === 'file'))) return
        context.addIssue({
          code: 'custom',
          message: 'give `memfd`, or `file`, or both `source` and `destination`',
          params: { code: 'profile/exactly-one' },
        })
      }),
    ],
    { error: '`memfd`, {file: PATH}, or {source: …, destination: …}' },
  )
  .meta({ description: 'what the memory is made of, on both sides or on each' })

export const regionSchema = z
  .strictObject({
    name: of.name().meta({ description: 'name of the region' }),
    iova: of.iova().meta({ description: 'where devices see it; the same on both sides' }),
    size: of.size().meta({ description: 'whole 4 KiB pages' }),
    backing: backingSchema.default('memfd'),
    fill: z
      .strictObject({
        seed: of.count(0).default(1).meta({ description: 'seed of the content' }),
        zero: of.percent().prefault('0%').meta({ description: 'share of zero pages' }),
      })
      .nullable()
      .default(null)
      .meta({ description: 'initial content of a simulated workload; null: leave as it is' }),
  })
  .meta({ description: 'memory the devices may write' })

const deviceRefSchema = exactlyOne(
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
      .meta({ description: 'who maps its memory: type1 (group and container) or iommufd (cdev)' }),
    tracker: z
      .enum(['auto', 'pinned', 'device', 'iommu', 'all'])
      .default('auto')
      .meta({ description: 'who knows which pages it wrote; auto: the planner chooses and says why' }),
    container: of
      .name()
      .nullable()
      .default(null)
      .meta({ description: 'devices with the same name share one container; null: the planner decides' }),
  })
  .meta({ description: 'a device and where it goes' })

const trackersSchema = z
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
        'allow: emulated and physical groups may be named into one type1 container, to measure its price: every page dirty in every round',
    }),
    iommuHugePages: z.enum(['split', 'keep']).default('split').meta({
      description:
        'entries of page tables that track dirty pages: split, so that each is one page; keep huge ones, and one written byte makes 2 MiB or 1 GiB dirty',
    }),
  })
  .meta({ description: 'rules for choosing trackers' })

const migrationSchema = z
  .strictObject({
    downtimeLimit: of
      .milliseconds()
      .prefault('300ms')
      .meta({ description: 'ceiling of the blackout; nothing raises it' }),
    precopy: z
      .strictObject({
        rounds: of.count(1, 100_000).default(30).meta({ description: 'at most this many rounds' }),
        time: of.milliseconds().prefault('60s').meta({ description: 'at most this long' }),
      })
      .prefault({})
      .meta({ description: 'bounds of pre-copy' }),
    onNotConverged: z
      .enum(['give-up', 'go-ahead'])
      .default('give-up')
      .meta({ description: 'when a bound is reached first; go-ahead still keeps the downtime limit' }),
    verify: z
      .enum(['none', 'full'])
      .default('none')
      .meta({ description: 'full: hash all memory on both sides during the blackout, before the commit' }),
    bandwidth: of
      .positiveRate()
      .nullable()
      .default(null)
      .meta({ description: 'cap of pre-copy; null: none' }),
    linkTimeout: of
      .milliseconds()
      .prefault('30s')
      .meta({ description: 'silence while something is due on a data connection after which the run fails' }),
    hold: z
      .enum(['after-pin', 'after-dirty-log', 'before-cutover'])
      .nullable()
      .default(null)
      .meta({
        description: 'where the run waits for `ferry cutover`; before-cutover: pre-copy goes on meanwhile',
      }),
    holdTimeout: of
      .milliseconds()
      .nullable()
      .default(null)
      .meta({ description: 'how long it may be held; null: for ever' }),
    holdEnd: z
      .enum(['cancel', 'cutover'])
      .default('cancel')
      .meta({ description: 'what happens when the holdTimeout is over' }),
  })
  .meta({ description: 'how the move is made' })

const transportSchema = z
  .strictObject({
    insecure: z
      .string()
      .min(10, 'say in a few words why the data may travel in the clear')
      .nullable()
      .default(null)
      .meta({ description: 'why memory and device state may travel in the clear; null: TLS 1.3, always' }),
    loopback: z
      .boolean()
      .default(false)
      .meta({ description: 'both sides on this host: in the clear over loopback, which does not leave it' }),
    streams: of.count(1, 16).default(1).meta({ description: 'connections that carry pages' }),
    maxStreams: of
      .count(1, 16)
      .nullable()
      .default(null)
      .meta({
        description:
          'connections opened, so that `ferry set RUN streams` can go up to it; null: as `streams`',
      }),
    keepalive: of
      .milliseconds()
      .prefault('6s')
      .meta({ description: 'a dead host or network is noticed within this time' }),
  })
  .meta({ description: 'the data connection' })

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
        socket: of
          .absolutePath()
          .meta({ description: 'unix socket at which a holder gives the descriptors' }),
        uid: of.count(0, 4_294_967_294).meta({ description: 'the one user it gives them to' }),
      })
      .nullable()
      .default(null)
      .meta({ description: 'who may ask the holder of this workload for its descriptors; null: nobody' }),
    releaseSource: z.enum(['onCommit', 'byHand']).nullable().default(null).meta({
      description:
        'when the source lets go of its devices after the commit; byHand: with `ferry release`. Default: onCommit for `from: open`, byHand for `from: holder`',
    }),
  })
  .meta({ title: 'ferry migration profile', description: 'what to move, from where to where, and how' })

export type ProfileInput = z.output<typeof profileSchema>
export type RegionInput = z.output<typeof regionSchema>
export type DeviceInput = z.output<typeof deviceSchema>
export { destinationSchema, sourceSchema, trackersSchema, transportSchema }

/** JSON Schema (draft-7, which editors read best) of a profile as it is written. */
export function profileJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(profileSchema, { target: 'draft-7', io: 'input' }) as Record<string, unknown>
}
