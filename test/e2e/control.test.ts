/** ferry-helper by its stdin alone: whatever comes gets an answer, and the process goes on answering. */
import { execa } from 'execa'
import fc from 'fast-check'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MAX_LINE_BYTES, OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION } from '../../src/protocol/protocol.js'
import { HELPER } from '../support/paths.js'
import { temporaryFolder } from '../support/temporary-folder.js'
import { until } from '../support/until.js'

const RUN = { run: '20261122T151733-4f2a', epoch: 3 }

interface Reply {
  readonly id: number | null
  readonly ok?: unknown
  readonly error?: { readonly code: string; readonly message: string }
}

class Helper {
  private readonly child = execa(HELPER, ['--serve'], { reject: false, buffer: { stdout: false } })
  readonly replies: Reply[] = []
  readonly ended = this.child.then(({ exitCode, signal, stderr }) => ({ exitCode, signal, stderr }))
  private id = 1000

  constructor() {
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      const message = JSON.parse(line)
      if (message.event === undefined) this.replies.push(message)
    })
  }

  async write(bytes: string | Uint8Array): Promise<void> {
    if (!this.child.stdin.write(bytes)) await once(this.child.stdin, 'drain')
  }

  /** Sends a line and gives the next reply. */
  async line(text: string | Uint8Array): Promise<Reply> {
    const before = this.replies.length
    await this.write(text)
    await this.write('\n')
    return until(`a reply to ${String(text).slice(0, 80)}`, () => this.replies[before])
  }

  async request(op: string, params: unknown = {}, more: object = RUN): Promise<Reply> {
    const id = ++this.id
    const reply = await this.line(JSON.stringify({ id, op, params, ...more }))
    expect(reply.id).toBe(id)
    return reply
  }

  /** The code it is refused with, after which it still answers `status`. */
  async refusal(reply: Promise<Reply>): Promise<string> {
    const { error } = await reply
    expect(error?.message).not.toBe('')
    expect((await this.request('status', {}, {})).ok).toMatchObject({ devices: expect.any(Array) })
    return error?.code ?? 'no error'
  }

  /** End of its stdin. */
  end(): typeof this.ended {
    this.child.stdin.end()
    return this.ended
  }
}

let helper: Helper
beforeEach(() => {
  helper = new Helper()
})
afterEach(async () => {
  expect(await helper.end()).toEqual({ exitCode: 0, signal: undefined, stderr: '' })
})

/** One plain connection. */
const ONE = { keepaliveMs: 6000, streams: 1, from: null }

async function claim(epoch = RUN.epoch): Promise<Reply> {
  const folder = temporaryFolder()
  const params = {
    role: 'source',
    lockDir: join(folder, 'locks'),
    recordDir: join(folder, 'records'),
    devices: ['nic'],
    socket: join(folder, 'sockets', 'run-source.sock'),
  }
  return helper.request('claim', params, { ...RUN, epoch })
}
const memory = (bytes: string) => ({
  pageSize: 4096,
  regions: [{ region: 'ram', iova: '0x0', bytes, backing: { kind: 'memfd' }, populate: false }],
})

describe('a line that is no request', () => {
  it.each([
    ['no JSON', 'hello?'],
    ['half a line', '{"id":1,"op":"status"'],
    ['an array', '[1,2,3]'],
    ['a number', '42'],
    ['an object without op', '{"id":7}'],
    ['a negative id', '{"id":-1,"op":"status"}'],
    ['an id that is no number', '{"id":"1","op":"status"}'],
    ['an unknown field', '{"id":8,"op":"status","sudo":true}'],
    ['an epoch that is no number', '{"id":9,"op":"claim","run":"r","epoch":"1"}'],
    ['bytes that are no UTF-8', Uint8Array.from([0x7b, 0xff, 0xfe, 0x7d])],
    ['a NUL', '{"id":1,"op":"status"}\0'],
    ['nesting without end', '['.repeat(200_000)],
  ])('%s', async (_, line) => {
    expect(await helper.refusal(helper.line(line))).toBe('request/broken-line')
  })

  it('names the request when its id could be read', async () => {
    expect(await helper.line('{"id":8,"op":"status","sudo":true}')).toMatchObject({ id: 8 })
    expect(await helper.line('{"id":8,')).toMatchObject({ id: null })
  })

  it('longer than the limit', async () => {
    const reply = helper.line(`{"id":1,"op":"status","params":"${'x'.repeat(2 * MAX_LINE_BYTES)}"}`)
    expect(await helper.refusal(reply)).toBe('request/too-long')
    expect(helper.replies).toHaveLength(2)
  })

  it('empty is passed over', async () => {
    await helper.write('\n  \n\r\n')
    expect((await helper.request('status', {}, {})).ok).toBeDefined()
    expect(helper.replies).toHaveLength(1)
  })
})

