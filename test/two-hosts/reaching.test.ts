/** Ways to a host: what doctor finds of two, and root by sudo. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import { until } from '../support/until.js'
import { device, workload } from '../support/workload.js'
import { DATA, isRoot, TwoHosts } from './hosts.js'

interface Found {
  readonly layer: string
  readonly code: string
  readonly level: string
  readonly found: string
}

describe.runIf(isRoot)('reaching a host', { timeout: 120_000 }, () => {
  let hosts: TwoHosts
  beforeAll(async () => {
    hosts = await TwoHosts.up()
  })
  afterAll(() => hosts.down())

  const profile = (more: Parameters<TwoHosts['sides']>[0] = {}, transport: object = {}) =>
    hosts.profile({
      ...workload([device('nic')], { name: 'reach' }),
      ...hosts.sides({ ...more, destination: { then: 'close', ...more?.destination } }),
      transport,
    })
  /** As a user who logs in without being root. */
  const user = (name: string, become: 'sudo' | null) => ({
    source: { host: `${name}@node-a`, become },
    destination: { host: `${name}@node-b`, become, then: 'close' },
  })

  describe('doctor', () => {
    afterEach(() => hosts.mend('data'))

    const network = async (path: string) => {
      const { envelope, exit, stderr, stdout } = await hosts.json('doctor', '--profile', path)
      const reports = (envelope as { result: { hosts: { sides: string[]; checks: Found[] }[] } } | null)
        ?.result.hosts
      const destination = reports?.find(({ sides }) => sides.includes('destination'))
      expect(destination, stdout + stderr).toBeDefined()
      return { exit, checks: destination?.checks.filter(({ layer }) => layer === 'network') ?? [] }
    }

    it('makes the data connections, and times them', async () => {
      const { checks, exit } = await network(profile({}, { streams: 3 }))
      const data = checks.find(({ code }) => code === 'doctor/data')
      expect(data?.found).toMatch(
        /from 10\.77\.3\.1 to 10\.77\.3\.2:\d+; 3 connections, TLS 1\.3\): there and back in [\d.]+ [mµ]?s$/u,
      )
      expect(exit).toBe(EXIT.done)
      // It waits for one peer, once: nothing listens afterwards.
      const { stdout } = await hosts.on('b', ['ss', '-Hltn', 'src', DATA.b])
      expect(stdout).toBe('')
    })

    it('finds a data network that lets nothing pass, where ssh does', async () => {
      await hosts.cut('data')
      const { checks, exit } = await network(profile())
      const failed = checks.filter(({ level }) => level === 'fail')
      expect(failed).toMatchObject([
        { code: 'link/timeout', found: expect.stringMatching(/^no data can reach the destination/u) },
      ])
      expect(exit).toBe(EXIT.blocked)
    })

    it('finds a port that is taken, and a source address that is not there', async () => {
      const taken = hosts.start('b', [
        process.execPath,
        '-e',
        `require('net').createServer().listen(7440, '${DATA.b}', () => console.log('listening'))`,
      ])
      await new Promise((resolve) => taken.stdout.once('data', resolve))
      const port = await network(profile({ destination: { listen: `${DATA.b}:7440` } }))
      expect(port.checks.map(({ code }) => code)).toContain('link/port-taken')
      expect(port.exit).toBe(EXIT.blocked)
      taken.kill()
      const address = await network(profile({ source: { address: '10.77.9.9' } }))
      expect(address.checks.filter(({ level }) => level === 'fail').map(({ code }) => code)).toEqual([
        'link/address',
      ])
    })
  })

  describe('root by sudo', () => {
    it('moves as a user who may', async () => {
      const ended = await hosts.json('migrate', profile(user('ops', 'sudo')))
      expect(ended.exit, ended.stdout + ended.stderr).toBe(EXIT.done)
      // Copied to that user's own folder, and run by root.
      const cache = join(hosts.folder, 'a', 'ops', '.cache', 'ferry')
      expect(readdirSync(cache).filter((name) => name.startsWith('helper-'))).toHaveLength(1)
    })

    it('says so where sudo wants a password, before anything is done', async () => {
      const path = profile(user('guest', 'sudo'))
      const ended = await hosts.json('migrate', path)
      expect(ended.stdout).toContain('link/sudo')
      expect(ended.stdout).toContain('NOPASSWD')
      expect(ended.exit).not.toBe(EXIT.done)
      const looked = await hosts.ferry(['doctor', '--profile', path]).ended
      expect(looked.exit).toBe(EXIT.blocked)
      expect(looked.stdout).toMatch(/fail +root/u)
    })

    it('leaves no helper of root behind when ferry is killed', async () => {
      const run = hosts.ferry(['migrate', profile(user('ops', 'sudo')), '--hold'])
      await until('two helpers under sudo', async () =>
        (await hosts.helpers('a')).length > 0 && (await hosts.helpers('b')).length > 0 ? true : undefined,
      )
      run.kill('SIGKILL')
      await run.ended
      await until('the end of both', async () =>
        (await hosts.helpers('a')).length + (await hosts.helpers('b')).length === 0 ? true : undefined,
      )
    })
  })
})
