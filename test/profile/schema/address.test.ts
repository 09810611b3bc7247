import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  formatListen,
  parseBdf,
  parseHost,
  parseListen,
  parseUuid,
  splitHost,
} from '../../../src/profile/schema/address.js'

describe('PCI addresses', () => {
  it.each([
    ['0000:41:00.2', '0000:41:00.2'],
    ['0000:C1:1F.7', '0000:c1:1f.7'],
    ['10000:01:00.0', '10000:01:00.0'],
  ])('%s', (text, bdf) => {
    expect(parseBdf(text)).toEqual({ ok: true, value: bdf })
  })

  it.each([
    ['41:00.2', 'did you mean 0000:41:00.2?'],
    ['0000:41:20.0', 'device number goes from 00 to 1f'],
    ['0000:41:00.8', 'function number goes from 0 to 7'],
    ['0000:41:00', 'domain:bus:device.function'],
    ['../0000:41:00.2', 'domain:bus:device.function'],
  ])('%s: %s', (text, problem) => {
    expect(parseBdf(text)).toMatchObject({ ok: false, problem: expect.stringContaining(problem) as string })
  })
})

describe('UUIDs', () => {
  it('are read in either case and given in lower case', () => {
    expect(parseUuid('6F3C9A52-0D5E-4D0B-9A3F-2B8C1E7D4A10')).toEqual({
      ok: true,
      value: '6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10',
    })
  })

  it('are given their dashes as a hint', () => {
    expect(parseUuid('{6f3c9a520d5e4d0b9a3f2b8c1e7d4a10}')).toMatchObject({
      ok: false,
      problem: expect.stringContaining('6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10') as string,
    })
  })

  it.each(['', '6f3c', '../6f3c9a52-0d5e-4d0b-9a3f-2b8c1e7d4a10', 'g'.repeat(32)])('%s is none', (text) => {
    expect(parseUuid(text).ok).toBe(false)
  })
})

describe('hosts', () => {
  it.each([
    ['local', [null, 'local', null]],
    ['node-b', [null, 'node-b', null]],
    ['root@node-b.example', ['root', 'node-b.example', null]],
    ['user@192.0.2.7', ['user', '192.0.2.7', null]],
    ['[2001:db8::7]', [null, '2001:db8::7', null]],
    ['ops@2001:db8::7', ['ops', '2001:db8::7', null]],
    ['fe80::1%eth0', [null, 'fe80::1%eth0', null]],
    ['ssh://node_b', [null, 'node_b', null]],
    ['ssh://ops@node-b:2222', ['ops', 'node-b', 2222]],
    ['ssh://[2001:db8::7]', [null, '2001:db8::7', null]],
    ['ssh://ops@[2001:DB8::7]:22', ['ops', '2001:DB8::7', 22]],
    ['ssh://[fe80::1%eth0]:65535', [null, 'fe80::1%eth0', 65_535]],
  ] as const)('%s', (text, [user, name, port]) => {
    expect(parseHost(text)).toEqual({ ok: true, value: text })
    expect(splitHost(text)).toEqual({ user, name, port })
  })

  it.each([
    ['node-b:22', 'write ssh://node-b:22'],
    ['ops@[2001:db8::7]:22', 'write ssh://ops@[2001:db8::7]:22'],
    ['ssh://2001:db8::7', 'ssh://[2001:db8::7]'],
    ['ssh://node-b:65536', 'from 1 to 65535'],
    ['ssh://node-b:0', '[user@]host'],
    ['[node-b]', 'node-b is not an IPv6 address'],
    ['ssh://[192.0.2.7]', 'not an IPv6 address'],
    ['[2001:db8::7', '[user@]host'],
    ['2001:db8::7::', '[user@]host'],
    ['ssh://node-b/', '[user@]host'],
    ['ssh://', '[user@]host'],
    ['http://node-b', '[user@]host'],
    ['a@b@c', '[user@]host'],
    ['node%b', '[user@]host'],
    ['', '[user@]host'],
    ['node b', '[user@]host'],
  ])('%s: %s', (text, problem) => {
    expect(parseHost(text)).toMatchObject({ ok: false, problem: expect.stringContaining(problem) as string })
  })

  it('never lets ssh see an option, whatever the text', () => {
    const tricky = fc.oneof(
      fc.string(),
      fc.string().map((text) => `-${text}`),
      fc.string().map((text) => `-o${text}@host`),
      fc.string().map((text) => `ssh://-o${text}`),
      fc.string().map((text) => `ops@-o${text}`),
    )
    fc.assert(
      fc.property(tricky, (text) => {
        const parsed = parseHost(text)
        if (!parsed.ok) return
        expect(parsed.value).not.toMatch(/^-|@-|\s/u)
        const { name, user } = splitHost(text)
        for (const part of [name, user ?? 'none']) expect(part).toMatch(/^[^-\s]\S*$/u)
      }),
    )
  })
})

describe('listen addresses', () => {
  it.each([
    ['127.0.0.1:0', { address: '127.0.0.1', port: 0 }],
    ['[2001:db8::7]:7440', { address: '2001:db8::7', port: 7440 }],
  ])('%s', (text, listen) => {
    expect(parseListen(text)).toEqual({ ok: true, value: listen })
    expect(formatListen(listen)).toBe(text)
  })

  it.each([
    '127.0.0.1',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
    'node-b:7440',
    '2001:db8::7:7440',
    '[127.0.0.1]:1',
    ':7440',
    '[]:1',
  ])('%s is none', (text) => {
    expect(parseListen(text).ok).toBe(false)
  })
})
