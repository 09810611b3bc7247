import { describe, expect, it } from 'vitest'
import type { Profile } from '../../src/profile/profile.js'
import { changed, diagnose, parse, VALID } from './samples.js'

/** The sample between these hosts, with more lines. */
const between = (source: string, destination: string, more = ''): string =>
  changed(
    '{ host: local, listen: 127.0.0.1:0 }',
    `{ ${destination} }`,
    changed('{ host: local }', `{ ${source} }`),
  ) + more

describe('hosts', () => {
  it('are this one, where ferry opens the devices and a helper stays with them', () => {
    const { destination, source } = parse(between('', ''))
    const here = { host: 'local', helper: null, become: null, stateDir: null }
    expect(source).toEqual({ ...here, from: 'open', address: null })
    expect(destination).toEqual({
      ...here,
      listen: { address: '127.0.0.1', port: 0 },
      interface: null,
      then: { kind: 'hold' },
    })
  })

  it('take an interface in place of an address', () => {
    const { destination } = parse(between('host: local', 'host: ssh://ops@node-b:22, interface: eth1'))
    expect(destination).toMatchObject({ interface: 'eth1', listen: { address: '', port: 0 } })
  })

  it('become root by sudo only elsewhere', () => {
    const remote = 'host: ops@node-b, become: sudo, listen: 192.0.2.7:0'
    expect(parse(between('host: local', remote)).destination.become).toBe('sudo')
  })

  it('are the same by name and port, for any user', () => {
    const file = '{ name: ram, iova: 0, size: 4KiB, backing: { file: /dev/hugepages/a } }'
    const both = (a: string, b: string): string =>
      changed(
        '{ name: ram, iova: 0x0, size: 512MiB, backing: memfd }',
        file,
        between(`host: '${a}'`, `host: '${b}', listen: 192.0.2.7:0`),
      )
    for (const [a, b] of [
      ['root@node-b', 'ssh://node-b'],
      ['node-b', 'NODE-B'],
      ['ssh://[2001:db8::7]', 'ops@2001:db8::7'],
    ] as const)
      expect(diagnose(both(a, b)).map(({ code }) => code)).toEqual(['profile/same-file'])
    for (const [a, b] of [
      ['node-a', 'node-b'],
      ['ssh://node-b:22', 'ssh://node-b:2222'],
      ['local', 'node-b'],
    ] as const)
      expect(parse(both(a, b)).memory).toHaveLength(1)
  })
})

describe('what becomes of the devices', () => {
  it.each([
    ['hold', { kind: 'hold' }],
    ['close', { kind: 'close' }],
    ['{ exec: [vmm, --fd, "4"] }', { kind: 'exec', command: ['vmm', '--fd', '4'] }],
  ])('then: %s', (text, then) => {
    expect(parse(between('host: local', `then: ${text}`)).destination.then).toEqual(then)
  })

  it('a source that was opened is released on commit, a holder by hand, unless the profile says', () => {
    const released = (from: string, more = ''): Profile['releaseSource'] =>
      parse(between(`from: ${from}`, 'then: close', more)).releaseSource
    expect(released('open')).toBe('on-commit')
    expect(released('holder')).toBe('by-hand')
    expect(released('open', 'releaseSource: by-hand\n')).toBe('by-hand')
    expect(released('holder', 'releaseSource: on-commit\n')).toBe('on-commit')
  })

  it('two holders of one host have two state folders', () => {
    const text = between('from: holder, stateDir: /state/a', 'stateDir: /state/b')
    expect(parse(text).destination.then).toEqual({ kind: 'hold' })
    expect(parse(between('from: holder', 'host: node-b, listen: 192.0.2.7:0')).source.from).toBe('holder')
  })

  it('hands out to one user', () => {
    expect(parse(`${VALID}handOut: { socket: /run/vm/devices.sock, uid: 107 }\n`).handOut).toEqual({
      socket: '/run/vm/devices.sock',
      uid: 107,
    })
  })
})

describe('data connections', () => {
  const over = (transport: string): Profile['transport'] =>
    parse(`${VALID}transport: { ${transport} }\n`).transport

  it('are encrypted, unless a reason or the loopback of this host speaks against it', () => {
    expect(parse(VALID).transport.encrypt).toBe(true)
    expect(over('insecure: the link is a cable between two desks')).toMatchObject({
      encrypt: false,
      loopback: false,
      insecure: 'the link is a cable between two desks',
    })
    expect(over('loopback: true')).toMatchObject({ encrypt: false, loopback: true, insecure: null })
    expect(over('loopback: false').encrypt).toBe(true)
  })

  it('are as many as the streams, or more', () => {
    expect(over('streams: 3')).toMatchObject({ streams: 3, maxStreams: 3 })
    expect(over('streams: 3, maxStreams: 8')).toMatchObject({ streams: 3, maxStreams: 8 })
    expect(over('keepalive: 500ms')).toMatchObject({ streams: 1, maxStreams: 1, keepaliveMs: 500 })
  })
})

describe('holding and hooks', () => {
  it('holds for ever, and cancels when it does not', () => {
    expect(parse(VALID).migration).toMatchObject({ hold: null, holdTimeoutMs: null, holdEnd: 'cancel' })
    const text = `${VALID}migration: { hold: after-pin, holdTimeout: 30m, holdEnd: cutover }\n`
    expect(parse(text).migration).toMatchObject({
      hold: 'after-pin',
      holdTimeoutMs: 1_800_000,
      holdEnd: 'cutover',
    })
  })

  it('a timeout for a hold that --hold may bring is no mistake', () => {
    expect(parse(`${VALID}migration: { holdTimeout: 5m }\n`).migration.holdTimeoutMs).toBe(300_000)
  })

  it('a failed hook aborts as long as there is something to abort', () => {
    const points = ['pre-pin', 'post-pin', 'post-dirty-log', 'pre-cutover', 'post-commit', 'post-rollback']
    const list = points.map((at) => `  - { name: ${at}, at: ${at}, command: [a] }\n`).join('')
    const { hooks } = parse(`${VALID}hooks:\n${list}`)
    expect(hooks.map(({ onFailure }) => onFailure)).toEqual([
      ...['abort', 'abort', 'abort', 'abort'],
      ...['warn', 'warn'],
    ])
    expect(hooks[0]).toEqual({
      ...{ name: 'pre-pin', at: 'pre-pin', on: 'ferry', command: ['a'] },
      ...{ timeoutMs: 30_000, onFailure: 'abort', inBlackout: false },
    })
  })

  it('hooks inside the blackout leave some of it to the rest', () => {
    const hook = '{ name: a, at: pre-resume, inBlackout: true, timeout: 299ms, command: [a] }'
    expect(parse(`${VALID}hooks: [${hook}]\n`).hooks[0]).toMatchObject({ inBlackout: true, timeoutMs: 299 })
  })
})
