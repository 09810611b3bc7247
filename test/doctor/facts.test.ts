import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync } from 'node:fs'
import { hostname, release } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readFacts } from '../../src/doctor/facts.js'
import { SCRIPT } from '../../src/doctor/script.js'
import { temporaryFolder } from '../support/temporary-folder.js'

function ask(args: readonly string[] = [], shell: readonly string[] = ['sh']): string {
  const [program = 'sh', ...options] = shell
  return execFileSync(program, [...options, '-s', '--', ...args], { input: SCRIPT, encoding: 'utf8' })
}
const said = ask()

describe('the script', () => {
  it.each([['sh'], ['bash', '--posix'], ['busybox', 'sh'], ['dash']])('is read by %s %s', (...shell) => {
    if (spawnSync(shell[0] ?? '', ['-c', ':']).error !== undefined && shell[0] !== 'sh') return
    if (shell[0] === 'busybox' && spawnSync('busybox', ['sh', '-c', ':']).status !== 0) return
    const facts = readFacts(ask([], shell))
    expect(facts).toMatchObject({ system: 'Linux', kernel: release(), hostname: hostname() })
    expect(facts.uid).toBe(process.getuid?.())
  })

  it('finds the memory the kernel tells of', () => {
    const total = /MemTotal:\s+(\d+) kB/u.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]
    const facts = readFacts(said)
    expect(facts.memoryBytes).toBe(BigInt(total ?? 0) * 1024n)
    expect(facts.memoryAvailableBytes).toBeGreaterThan(0n)
    expect(facts.memoryAvailableBytes).toBeLessThanOrEqual(facts.memoryBytes)
  })

  it('sees a state folder, or the nearest folder above one', () => {
    const folder = temporaryFolder()
    const there = join(folder, 'a')
    mkdirSync(there)
    chmodSync(there, 0o750)
    const mine = { writable: true, owner: process.getuid?.() }
    expect(readFacts(ask([there])).state).toMatchObject({
      above: there,
      mode: expect.stringMatching(/^drwxr-x---/u),
      ...mine,
    })
    expect(readFacts(ask([join(there, 'b', 'c')])).state).toMatchObject({ above: there, ...mine })
    expect(readFacts(ask([there])).state?.freeBytes).toBeGreaterThan(0n)
    expect(readFacts(ask([])).state).toBeNull()
  })

  it('sees an interface, or that there is none', () => {
    expect(readFacts(ask(['', 'lo'])).interface).not.toBe('absent')
    expect(readFacts(ask(['', 'nosuch0'])).interface).toBe('absent')
    expect(readFacts(said).interface).toBeNull()
  })

  it('changes nothing: it names no program that could', () => {
    expect(SCRIPT).not.toMatch(/\b(?:rm|mv|cp|mkdir|touch|chmod|chown|modprobe|insmod|tee|dd|mktemp)\b/u)
    expect(SCRIPT.replaceAll(/2>\/dev\/null/gu, '').match(/[^<-]>+ *[^&=]/gu) ?? []).toEqual([])
  })
})

describe('readFacts', () => {
  it('passes over what login scripts print', () => {
    expect(readFacts(`Welcome\nto\tnode-b\n${said}bye\n`)).toEqual(readFacts(said))
  })

  it('refuses what was cut off anywhere', () => {
    const lines = said.trimEnd().split('\n')
    fc.assert(
      fc.property(fc.nat({ max: lines.length - 1 }), (kept) => {
        expect(() => readFacts(lines.slice(0, kept).join('\n'))).toThrow(/could not be read/u)
      }),
    )
  })

  it.each([
    ['a number that is none', /(\tMemTotal\t).*/u, '$1lots'],
    ['a torn line', /(\tuser\t).*/u, '$1a\tb'],
    ['an option no one asked for', /(\tbegin\t1)/u, '$1\nferry-doctor\toption\tVFIO_NEW=y'],
    ['a module in an unknown state', /(\tmodule\tvfio ).*/u, '$1asleep'],
    ['a fact said twice', /(\tuid\t(.*))/u, '$1\nferry-doctor\tuid\t$2'],
    ['a fact that is missing', /.*\tiommus\t.*/u, ''],
    ['a node in an unknown state', /(\tiommufd-node\t).*/u, '$1perhaps'],
  ])('refuses %s', (_, pattern, replacement) => {
    const spoilt = said.replace(pattern, replacement)
    expect(spoilt).not.toBe(said)
    expect(() => readFacts(spoilt)).toThrow(/could not be read/u)
  })
})
