/** The data connections between two hosts: how many, from where, at what rate, and what others see of them. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import type { CheckReply, ConnectReply, PrecopyReply } from '../../src/protocol/protocol.js'
import { device, region, workload } from '../support/workload.js'
import { DATA, isRoot, TwoHosts } from './hosts.js'

/** Text that stands in every page of a workload's memory. */
const MARKER = 'ferry-page-content-in-the-clear'
const PORT = 7440

describe.runIf(isRoot)('data connections', { timeout: 120_000 }, () => {
  let hosts: TwoHosts
  beforeAll(async () => {
    hosts = await TwoHosts.up()
  })
  afterAll(() => hosts.down())

  const moved = async (more: Record<string, unknown>, ...flags: string[]) => {
    const profile = hosts.profile({ ...workload([device('nic')], { name: 'data' }), ...more })
    const ended = await hosts.json('migrate', profile, ...flags)
    expect(ended.exit, ended.stdout + ended.stderr).toBe(EXIT.done)
    const journal = hosts.journal()
    const check = journal.answers('destination', 'check').at(-1)?.reply as CheckReply
    expect([check.lostPages, check.lost]).toEqual([0, []])
    return journal
  }
  const close = { destination: { then: 'close' } }

  it.each([1, 2, 4])('over %i streams', async (streams) => {
    const journal = await moved({ ...hosts.sides(close), transport: { streams } })
    expect(journal.intents('destination', 'listen')[0]?.params).toMatchObject({
      streams,
      encrypt: true,
      from: DATA.a,
    })
    const { roundTripUs } = journal.answers('source', 'connect')[0]?.reply as ConnectReply
    expect(roundTripUs).toBeGreaterThan(0)
  })

  it('with ssh at another port', async () => {
    const { destination, source } = hosts.sides(close)
    const journal = await moved({
      source: { ...source, host: 'ssh://root@node-a:2222' },
      destination: { ...destination, host: 'root@node-b' },
      transport: {},
    })
    expect(journal.end()?.exit).toBe(EXIT.done)
  })

  it('over IPv6, and by the name of an interface', async () => {
    const six = await moved({
      ...hosts.sides({
        source: { address: DATA.a6 },
        destination: { then: 'close', listen: `[${DATA.b6}]:0` },
      }),
      transport: { streams: 2 },
    })
    expect(six.intents('source', 'connect')[0]?.params).toMatchObject({ address: DATA.b6, bind: DATA.a6 })
    const { destination, source } = hosts.sides(close)
    const { listen: _, ...withoutListen } = destination
    const named = await moved({ source, transport: {}, destination: { ...withoutListen, interface: 'data' } })
    expect(named.intents('source', 'connect')[0]?.params).toMatchObject({ address: DATA.b })
  })

  it('keeps to a cap of the network, and to its own', async () => {
    await hosts.cap('80mbit')
    try {
      const journal = await moved(hosts.sides(close))
      const { bytesPerSecond } = journal.answers('source', 'precopy').at(-1)?.reply as PrecopyReply
      // 80 Mbit/s are 10 MB/s; what was measured must be of that kind, whatever the machine does meanwhile.
      expect(Number(bytesPerSecond)).toBeLessThan(20e6)
    } finally {
      await hosts.mend('data')
    }
    const capped = await moved(hosts.sides(close), '--set', 'migration.bandwidth=4MiB/s')
    const rounds = capped.records.flatMap(({ body }) =>
      body.type === 'helper' && body.event.event === 'round-end' ? [body.event] : [],
    )
    const { elapsedUs = 0, sentBytes = '0' } = rounds[0] ?? {}
    expect(Number(sentBytes) / (elapsedUs / 1e6)).toBeLessThan(6 * 1024 * 1024)
  })

  it('moves as an ordinary user of the control host', async () => {
    // nobody: ssh wants a user that has a name.
    const uid = 65534
    const { home, ssh } = hosts.ordinaryUser(uid)
    const profile = hosts.profile({
      ...workload([device('nic')], { name: 'ordinary' }),
      ...hosts.sides(close),
    })
    const env = { HOME: home, FERRY_SSH: ssh, FERRY_STATE_DIR: join(home, 'state'), XDG_RUNTIME_DIR: home }
    const { exitCode, stdout, stderr } = await hosts.ferryAs(uid, env, ['migrate', profile, '--json'])
    expect(exitCode, stdout + stderr).toBe(EXIT.done)
  })

  describe('as others on the wire see them', () => {
    const marked = (name: string, transport: object) => {
      const path = join(hosts.folder, `${name}.memory`)
      writeFileSync(path, MARKER.padEnd(64).repeat((8 * 1024 * 1024) / 64))
      const { destination, source } = hosts.sides({
        destination: { then: 'close', listen: `${DATA.b}:${PORT}` },
      })
      const backing = { source: { file: path }, destination: 'memfd' }
      const nic = device('nic', { window: { iova: '8MiB', size: '1MiB' }, writes: '1MiB/s' })
      const memory = [{ name: 'marked', iova: 0, size: '8MiB', backing }, region('ram', '8MiB', '1MiB')]
      const base = { ...workload([nic], { name }), source, destination, memory, transport }
      return hosts.profile(base, `${name}.yaml`)
    }

    /** What a capture on the data link holds of a run. */
    const captured = async (profile: string) => {
      const file = join(hosts.folder, 'capture.pcap')
      const capture = hosts.start('a', [
        'dumpcap',
        '-q',
        '-i',
        'data',
        '-B',
        '64',
        '-w',
        file,
        '-f',
        `tcp port ${PORT}`,
      ])
      await new Promise<void>((resolve, reject) => {
        capture.stderr.on('data', (chunk: Buffer) => /Capturing on|File:/u.test(String(chunk)) && resolve())
        void capture.then(({ stderr }) => reject(new Error(stderr)))
      })
      const ended = await hosts.json('migrate', profile)
      expect(ended.exit, ended.stdout + ended.stderr).toBe(EXIT.done)
      capture.kill('SIGINT')
      await capture
      const count = async (filter: string) => {
        const args = ['-r', file, '-d', `tcp.port==${PORT},tls`, '-Y', filter]
        const { exitCode, stderr, stdout } = await hosts.on('a', ['tshark', ...args])
        if (exitCode !== 0) throw new Error(`tshark: ${stderr}`)
        return stdout.split('\n').filter((line) => line !== '').length
      }
      return {
        frames: await count('tcp'),
        marked: await count(`tcp contains "${MARKER}"`),
        tls13: await count('tls.handshake.extensions.supported_version == 0x0304'),
      }
    }

    it('TLS 1.3 shows nothing of the pages, and the clear shows all of them', async () => {
      const sealed = await captured(marked('sealed', { streams: 2 }))
      expect(sealed.frames).toBeGreaterThan(100)
      expect(sealed.marked).toBe(0)
      expect(sealed.tls13).toBeGreaterThan(0)
      const clear = await captured(marked('clear', { insecure: 'a test looks at what is on the wire' }))
      expect(clear.marked).toBeGreaterThan(50)
      expect(clear.tls13).toBe(0)
    })

    it('a stranger at the data port at every moment gets nothing and disturbs nothing', async () => {
      const said = join(hosts.folder, 'stranger')
      // From the source's own address, and from one that is not expected; noise, silence, and a broken greeting.
      await hosts.on('a', ['ip', 'address', 'add', '10.77.3.9/24', 'dev', 'data'])
      const stranger = hosts.start('a', [
        process.execPath,
        '-e',
        STRANGER,
        DATA.b,
        String(PORT),
        DATA.a,
        '10.77.3.9',
        said,
      ])
      try {
        const ended = await hosts.json(
          'migrate',
          marked('stranger', { streams: 2 }),
          '--hold',
          '--hold-timeout',
          '2s',
          '--set',
          'migration.holdEnd=cutover',
        )
        expect(ended.exit, ended.stdout + ended.stderr).toBe(EXIT.done)
      } finally {
        stranger.kill('SIGTERM')
        const { stderr } = await stranger
        expect(stderr).toBe('')
      }
      const { connected, heard } = JSON.parse(readFileSync(said, 'utf8')) as {
        connected: number
        heard: readonly string[]
      }
      expect(connected).toBeGreaterThan(0)
      // Noise that reads as a broken greeting may be refused by alerts, as TLS says: a cause, and a close.
      expect(heard.filter((bytes) => !/^(?:15030[1-3]00020[12]..)+$/u.test(bytes))).toEqual([])
    })
  })
})

/** Connects again and again from two addresses until it is told to stop; keeps what each connection got, in hex. */
const STRANGER = `
const [, host, port, ...froms] = process.argv
const said = froms.pop()
let connected = 0
const heard = new Map()
const { connect } = require('node:net'), { randomBytes } = require('node:crypto'), fs = require('node:fs')
process.on('SIGTERM', () => {
  fs.writeFileSync(said + '.part', JSON.stringify({ connected, heard: [...heard.values()] }))
  fs.renameSync(said + '.part', said)
  process.exit(0)
})
const open = []
function once() {
  const socket = connect({ host, port: Number(port), localAddress: froms[Math.floor(Math.random() * froms.length)] })
  socket.on('error', () => undefined)
  socket.on('data', (bytes) => heard.set(socket, (heard.get(socket) ?? '') + bytes.toString('hex')))
  socket.on('connect', () => {
    connected++
    const kind = Math.floor(Math.random() * 3)
    if (kind === 0) socket.write(randomBytes(300))
    if (kind === 1) socket.write(Buffer.concat([Buffer.from([0x16, 3, 1, 0, 5]), randomBytes(5)]))
    open.push(socket)
    if (open.length > 40) open.shift().destroy()
  })
  setTimeout(once, 5)
}
once()
`
