/** Hosts that lack what a run needs: refused by name, with nothing changed that is not put back. */
import {
  chmodSync,
  chownSync,
  copyFileSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import { ended, sourceRuns } from '../support/expect.js'
import { gone, isRunning, Scene, type Ended } from '../support/scene.js'
import { HELPER } from '../support/paths.js'
import { device, region, workload } from '../support/workload.js'

const SLOW = { migration: { bandwidth: '2MiB/s' } }
const isRoot = process.getuid?.() === 0

/** Refused before a run began: no journal, nothing to put back. */
function refused(result: Ended, scene: Scene, exit: number, code: string): void {
  const said = `${result.stdout}\n${result.stderr}`
  expect([result.exit, result.envelope?.exit], said).toEqual([exit, exit])
  expect(result.envelope?.error.code, said).toBe(code)
  expect(result.envelope?.error.suggestions.length, said).toBeGreaterThan(0)
  expect(scene.runs()).toEqual([])
}

/** A helper that answers `hello` with this and nothing else. */
function fakeHelper(scene: Scene, name: string, hello: object): string {
  const path = join(scene.folder, name)
  writeFileSync(
    path,
    `#!${process.execPath}
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, op } = JSON.parse(line)
  const error = { code: 'request/unknown', message: op }
  process.stdout.write(JSON.stringify(op === 'hello' ? { id, ...${JSON.stringify(hello)} } : { id, error }) + '\\n')
})
`,
    { mode: 0o755 },
  )
  return path
}

describe.concurrent('the helper', () => {
  it('is missing: every place looked at is named', async () => {
    const scene = new Scene()
    const path = join(scene.folder, 'nowhere', 'ferry-helper')
    const result = await scene.migrate(workload(), '--helper', path)
    refused(result, scene, EXIT.error, 'helper/missing')
    expect(result.envelope?.error.message).toContain(`${path}: does not exist`)
  })

  it.each([
    ['refuses our protocol', { error: { code: 'hello/protocol', message: 'this helper speaks protocol 9' } }],
    ['answers with another', { ok: { protocol: 9, version: '9.9.9', pid: 1, uid: 0 } }],
  ])('%s: exit 8', async (_, hello) => {
    const scene = new Scene()
    const result = await scene.migrate(workload(), '--helper', fakeHelper(scene, 'other', hello))
    refused(result, scene, EXIT.sidesDisagree, 'peer/version')
    expect(result.envelope?.error.message).toMatch(/versions 2 to 3\b.*9/su)
  })

  it('is no program for this machine', async () => {
    const scene = new Scene()
    const path = join(scene.folder, 'text')
    writeFileSync(path, 'not a program\n', { mode: 0o755 })
    const result = await scene.migrate(workload(), '--helper', path)
    expect(result.exit).toBe(EXIT.error)
    expect(result.envelope?.error.message).toContain(path)
    expect(scene.runs()).toEqual([])
  })

  it.runIf(isRoot).each([
    ['belongs to another user', (path: string) => chownSync(path, 65_534, 65_534), 'belongs to uid 65534'],
    ['may be written by others', (path: string) => chmodSync(path, 0o757), 'mode 0757'],
    [
      'may be written by a group that is not root’s',
      (path: string) => {
        chownSync(path, 0, 65_534)
        chmodSync(path, 0o775)
      },
      'mode 0775',
    ],
  ])('%s: root does not run it', async (_, spoil, named) => {
    const scene = new Scene()
    const path = join(scene.folder, 'ferry-helper')
    copyFileSync(HELPER, path)
    chmodSync(path, 0o755)
    spoil(path)
    const result = await scene.migrate(workload(), '--helper', path)
    refused(result, scene, EXIT.error, 'helper/untrusted')
    expect(result.envelope?.error.message).toContain(path)
    expect(result.envelope?.error.message).toContain(named)
  })

  it.runIf(isRoot)('stands in a folder others may write: root does not run it', async () => {
    const scene = new Scene()
    const folder = join(scene.folder, 'open')
    mkdirSync(folder)
    chmodSync(folder, 0o777)
    const path = join(folder, 'ferry-helper')
    copyFileSync(HELPER, path)
    const result = await scene.migrate(workload(), '--helper', path)
    refused(result, scene, EXIT.error, 'helper/untrusted')
    expect(result.envelope?.error.message).toContain(`${folder} may be written`)
  })
})

describe.concurrent('a host', () => {
  it('without the devices of the profile blocks the plan, all of them at once', async () => {
    const scene = new Scene()
    const ids = [1, 2, 3, 4].map((number) => `83b8f4f2-509f-382f-3c1e-e6bfe0fa100${number}`)
    const [one, two] = ids.slice(0, 2).map((mdev, index) => ({
      name: `gpu-${index}`,
      source: { mdev },
      destination: { mdev: ids[index + 2] },
    }))
    const plan = { ...workload(), devices: [one, device('nic', { seed: 9 }), two] }
    const result = await scene.migrate(plan as never)
    refused(result, scene, EXIT.blocked, 'plan/blocked')
    for (const id of ids) expect(JSON.stringify(result.envelope?.error.reasons)).toContain(id)
  })

  it('whose port is taken: exit 5 with the address, the source runs', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = server.address() as { port: number }
      const scene = new Scene()
      const destination = { host: 'local', listen: `127.0.0.1:${port}` }
      const result = await scene.migrate(workload([device('nic')], { destination }))
      ended(result, scene, 'rolledBack')
      await sourceRuns(scene)
      expect(result.envelope?.error).toMatchObject({ errnoName: 'EADDRINUSE' })
      expect(result.envelope?.error.message).toContain(`127.0.0.1:${port}`)
    } finally {
      server.close()
    }
  })

  it.each([
    ['is missing', null, 'ENOENT', 'memory/open'],
    ['is too small', 4096, '4096 bytes', 'memory/too-small'],
    ['is empty', 0, 'is empty', 'memory/too-small'],
  ] as const)('where a backing file %s', async (_, size, named, code) => {
    for (const side of ['source', 'destination'] as const) {
      const scene = new Scene()
      const file = join(scene.folder, 'ram')
      if (size !== null) ftruncateSync(openSync(file, 'w'), size)
      const other = side === 'source' ? 'destination' : 'source'
      const memory = [region('ram', 0, '16MiB', { backing: { [side]: { file }, [other]: 'memfd' } })]
      const result = await scene.migrate(workload([device('nic')], { memory }))
      // The source's memory comes before its devices: then nothing has been touched.
      ended(result, scene, side === 'source' ? 'error' : 'rolledBack')
      if (side === 'destination') await sourceRuns(scene)
      expect(result.envelope?.error.code).toBe(code)
      const text = JSON.stringify(result.envelope?.error)
      expect(text).toContain(file)
      expect(text).toContain(named)
      await gone(...scene.helperPids())
    }
  })

  it('whose state folder cannot be written: no run begins', async () => {
    const scene = new Scene()
    const file = join(scene.folder, 'file')
    writeFileSync(file, '')
    const result = await scene.migrate(workload(), '--state-dir', join(file, 'state'))
    refused(result, scene, EXIT.error, 'journal/create')
    expect(result.envelope?.error.message).toContain(join(file, 'state'))
  })

  it('whose locks others could replace: nothing is claimed', async () => {
    const scene = new Scene()
    mkdirSync(join(scene.stateDir, 'locks'), { recursive: true })
    chmodSync(join(scene.stateDir, 'locks'), 0o777)
    const result = await scene.migrate(workload())
    ended(result, scene, 'error')
    expect(result.envelope?.error.code).toBe('claim/unsafe-dir')
  })

  it('where another run holds a device: exit 1, naming it and its process; that run goes on', async () => {
    const scene = new Scene()
    const first = scene.start('migrate', workload([device('nic')], SLOW))
    const journal = await scene.journalWith('a round', (told) =>
      told.told('source', { event: 'round-start' }),
    )
    const [pid = 0] = scene.helperPids()
    const second = await scene.ferry([
      'migrate',
      scene.profile(workload([device('disk', { seed: 4 }), device('nic')])),
      '--json',
    ]).ended
    expect(second.exit, second.stdout).toBe(EXIT.error)
    expect(second.envelope?.error.code).toBe('claim/busy')
    expect(second.envelope?.error.message).toContain(`nic.source (held by process ${pid})`)
    expect(second.envelope?.result).toMatchObject({ outcome: 'not-started' })
    expect(isRunning(pid)).toBe(true)
    expect(first.alive()).toBe(true)
    first.kill('SIGINT')
    const result = await first.ended
    expect(result.exit).toBe(EXIT.cancelled)
    expect(result.envelope?.result.journal).toBe(journal.path)
  })
})
