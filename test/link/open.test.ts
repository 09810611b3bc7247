import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import { closeHosts, hostOf } from '../../src/host/host.js'
import { installHelper } from '../../src/link/install.js'
import { openHelper, stateDirOf } from '../../src/link/open.js'
import { FAKE_HELPER } from '../support/fake-helper.js'
import { temporaryFolder } from '../support/temporary-folder.js'
import { fakeBuild, newHost, onPath, restoreEnvironment, RUNS, sha256, standIn } from '../support/stand-in.js'

afterEach(async () => {
  await closeHosts()
  restoreEnvironment()
})
const spec = (more: object = {}) => ({ host: newHost(), helper: null, become: null, stateDir: null, ...more })
const cached = (folder: string, hash: string) =>
  join(folder, 'cache', 'ferry', `helper-${hash.slice(0, 16)}`, 'ferry-helper')

describe('a helper over ssh', () => {
  it('is greeted as a local one is, and hears from its owner from then on', async () => {
    standIn()
    const { log, path } = fakeBuild()
    const there = spec({ helper: path })
    const client = await openHelper(there, { side: 'destination', keepaliveMs: 60 })
    expect(client.label).toContain(there.host)
    while (!/ ping$/mu.test(readFileSync(log, 'utf8'))) await sleep(10)
    expect(await client.close()).toMatchObject({ exitCode: 0 })
  })

  it('whose connection fails says why, with ssh’s own words and the side', async () => {
    standIn('echo "ops@node-b: Permission denied (publickey)." >&2; exit 255')
    await expect(openHelper(spec(), { side: 'destination' })).rejects.toMatchObject({
      code: 'link/ssh',
      message: expect.stringContaining('Permission denied (publickey)'),
      side: 'destination',
    })
  })

  it('that the profile names and that is not there is named with the remedy', async () => {
    standIn()
    await expect(openHelper(spec({ helper: '/nonexistent/h' }), { side: 'source' })).rejects.toMatchObject({
      code: 'helper/missing',
      message: expect.stringContaining('/nonexistent/h'),
    })
  })

  it('rejects what waits as soon as the connection is gone, and says why it is', async () => {
    const { folder } = standIn(
      `exec 3<&0; sh -c "$1" <&3 3<&- & p=$!
       while [ ! -e "$folder/cut" ]; do kill -0 $p 2>/dev/null || { wait $p; exit $?; }; sleep 0.02; done
       kill -9 $p; case $1 in *ferry-is-in*) echo 'Timeout, server node-b not responding.' >&2 ;; esac; exit 255`,
    )
    const { path } = fakeBuild(undefined, { status: [{ silent: true }] })
    const client = await openHelper(spec({ helper: path }), { side: 'source' })
    const waiting = client.request('status', {})
    writeFileSync(join(folder, 'cut'), '')
    await expect(waiting).rejects.toMatchObject({
      code: 'link/ssh',
      message: expect.stringContaining('server node-b not responding'),
    })
    expect(client.alive).toBe(false)
  })

  it('refused by sudo is told apart from one that fails', async () => {
    standIn()
    onPath('sudo', 'echo "sudo: a password is required" >&2; exit 1')
    const there = spec({ helper: FAKE_HELPER, become: 'sudo' })
    await expect(openHelper(there, { side: 'source' })).rejects.toMatchObject({
      code: 'link/sudo',
      suggestions: [expect.stringContaining('NOPASSWD')],
    })
  })
})

describe('a helper that runs already', () => {
  it.each(['local', 'ssh'])('that no one serves is holder/none, %s', async (way) => {
    standIn()
    const program = join(temporaryFolder(), 'ferry-helper')
    writeFileSync(program, '#!/bin/sh\n[ "$1" = --attach ] && echo "attach: $2: nobody" >&2; exit 3\n', {
      mode: 0o755,
    })
    const there = spec({ helper: program, ...(way === 'local' && { host: 'local' }) })
    const opening = openHelper(there, { side: 'source', attach: '/run/it.sock' })
    await expect(opening).rejects.toMatchObject({
      code: 'holder/none',
      message: expect.stringContaining('/run/it.sock'),
    })
  })
})

