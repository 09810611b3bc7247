import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { closeHosts, hostOf } from '../../src/host/host.js'
import { temporaryFolder } from '../support/temporary-folder.js'
import { newHost, onPath, restoreEnvironment, RUNS, standIn } from '../support/stand-in.js'

afterEach(async () => {
  await closeHosts()
  restoreEnvironment()
})

const WHERE = ['this host', 'another'] as const
function host(where: (typeof WHERE)[number]) {
  if (where === 'this host') return hostOf({ host: 'local' })
  standIn()
  return hostOf({ host: newHost() })
}
async function goneWithin(pid: number): Promise<boolean> {
  for (let nth = 0; nth < 500; nth++) {
    try {
      process.kill(pid, 0)
    } catch {
      return true
    }
    await sleep(10)
  }
  return false
}

describe.each(WHERE)('a command on %s', (where) => {
  it('gives its output and its own status, 255 too', async () => {
    const result = await host(where).run(['sh', '-c', 'echo out; echo err >&2; exit 255'])
    expect(result).toMatchObject({ exitCode: 255, stdout: 'out\n', stderr: 'err\n', timedOut: false })
  })

  it('gets its words and its environment as they were given', async () => {
    const value = `it's $HOME \`id\` "\\ \n!`
    const result = await host(where).run(['sh', '-c', 'printf "%s|%s" "$V" "$1"', 'sh', value], {
      env: { V: value },
    })
    expect(result.stdout).toBe(`${value}|${value}`)
  })

  it('reads its input, and nothing without one', async () => {
    const there = host(where)
    expect((await there.run(['cat'], { input: 'in\n', timeoutMs: 20_000 })).stdout).toBe('in\n')
    expect((await there.run(['cat'])).stdout).toBe('')
    expect((await there.run(['cat'], { timeoutMs: 20_000 })).stdout).toBe('')
  })

  it('is 127 when there is no such program', async () => {
    expect((await host(where).run(['/nonexistent/drain'])).exitCode).toBe(127)
  })

  it('is stopped with all it started when its time is over', async () => {
    const pidFile = join(temporaryFolder(), 'pid')
    // The child shell passes SIGTERM by, so only the group's SIGKILL ends it.
    const script = `trap '' TERM; sh -c 'echo $$ >"${pidFile}.new"; mv "${pidFile}.new" "${pidFile}"; while :; do sleep 1; done'`
    const running = host(where).run(['sh', '-c', script], { timeoutMs: 1000 })
    expect(await running).toMatchObject({ timedOut: true, aborted: false })
    expect(await goneWithin(Number(readFileSync(pidFile, 'utf8')))).toBe(true)
  })

  it('is stopped by a signal', async () => {
    const stop = new AbortController()
    const mark = join(temporaryFolder(), 'mark')
    const running = host(where).run(['sh', '-c', `echo >'${mark}'; exec sleep 600`], { signal: stop.signal })
    while (!existsSync(mark)) await sleep(10)
    stop.abort()
    expect(await running).toMatchObject({ aborted: true, timedOut: false })
    expect(await host(where).run(['true'], { signal: stop.signal })).toMatchObject({ aborted: true })
  })

  it('as root needs a sudo that does not ask', async () => {
    const there = host(where)
    onPath('sudo', `[ "$1 $2" = '-n --' ] || exit 9; shift 2; exec "$@"`)
    const result = await there.run(['sh', '-c', 'echo "$V"'], { become: 'sudo', env: { V: 'x y' } })
    expect(result.stdout).toBe('x y\n')
    onPath('sudo', 'echo "sudo: a password is required" >&2; exit 1')
    await expect(there.run(['true'], { become: 'sudo' })).rejects.toMatchObject({
      code: 'link/sudo',
      message: expect.stringContaining('a password is required'),
    })
  })
})

describe('one connection a host', () => {
  it('is made once, before all that runs on it, and ends when it is closed', async () => {
    const { calls } = standIn()
    const there = hostOf({ host: newHost() }, { keepaliveMs: 8000 })
    await Promise.all([there.run(['true']), there.run(['true'])])
    await there.run(['true'])
    expect(hostOf({ host: there.name })).toBe(there)
    const [first, ...others] = calls()
    expect(first).toContain('ControlMaster=yes')
    expect(first).toContain('ServerAliveInterval=2')
    expect(others).toHaveLength(3)
    const path = first?.find((word) => word.startsWith('ControlPath='))
    for (const call of others) {
      expect(call).toContain('ControlMaster=no')
      expect(call).toContain(path)
    }
    // ssh makes the socket under a name 17 longer.
    expect(Buffer.byteLength(path ?? '') - 'ControlPath='.length + 17).toBeLessThanOrEqual(107)
    await there.close()
    await there.run(['true'])
    expect(calls().filter((call) => call.includes('ControlMaster=yes'))).toHaveLength(2)
  })

  it.each([
    ['Host key verification failed.', 'host key is unknown'],
    ['ops@node: Permission denied (publickey).', 'login refused'],
  ])('that is refused says why, each time it is tried: %s', async (stderr, message) => {
    const { calls } = standIn(`echo '${stderr}' >&2; exit 255`)
    const there = hostOf({ host: newHost() })
    for (const nth of [1, 2]) {
      await expect(there.run(['true'])).rejects.toMatchObject({
        code: 'link/ssh',
        message: expect.stringMatching(new RegExp(`${message}[^]*${stderr.slice(0, 12)}`, 'u')),
      })
      expect(calls()).toHaveLength(nth)
    }
  })

  it('passes over what a login script prints', async () => {
    standIn(`echo 'Welcome!'; ${RUNS}`)
    expect((await hostOf({ host: newHost() }).run(['echo', 'x'])).stdout).toBe('Welcome!\nx\n')
  })

  it('that breaks under a command is no status of the command, and a new one is made', async () => {
    const { folder } = standIn(
      `case $1 in *ferry-is-in*) ${RUNS} ;; esac
       [ -e "$folder/whole" ] && ${RUNS}
       echo 'mux_client_request_session: read from master failed: Broken pipe' >&2; exit 255`,
    )
    const there = hostOf({ host: newHost() })
    await expect(there.run(['true'])).rejects.toMatchObject({ code: 'link/ssh' })
    writeFileSync(join(folder, 'whole'), '')
    expect((await there.run(['true'])).exitCode).toBe(0)
  })

  it('that cannot be made for want of an ssh program says so', async () => {
    standIn()
    process.env['FERRY_SSH'] = '/nonexistent/ssh'
    await expect(hostOf({ host: newHost() }).run(['true'])).rejects.toMatchObject({ code: 'link/ssh' })
  })
})
