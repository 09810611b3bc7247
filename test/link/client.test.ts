import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { FerryError } from '../../src/errors.js'
import { EXIT } from '../../src/exit-codes.js'
import type { HelperClient } from '../../src/link/client.js'
import { HelperRequestError } from '../../src/link/helper-error.js'
import type { HelperErrorBody, HelperEvent } from '../../src/protocol/protocol.js'
import { fakeClient, type FakeScript } from '../support/fake-helper.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const open: HelperClient[] = []
function client(script: FakeScript, options: Parameters<typeof fakeClient>[1] = {}): HelperClient {
  const made = fakeClient(script, options)
  open.push(made)
  return made
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((made) => made.close()))
})

async function failure(promise: Promise<unknown>): Promise<FerryError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof FerryError)) throw new Error(`no FerryError but ${String(error)}`)
  return error
}
const WAITS = { replies: { status: [{ silent: true }] } } as const

describe('HelperClient', () => {
  it('greets, and keeps what the helper said of itself', async () => {
    const helper = client({})
    await helper.hello()
    expect(helper.helloReply).toMatchObject({ protocol: 3, version: '0.1.0', pageSize: 4096 })
  })

  it.each([
    ['a reply of another version', { ok: { protocol: 7, version: '9.9.9' } }],
    [
      'an error of the helper',
      { error: { code: 'hello/protocol', message: 'this helper speaks version 7' } },
    ],
    [
      'an older helper that does not know a key of the greeting',
      { error: { code: 'request/bad-params', message: 'unknown field `keepaliveMs` (version 7)' } },
    ],
  ])('refuses another protocol version, exit 8, naming both: %s', async (_, action) => {
    const error = await failure(client({ replies: { hello: [action, action] } }).hello())
    expect(error).toMatchObject({ code: 'peer/version', exit: EXIT.sidesDisagree, side: 'source' })
    expect(error.message).toContain('versions 2 to 3')
    expect(error.message).toContain('version 7')
  })

  it('speaks the version of the release before to a helper of it, and passes over what is new in what it hears', async () => {
    const error = { code: 'hello/protocol', message: 'this helper speaks protocol 2, asked for 3' }
    const old = { protocol: 2, version: '0.0.9', anything: { new: true } }
    const heard: HelperEvent[] = []
    const events = [{ event: 'from-the-future', field: 1 }]
    const helper = client(
      { replies: { hello: [{ error }, { ok: old }], status: [{ events, ok: { devices: [], more: 1 } }] } },
      { onEvent: (event) => heard.push(event) },
    )
    expect((await helper.hello()).protocol).toBe(2)
    expect(await helper.request('status', {})).toMatchObject({ devices: [] })
    expect(heard).toHaveLength(1)
  })

  it('gives an error reply to its request, whole', async () => {
    const body = { code: 'device/busy', message: 'held', device: 'vgpu-0', errno: 16, errnoName: 'EBUSY' }
    const error = await failure(client({ replies: { check: [{ error: body }] } }).request('check', {}))
    expect(error).toBeInstanceOf(HelperRequestError)
    expect(error).toMatchObject({ body, device: 'vgpu-0', errnoName: 'EBUSY', side: 'source' })
  })

  it('keeps replies apart that come out of order', async () => {
    const helper = client({
      replies: { status: [{ delayMs: 100, ok: { slow: true } }], check: [{ ok: { fast: true } }] },
    })
    const order: string[] = []
    const slow = helper.request('status', {}).then((reply) => (order.push('slow'), reply))
    const fast = helper.request('check', {}).then((reply) => (order.push('fast'), reply))
    expect(await Promise.all([slow, fast])).toEqual([{ slow: true }, { fast: true }])
    expect(order).toEqual(['fast', 'slow'])
  })

  it('rejects all that waits when the helper dies, with its status and last words', async () => {
    const helper = client({ replies: { ...WAITS.replies, check: [{ exit: 3 }] } })
    const [waiting, cause] = await Promise.all([
      failure(helper.request('status', {})),
      failure(helper.request('check', {})),
    ])
    for (const error of [waiting, cause]) {
      expect(error.code).toBe('helper/died')
      expect(error.message).toContain('status 3')
      expect(error.message).toContain('last words')
    }
    expect(helper.alive).toBe(false)
    expect((await failure(helper.request('status', {}))).code).toBe('helper/died')
  })

  it.each([
    ['text', { raw: 'Welcome to node-b!' }, 'Welcome to node-b!'],
    ['JSON that is no message', { raw: '[1,2]' }, '[1,2]'],
    ['a message that is neither reply nor event', { raw: '{"id":1}' }, '{\\"id\\":1}'],
    ['an error without a code', { raw: '{"id":1,"error":{}}' }, 'error'],
    ['a torn line', { raw: '{"id":1,"ok":{' }, 'ok'],
    ['a line over the limit', { rawBytes: 1024 * 1024 + 1 }, 'over 1 MiB'],
  ])('turns %s on stdout into an error of what waits, and goes on', async (_, action, shown) => {
    const helper = client({ replies: { check: [action] } })
    const error = await failure(helper.request('check', {}))
    expect(error.code).toBe('link/garbage')
    expect(error.message).toContain(shown)
    expect(await helper.request('status', {})).toMatchObject({ phase: 'idle' })
  })

  it('reports what is wrong while nothing waits as a problem', async () => {
    const problems: HelperErrorBody[] = []
    const helper = client(
      { replies: { status: [{ raw: '{"id":1,"ok":{}}\nstray\n{"id":99,"ok":{}}' }] } },
      { onProblem: (problem) => problems.push(problem) },
    )
    await helper.request('status', {})
    await helper.request('check', {})
    expect(problems.map(({ code }) => code)).toEqual(['link/garbage', 'link/stray-reply'])
  })

  it('fails what waits when the helper could not read one of our lines', async () => {
    const raw = '{"id":null,"error":{"code":"control/line","message":"not JSON"}}'
    const error = await failure(client({ replies: { status: [{ raw }] } }).request('status', {}))
    expect(error).toMatchObject({ code: 'control/line' })
  })

  it('stops waiting when told to, and drops the late reply', async () => {
    const problems: HelperErrorBody[] = []
    const helper = client(
      // The check is asked last and takes as long, so that its answer comes after the late replies.
      { replies: { status: [{ delayMs: 100 }], check: [{ delayMs: 100 }] } },
      { onProblem: (problem) => problems.push(problem) },
    )
    const stop = new AbortController()
    const waiting = failure(helper.request('status', {}, { signal: stop.signal }))
    stop.abort()
    expect((await waiting).code).toBe('helper/not-waited')
    expect((await failure(helper.request('status', {}, { timeoutMs: 20 }))).code).toBe('helper/no-reply')
    await helper.request('check', {}, {})
    expect(problems).toEqual([])
  })

  it('sends run and epoch with every request but hello and inventory, once bound', async () => {
    const helper = client({})
    helper.bind('20261122T151733-4f2a', 3)
    await helper.hello()
    expect(await helper.request('status', {})).toMatchObject({ run: '20261122T151733-4f2a', epoch: 3 })
  })

  it('says that its owner is there, and tells what waits when no answer comes', async () => {
    const folder = temporaryFolder()
    const log = join(folder, 'log')
    const helper = client({ log, replies: { ...WAITS.replies, ping: [{}, {}, { silent: true }] } })
    await helper.hello({ keepaliveMs: 150 })
    const waiting = await failure(helper.request('status', {}))
    expect(waiting).toMatchObject({ code: 'link/lost', message: expect.stringContaining('150 ms') })
    expect(helper.alive).toBe(false)
    expect((await failure(helper.request('check', {}))).code).toBe('link/lost')
    expect(readFileSync(log, 'utf8').match(/ ping$/gmu)?.length).toBeGreaterThan(2)
  })

  it('takes any answer to a ping for a sign of life', async () => {
    const log = join(temporaryFolder(), 'log')
    const helper = client({ log, replies: { ping: [{ error: { code: 'x/y', message: 'no' } }] } })
    await helper.hello({ keepaliveMs: 30 })
    while ((readFileSync(log, 'utf8').match(/ ping$/gmu)?.length ?? 0) < 8) await sleep(10)
    expect(helper.alive).toBe(true)
    expect(await helper.request('status', {})).toMatchObject({ phase: 'idle' })
  })

  it('does not wait for pipes that a child of a dead helper keeps open', async () => {
    const { startProcess } = await import('../../src/host/process.js')
    const { HelperClient: Client } = await import('../../src/link/client.js')
    const pidFile = join(temporaryFolder(), 'pid')
    const script = `sleep 600 & echo $! >'${pidFile}'; exit 7`
    const gone = new Client(startProcess('/bin/sh', ['-c', script], 'it'), { side: 'source' })
    const error = await failure(gone.hello())
    const pid = Number(readFileSync(pidFile, 'utf8'))
    expect(error.message).toContain('status 7')
    // Still there: no one waited for it.
    expect(() => process.kill(pid, 'SIGKILL')).not.toThrow()
  })

  it.each([
    ['ended', (stdin: PassThrough) => void stdin.end()],
    ['was destroyed', (stdin: PassThrough) => void stdin.destroy()],
    ['breaks', (stdin: PassThrough) => void stdin.destroy(new Error('EPIPE'))],
  ])(
    'does not wait for an answer to what cannot be written: its stdin %s, and it lives',
    async (_, breaks) => {
      const { HelperClient: Client } = await import('../../src/link/client.js')
      const stdin = new PassThrough()
      const never = new Promise<never>(() => undefined)
      const pipes = {
        stdin,
        stdout: new PassThrough(),
        ended: never,
        kill: () => undefined,
        unref: () => undefined,
      }
      const lives = new Client({ label: 'it', ...pipes }, { side: 'source' })
      vi.useFakeTimers({ toFake: ['setTimeout'] })
      try {
        breaks(stdin)
        await setImmediate()
        const waiting = failure(lives.request('status', {}))
        await setImmediate()
        await vi.runAllTimersAsync()
        expect((await waiting).code).toBe('link/lost')
      } finally {
        vi.useRealTimers()
      }
    },
  )

  it('hands on events in order', async () => {
    const events: HelperEvent[] = []
    const log = (message: string) => ({ event: 'log', level: 'info', message })
    const helper = client(
      { replies: { status: [{ events: [log('one'), log('two')] }] } },
      { onEvent: (event) => events.push(event) },
    )
    await helper.request('status', {})
    expect(events).toEqual([log('one'), log('two')])
  })

  it('says what a program is that is no helper at all', async () => {
    const { startProcess } = await import('../../src/host/process.js')
    const { HelperClient: Client } = await import('../../src/link/client.js')
    const missing = new Client(startProcess('/nonexistent/ferry-helper', [], 'it'), { side: 'source' })
    expect(await failure(missing.hello())).toMatchObject({ code: 'helper/spawn' })
    const quiet = new Client(startProcess('/bin/false', [], 'it'), { side: 'source' })
    expect((await failure(quiet.hello())).message).toContain('status 1')
  })
})