describe('a request that cannot be carried out', () => {
  it('unknown', async () => {
    expect(await helper.refusal(helper.request('fly'))).toBe('request/unknown')
  })

  it('of another protocol', async () => {
    const protocol = PROTOCOL_VERSION + 1
    expect(await helper.refusal(helper.request('hello', { protocol }, {}))).toBe('hello/protocol')
    for (const spoken of [OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION]) {
      expect((await helper.request('hello', { protocol: spoken }, {})).ok).toMatchObject({ protocol: spoken })
    }
  })

  it.each([
    ['nothing', {}],
    ['null', null],
    ['another type', 'source'],
    [
      'a field too many',
      { role: 'source', lockDir: '/tmp/l', recordDir: '/tmp/r', socket: '/tmp/s', devices: [], force: true },
    ],
    [
      'another role',
      { role: 'bystander', lockDir: '/tmp/l', recordDir: '/tmp/r', socket: '/tmp/s', devices: [] },
    ],
  ])('with parameters that are %s', async (_, params) => {
    expect(await helper.refusal(helper.request('claim', params))).toBe('request/bad-params')
  })

  it.each([
    ['run', { epoch: 1 }],
    ['epoch', { run: 'r' }],
    ['either', {}],
    ['a run that is not empty', { run: '', epoch: 1 }],
  ])('without %s', async (_, more) => {
    expect(await helper.refusal(helper.request('claim', {}, more))).toBe('protocol/no-run')
  })

  it('of an older epoch, or of another run', async () => {
    expect((await claim()).ok).toEqual({ held: false })
    const params = memory('0x1000')
    expect(await helper.refusal(helper.request('memory', params, { ...RUN, epoch: 2 }))).toBe(
      'protocol/old-epoch',
    )
    expect(await helper.refusal(helper.request('memory', params, { run: 'other', epoch: 9 }))).toBe(
      'protocol/other-run',
    )
    expect((await helper.request('status', {}, {})).ok).toMatchObject({
      ...RUN,
      phase: 'claimed',
      role: 'source',
    })
  })

  it('out of order', async () => {
    for (const op of [
      'memory',
      'container',
      'device',
      'map',
      'track',
      'dirty',
      'connect',
      'precopy',
      'cutover',
      'rollback',
      'check',
    ]) {
      expect(await helper.refusal(helper.request(op)), op).toBe('protocol/phase')
    }
    expect((await claim()).ok).toEqual({ held: false })
    for (const op of ['claim', 'map', 'track', 'dirty', 'precopy', 'cutover', 'receive', 'check']) {
      expect(await helper.refusal(helper.request(op)), op).toBe('protocol/phase')
    }
  })

  it('with memory no machine has', async () => {
    await claim()
    const reply = helper.request('memory', memory(String(2n ** 63n)))
    expect(await helper.refusal(reply)).toMatch(/^memory\//u)
    expect((await helper.request('memory', memory('65536'))).ok).toMatchObject({ bytes: '65536' })
  })
})

describe('the same request again', () => {
  it('answers the same and does nothing twice', async () => {
    await claim()
    const line = JSON.stringify({ id: 50, op: 'memory', params: memory('65536'), ...RUN })
    const first = await helper.line(line)
    expect(first.ok).toMatchObject({ bytes: '65536' })
    expect(await helper.line(line)).toEqual(first)
    // By another id it is another request, and memory is made once.
    expect(await helper.refusal(helper.request('memory', memory('65536')))).toBe('request/out-of-order')
  })

  it('release, and rollback after it', async () => {
    await claim()
    expect((await helper.request('rollback')).ok).toMatchObject({ devices: [] })
    expect((await helper.request('rollback')).ok).toMatchObject({ devices: [] })
    expect((await helper.request('release')).ok).toEqual({})
    expect((await helper.request('release')).ok).toEqual({})
    expect(await helper.refusal(helper.request('rollback'))).toBe('protocol/phase')
  })
})

describe('a request that takes long', () => {
  it('can be asked about and cancelled', async () => {
    const folder = temporaryFolder()
    const folders = {
      lockDir: join(folder, 'locks'),
      recordDir: join(folder, 'records'),
      socket: join(folder, 'sockets', 'run-destination.sock'),
    }
    await helper.request('claim', { role: 'destination', ...folders, devices: ['nic'] })
    await helper.request('memory', memory('65536'))
    const [peer, secret] = ['ab'.repeat(32), 'cd'.repeat(32)]
    const link = {
      address: '127.0.0.1',
      port: 0,
      encrypt: false,
      peer,
      secret,
      linkTimeoutMs: 20_000,
      ...ONE,
    }
    expect((await helper.request('listen', link)).ok).toMatchObject({ address: '127.0.0.1' })
    const before = helper.replies.length
    await helper.write(`${JSON.stringify({ id: 77, op: 'receive', params: {}, ...RUN })}\n`)
    expect((await helper.request('status', {}, {})).ok).toMatchObject({ role: 'destination' })
    expect(helper.replies.slice(before).some(({ id }) => id === 77)).toBe(false)
    await helper.write(`${JSON.stringify({ id: 78, op: 'cancel', params: {}, ...RUN })}\n`)
    const answered = (id: number) =>
      until(`reply ${id}`, () => helper.replies.find((reply) => reply.id === id))
    expect((await answered(78)).ok).toEqual({})
    expect((await answered(77)).error?.code).toBe('run/cancelled')
  })
})

describe('anything at all', () => {
  it('gets one reply a line, and ends nothing', async () => {
    const odd = fc.oneof(
      fc.json().map((text) => text),
      fc.string().filter((text) => !/[\n\r]/u.test(text) && text.trim() !== ''),
      fc
        .record({
          id: fc.nat(),
          op: fc.constantFrom(
            'memory',
            'device',
            'map',
            'track',
            'precopy',
            'rollback',
            'release',
            'inventory',
            'x',
          ),
          run: fc.option(fc.string(), { nil: undefined }),
          epoch: fc.option(fc.nat(), { nil: undefined }),
          params: fc.jsonValue(),
        })
        .map((request) => JSON.stringify(request)),
    )
    await fc.assert(
      fc.asyncProperty(odd, async (line) => {
        expect(await helper.line(line)).toHaveProperty('id')
      }),
      { numRuns: 300 },
    )
    expect((await helper.request('status', {}, {})).ok).toMatchObject({ phase: 'idle', run: null })
  })
})
