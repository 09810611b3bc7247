/** The two hosts and the data connections between them: the shape of `source:`, `destination:` and `transport:`. */
import { DEFAULT_KEEPALIVE_MS } from '../../limits.js'
import { formatTime } from './quantity.js'
import * as z from 'zod'
import * as of from './scalars.js'

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

export const sourceSchema = z
  .strictObject({
    ...hostFields,
    from: z.enum(['open', 'holder']).default('open').meta({
      description: 'open: ferry opens the devices; holder: a running `ferry hold` of this workload has them',
    }),
    address: of.ip().nullable().default(null).meta({
      description: 'local IP address the data connections leave from; null: the host’s routes decide',
    }),
  })
  .meta({ description: 'the host the devices leave' })
const thenSchema = z
  .union(
    [
      z.enum(['hold', 'close']),
      z.strictObject({
        exec: of
          .command()
          .meta({ description: 'program and arguments; descriptors are passed as LISTEN_FDS does' }),
      }),
    ],
    { error: '`hold`, `close` or {exec: [PROGRAM, …]}' },
  )
  .meta({
    description:
      'what happens to the devices once they run: hold: the helper stays and keeps them; exec: a command gets them; close: they are closed',
  })
export const destinationSchema = z
  .strictObject({
    ...hostFields,
    listen: of.listen().optional().meta({
      description:
        'IP address and port the source connects to; port 0: any free one. Default: 127.0.0.1:0 when the host is local',
    }),
    interface: of.interfaceName().nullable().default(null).meta({
      description: 'listen on the address of this interface, at any free port, instead of `listen`',
    }),
    then: thenSchema.prefault('hold'),
  })
  .meta({ description: 'the host the devices go to' })

export const transportSchema = z
  .strictObject({
    insecure: z
      .string()
      .regex(/^\s*\S[\s\S]{8,}\S\s*$/u, 'say in a few words why the data may travel in the clear')
      .nullable()
      .default(null)
      .meta({ description: 'why memory and device state may travel in the clear; null: TLS 1.3, always' }),
    loopback: z.boolean().default(false).meta({
      description: 'both sides on this host: in the clear over loopback, which does not leave the host',
    }),
    streams: of.count(1, 16).default(1).meta({ description: 'connections that carry pages' }),
    maxStreams: of.count(1, 16).nullable().default(null).meta({
      description: 'connections opened, so that `ferry set RUN streams` can go up to it; null: as `streams`',
    }),
    keepalive: of
      .milliseconds()
      .prefault(formatTime(DEFAULT_KEEPALIVE_MS * 1000))
      .meta({ description: 'a dead host or network is noticed within this time' }),
  })
  .meta({ description: 'the data connection' })
