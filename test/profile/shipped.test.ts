import { execa } from 'execa'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadProfile } from '../../src/profile/load.js'
import { profileJsonSchema } from '../../src/profile/schema/schema.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const folder = new URL('../../profiles/', import.meta.url)
const names = readdirSync(folder).filter((name) => name.endsWith('.yaml'))
const load = (name: string, env: Record<string, string> = {}) =>
  loadProfile(new URL(name, folder).pathname, { env })

describe('shipped profiles', () => {
  it('are these', () => {
    expect(names.sort()).toEqual([
      'lab-mtty.yaml',
      'mdev-type1.yaml',
      'mixed.yaml',
      'quickstart.yaml',
      'scripted-cutover.yaml',
      'sriov-iommufd.yaml',
      'two-hosts.yaml',
    ])
  })

  it.each(names)('%s is valid without any variable set', async (name) => {
    expect((await load(name)).name).toBe(name.replace('.yaml', ''))
  })

  it.each(names)('%s tells editors its schema and operators what it is', (name) => {
    const [first, ...rest] = readFileSync(new URL(name, folder), 'utf8').split('\n')
    expect(first).toBe('# yaml-language-server: $schema=./profile.schema.json')
    expect(rest.filter((line) => line.trim().startsWith('# ')).length).toBeGreaterThanOrEqual(5)
  })

  it('quickstart moves one simulated mdev and one simulated function, verified, within this host', async () => {
    const profile = await load('quickstart.yaml')
    expect(profile.memory.reduce((sum, { bytes }) => sum + bytes, 0n)).toBe(512n * 1024n * 1024n)
    const models = profile.devices.map(({ source }) =>
      source.kind === 'sim' ? [source.sim.model, source.sim.trackers] : [],
    )
    expect(models).toEqual([
      ['mdev', ['pinned']],
      ['function', ['device']],
    ])
    expect(profile).toMatchObject({
      source: { host: 'local' },
      destination: { host: 'local' },
      migration: { verify: 'full' },
    })
  })

  it('lab-mtty takes UUIDs and backend from the environment', async () => {
    const SOURCE_UUID = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa'
    const DESTINATION_UUID = 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb'
    const [device] = (await load('lab-mtty.yaml', { SOURCE_UUID, DESTINATION_UUID, BACKEND: 'iommufd' }))
      .devices
    expect(device).toMatchObject({
      source: { uuid: SOURCE_UUID },
      destination: { uuid: DESTINATION_UUID },
      backend: 'iommufd',
      tracker: 'auto',
    })
  })

  it.each(['quickstart.yaml', 'lab-mtty.yaml'])('%s leaves no process behind', async (name) => {
    expect((await load(name)).destination.then).toEqual({ kind: 'close' })
  })

  it('two-hosts goes from one ssh host to another, encrypted, over two connections of four', async () => {
    expect(await load('two-hosts.yaml')).toMatchObject({
      source: { host: 'ssh://ops@node-a', become: 'sudo', from: 'open' },
      destination: { host: 'ssh://ops@node-b', become: 'sudo', then: { kind: 'hold' } },
      transport: { encrypt: true, streams: 2, maxStreams: 4, keepaliveMs: 6000 },
      releaseSource: 'on-commit',
    })
    const env = {
      SOURCE_FROM: 'holder',
      DESTINATION_HOST: 'root@node-c',
      DESTINATION_ADDRESS: '198.51.100.9',
    }
    expect(await load('two-hosts.yaml', env)).toMatchObject({
      source: { from: 'holder' },
      destination: { host: 'root@node-c', listen: { address: '198.51.100.9', port: 7440 } },
    })
  })

  it('scripted-cutover is held, drained by a hook, and keeps both sides of one machine apart', async () => {
    const profile = await load('scripted-cutover.yaml', { HOME: '/home/ops' })
    expect(profile).toMatchObject({
      source: { host: 'local', stateDir: '/home/ops/.ferry-demo/source' },
      destination: {
        host: 'local',
        stateDir: '/home/ops/.ferry-demo/destination',
        then: { kind: 'hold' },
      },
      migration: { hold: 'before-cutover', holdTimeoutMs: 30 * 60_000, holdEnd: 'cancel' },
      releaseSource: 'by-hand',
    })
    expect(profile.hooks.map(({ at, name, on, onFailure }) => [name, at, on, onFailure])).toEqual([
      ['drain', 'pre-cutover', 'ferry', 'abort'],
      ['announce', 'post-commit', 'ferry', 'warn'],
      ['restore', 'post-rollback', 'ferry', 'warn'],
    ])
    expect(profile.devices.every(({ source }) => source.kind === 'sim')).toBe(true)
  })

  it('scripted-cutover’s hooks do what they say, with the folder’s name as data', async () => {
    const folder = join(temporaryFolder(), 'a "$(b)" c')
    mkdirSync(folder)
    const { hooks } = await load('scripted-cutover.yaml', { FERRY_DEMO: folder })
    const env = { FERRY_RUN: 'r-1', FERRY_DEVICES: 'vgpu nic', FERRY_SOURCE: 'a', FERRY_DESTINATION: 'b' }
    for (const { command } of hooks) {
      const [file = '', ...args] = command
      await execa(file, args, { env })
    }
    expect(readFileSync(join(folder, 'traffic.log'), 'utf8').trim().split('\n')).toEqual([
      'run r-1 drained the traffic of vgpu nic',
      'run r-1 sent the traffic of vgpu nic to b',
      'run r-1 left the traffic of vgpu nic at a',
    ])
  })

  it('mixed has one mdev and two functions', async () => {
    const { devices } = await load('mixed.yaml')
    expect(devices.map(({ source }) => source.kind)).toEqual(['mdev', 'function', 'function'])
  })
})

describe('profile.schema.json', () => {
  const schema: unknown = JSON.parse(readFileSync(new URL('profile.schema.json', folder), 'utf8'))

  it('is what the zod schema says; `npm run schema` writes it', () => {
    expect(schema).toEqual(JSON.parse(JSON.stringify(profileJsonSchema())))
  })

  it('describes every key, and allows no others', () => {
    const bare: string[] = []
    walk(schema, '', (node, path) => {
      if (
        node['type'] === 'object' &&
        node['propertyNames'] === undefined &&
        node['additionalProperties'] !== false
      ) {
        bare.push(`${path} allows unknown keys`)
      }
      for (const [key, value] of Object.entries(
        (node['properties'] ?? {}) as Record<string, Record<string, unknown>>,
      )) {
        const known = value['description'] !== undefined || value['const'] !== undefined
        if (!known) bare.push(`${path}.${key} has no description`)
      }
    })
    expect(bare).toEqual([])
  })
})

function walk(
  node: unknown,
  path: string,
  visit: (node: Record<string, unknown>, path: string) => void,
): void {
  if (typeof node !== 'object' || node === null) return
  if (!Array.isArray(node)) visit(node as Record<string, unknown>, path)
  for (const [key, value] of Object.entries(node)) walk(value, `${path}/${key}`, visit)
}
