import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { loadProfile } from '../../src/profile/load.js'
import { profileJsonSchema } from '../../src/profile/schema.js'

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
      'sriov-iommufd.yaml',
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
