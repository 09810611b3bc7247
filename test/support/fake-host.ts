/** A host with a given inventory, so that commands can be run end to end on any machine. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PROTOCOL_VERSION, type InventoryReply } from '../../src/protocol/protocol.js'
import { fakeHelper } from './fake-helper.js'
import { startFerry } from './ferry.js'
import { temporaryFolder } from './temporary-folder.js'

export interface Ended {
  readonly exitCode?: number | undefined
  readonly stdout: string
  readonly stderr: string
}
export interface FakeHost {
  /** Its state folder; the fake helper is elsewhere. */
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
  const folder = temporaryFolder()
  const tools = temporaryFolder()
  const requests = join(tools, 'requests.ndjson')
  writeFileSync(requests, '')
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
  const helper = fakeHelper(tools, 'ferry-helper', {
    requests,
    replies: { hello: [{ ok: hello }], inventory: [{ ok: inventory }] },
  })
  return {
    folder,
    ferry: (...args) => startFerry([...args, '--helper', helper, '--state-dir', folder]),
    half: (command, ...args) =>
      startFerry([command, '--set', `source.helper=${helper}`, ...args, '--state-dir', folder]),
    requests: () =>
      readFileSync(requests, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
    remove: () => rmSync(folder, { recursive: true }),
  }
}