describe('the copy of a helper', () => {
  it('is made where there is none: private, runnable, the same; and once', async () => {
    const { folder } = standIn()
    const { hash, path } = fakeBuild()
    const client = await openHelper(spec(), { side: 'source', helper: path })
    await client.close()
    const copy = cached(folder, hash)
    expect(sha256(copy)).toBe(hash)
    expect(statSync(copy).mode & 0o777).toBe(0o700)
    expect(statSync(dirname(copy)).mode & 0o777).toBe(0o700)
    // Another process finds it.
    await closeHosts()
    expect(await installHelper(hostOf({ host: newHost() }), { explicit: path })).toEqual({
      path: copy,
      build: hash,
      copied: false,
    })
  })

  it.each([
    ['whose content is another', (copy: string) => writeFileSync(copy, 'something else')],
    ['that others may write', (copy: string) => chmodSync(copy, 0o777)],
    ['in a folder that others may write', (copy: string) => chmodSync(dirname(copy), 0o777)],
    ['that cannot be run', (copy: string) => chmodSync(copy, 0o600)],
  ])('replaces one %s', async (_, spoil) => {
    const { folder } = standIn()
    const { hash, path } = fakeBuild()
    const copy = cached(folder, hash)
    mkdirSync(dirname(copy), { recursive: true, mode: 0o700 })
    writeFileSync(copy, readFileSync(path), { mode: 0o700 })
    spoil(copy)
    expect(await installHelper(hostOf({ host: newHost() }), { explicit: path })).toMatchObject({
      copied: true,
    })
    expect(sha256(copy)).toBe(hash)
    expect(statSync(copy).mode & 0o777).toBe(0o700)
    expect(statSync(dirname(copy)).mode & 0o777).toBe(0o700)
  })

  it('that arrives changed is refused and not left there', async () => {
    const { folder } = standIn(
      `case $1 in *mktemp*) { cat; echo more; } | { ${RUNS}; } ;; *) ${RUNS} ;; esac`,
    )
    const { hash, path } = fakeBuild()
    await expect(openHelper(spec(), { side: 'source', helper: path })).rejects.toMatchObject({
      code: 'helper/install',
      message: expect.stringContaining(hash),
    })
    expect(existsSync(cached(folder, hash))).toBe(false)
  })

  it('that cannot be written says where', async () => {
    const { folder } = standIn()
    writeFileSync(join(folder, 'cache'), 'a file')
    const { path } = fakeBuild()
    await expect(openHelper(spec(), { side: 'source', helper: path })).rejects.toMatchObject({
      code: 'helper/install',
      message: expect.stringContaining(join(folder, 'cache')),
    })
  })

  it('must be the one that answers', async () => {
    standIn()
    const { path } = fakeBuild('00'.repeat(32))
    await expect(openHelper(spec(), { side: 'source', helper: path })).rejects.toMatchObject({
      code: 'helper/build',
      exit: EXIT.sidesDisagree,
    })
  })

  it.each([
    ['another machine', 'riscv64', 'Linux', 'helper/architecture'],
    ['another system', 'arm64', 'Darwin', 'helper/architecture'],
  ])('for %s is not made', async (_, machine, system, code) => {
    const { folder } = standIn()
    onPath('uname', `[ "$1" = -s ] && echo ${system} || echo ${machine}`)
    const { hash, path } = fakeBuild()
    await expect(openHelper(spec(), { side: 'source', helper: path })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(machine),
    })
    expect(existsSync(cached(folder, hash))).toBe(false)
  })

  it('is made once for two who ask at the same time', async () => {
    const { calls } = standIn()
    const { path } = fakeBuild()
    const there = hostOf({ host: newHost() })
    const both = await Promise.all([1, 2].map(() => installHelper(there, { explicit: path })))
    expect(both[0]).toEqual(both[1])
    expect(calls().filter((call) => call.join(' ').includes('mktemp'))).toHaveLength(1)
  })
})

describe('the state folder of a side', () => {
  it.each([
    ['the profile’s', { host: 'node-b', stateDir: '/srv/ferry' }, '/srv/ferry'],
    ['--state-dir here', { host: 'local', stateDir: null }, '/home/ops/state'],
    ['the helper’s own choice there', { host: 'node-b', stateDir: null }, '/var/lib/ferry'],
  ])('is %s', (_, where, expected) => {
    expect(stateDirOf({ helloReply: { stateDir: '/var/lib/ferry' } }, where, '/home/ops/state')).toBe(
      expected,
    )
  })
})
