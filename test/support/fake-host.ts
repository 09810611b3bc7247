/**
 * A program that speaks the control protocol and answers `inventory` with a given reply, so that commands can be
 * run end to end on any machine. It notes every request, to show what a command asked of a host.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PROTOCOL_VERSION, type InventoryReply } from '../../src/protocol/protocol.js'
import { startFerry } from './ferry.js'

export interface Ended {
  readonly exitCode?: number | undefined
  readonly stdout: string
  readonly stderr: string
}
export interface FakeHost {
  readonly folder: string
  /** Runs ferry with this helper. */
  ferry(...args: readonly string[]): Promise<Ended>
  /** The same, by the helpers the profile names, this one where it names none. */
  half(command: string, ...args: readonly string[]): Promise<Ended>
  /** Operations the helpers were asked, in order. */
  requests(): { readonly op: string; readonly params: Record<string, unknown> }[]
  remove(): void
}

export function fakeHost(inventory: InventoryReply): FakeHost {
  const folder = mkdtempSync(join(tmpdir(), 'ferry-fake-'))
  const helper = join(folder, 'ferry-helper')
  const log = join(folder, 'requests.ndjson')
  writeFileSync(log, '')
  const hello = {
    protocol: PROTOCOL_VERSION,
    version: '0.1.0',
    pid: 1,
    uid: inventory.host.uid,
    pageSize: inventory.host.pageSize,
    memlockBytes: inventory.host.memlockBytes,
    memoryAvailableBytes: inventory.host.memoryAvailableBytes,
    fingerprint: '00'.repeat(32),
  }
  writeFileSync(
    helper,
    `#!${process.execPath}
const { appendFileSync } = require('node:fs')
const replies = ${JSON.stringify({ hello, inventory })}
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, op, params } = JSON.parse(line)
  appendFileSync(${JSON.stringify(log)}, JSON.stringify({ op, params }) + '\\n')
  const reply = replies[op]
  const body = reply ? { ok: reply } : { error: { code: 'request/unknown', message: op } }
  process.stdout.write(JSON.stringify({ id, ...body }) + '\\n')
})
`,
    { mode: 0o755 },
  )
  return {
    folder,
    ferry: (...args) => startFerry([...args, '--helper', helper, '--state-dir', folder]),
    half: (command, ...args) =>
      startFerry([command, '--set', `source.helper=${helper}`, ...args, '--state-dir', folder]),
    requests: () =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
    remove: () => rmSync(folder, { recursive: true }),
  }
}
