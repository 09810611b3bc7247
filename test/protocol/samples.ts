/**
 * One line of every kind of request, reply and event, as typed values: the compiler holds them to protocol.ts, and
 * protocol-samples.ndjson is their text, which the Rust twin's tests parse. Write it anew after a change with
 * `node --import tsx test/protocol/samples.ts > test/protocol/protocol-samples.ndjson`.
 */
import { pathToFileURL } from 'node:url'
import { eventSamples } from '../link/samples/events.js'
import { factSamples } from '../link/samples/facts.js'
import { runSamples } from '../link/samples/run.js'
import { setUpSamples } from '../link/samples/set-up.js'
import { SampleTape, type Sample } from '../link/samples/tape.js'

/** A line of a recording, by whatever version. */
export interface Recorded {
  readonly kind: string
  readonly op?: string
  readonly body: { readonly params?: unknown }
}

const tape = new SampleTape()
for (const write of [factSamples, setUpSamples, runSamples, eventSamples]) write(tape)

export const samples: readonly Sample[] = tape.samples
export const samplesText = samples.map((sample) => JSON.stringify(sample) + '\n').join('')

const script = process.argv[1]
if (script !== undefined && import.meta.url === pathToFileURL(script).href) process.stdout.write(samplesText)
