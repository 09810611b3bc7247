/** profiles/examples/scripted-cutover.sh with a stand-in for ferry: which commands it gives, and how it gets out. */
import { execa } from 'execa'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../support/temporary-folder.js'

const SCRIPT = fileURLToPath(new URL('../../profiles/examples/scripted-cutover.sh', import.meta.url))
const RUN = '20261122T151733-4f2a'
/** The space must come through every quote of the script. */
const PROFILE = 'my vm.yaml'
const ALL = [
  `validate ${PROFILE}`,
  `plan ${PROFILE}`,
  `migrate ${PROFILE} --detach`,
  `await ${RUN} --condition held --timeout 10m`,
  `status ${RUN}`,
  `cutover ${RUN} --within 30s`,
  `await ${RUN} --condition ended --timeout 10m`,
  `report ${RUN}`,
  `release ${RUN}`,
]
const CANCEL = `cancel ${RUN} --wait`
/** The commands up to this one. */
const upTo = (word: string): string[] => ALL.slice(0, ALL.findIndex((line) => line.includes(word)) + 1)

/** Runs the script; `exits` are exit codes of the stand-in, by a part of its arguments. */
function begin(exits: Readonly<Record<string, number>>, env: Record<string, string>, hang = 'no such word') {
  const folder = temporaryFolder()
  const [log, standIn] = [join(folder, 'log'), join(folder, 'ferry')]
  const cases = Object.entries(exits).map(([part, exit]) => `  *"${part}"*) exit ${exit} ;;\n`)
  writeFileSync(
    standIn,
    `echo "$*" >> '${log}'\ncase "$*" in\n${cases.join('')}  *"${hang}"*) sleep 1 ;;\nesac\n[ "$1" != migrate ] || echo ${RUN}\n`,
  )
  // As a checkout calls it: a program with an argument.
  const running = execa('sh', [SCRIPT, PROFILE], { reject: false, env: { FERRY: `sh ${standIn}`, ...env } })
  const calls = (): string[] => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [])
  return { running, calls }
}

async function carryOut(exits: Readonly<Record<string, number>> = {}, env: Record<string, string> = {}) {
  const { calls, running } = begin(exits, env)
  const { exitCode, stderr } = await running
  return { exitCode, stderr, calls: calls() }
}

describe('scripted-cutover.sh', () => {
  it('plans, starts held, waits, looks, cuts over, checks and releases', async () => {
    const { calls, exitCode, stderr } = await carryOut()
    expect(calls).toEqual(ALL)
    expect(exitCode).toBe(0)
    expect(stderr).toContain(`ferry release --hold ${PROFILE} --side destination`)
  })

  it('waits as long as it is told', async () => {
    const { calls } = await carryOut({}, { HOLD_WAIT: '1h', WINDOW: '5m', END_WAIT: '20m' })
    expect(calls.filter((line) => /timeout|within/u.test(line))).toEqual([
      `await ${RUN} --condition held --timeout 1h`,
      `cutover ${RUN} --within 5m`,
      `await ${RUN} --condition ended --timeout 20m`,
    ])
  })

  it.each([
    ['the profile is wrong', 'validate', 2],
    ['the plan is blocked', 'plan', 3],
    ['the hosts refuse', 'migrate', 3],
  ])('when %s: nothing to cancel', async (_, word, exit) => {
    const { calls, exitCode } = await carryOut({ [word]: exit })
    expect(calls).toEqual(upTo(word))
    expect(exitCode).toBe(exit)
  })

  it.each([
    ['it is not held in time', 'condition held', 1],
    ['it ends before it is held', 'condition held', 5],
    ['no moment fits the limit', 'cutover', 7],
  ])('when %s: the run is cancelled', async (_, word, exit) => {
    const { calls, exitCode, stderr } = await carryOut({ [word]: exit })
    expect(calls).toEqual([...upTo(word), CANCEL])
    expect(exitCode).toBe(exit)
    expect(stderr).toContain(`cancelling run ${RUN}`)
  })

  it('when the cancel fails, too: says where to look, and keeps the first exit code', async () => {
    const { exitCode, stderr } = await carryOut({ cutover: 7, cancel: 6 })
    expect(exitCode).toBe(7)
    expect(stderr).toContain(`ferry status ${RUN}`)
  })

  it.each([5, 6, 9])(
    'when the run was continued and ends with %i: neither cancelled nor released',
    async (exit) => {
      const { calls, exitCode, stderr } = await carryOut({ 'condition ended': exit })
      expect(calls).toEqual(upTo('condition ended'))
      expect(exitCode).toBe(exit)
      expect(stderr).toContain(`ferry recover ${RUN}`)
    },
  )

  it('when the check does not pass: the source keeps what it has', async () => {
    const { calls, exitCode, stderr } = await carryOut({}, { CHECK: 'test -e /nonexistent' })
    expect(calls).toEqual(upTo('report'))
    expect(exitCode).toBe(1)
    expect(stderr).toContain('The source still has its devices')
  })

  it('when the source cannot be released: says that this is all that is left to do', async () => {
    const { calls, exitCode, stderr } = await carryOut({ release: 1 })
    expect(calls).toEqual(ALL)
    expect(exitCode).toBe(1)
    expect(stderr).toContain(`not released: ferry release ${RUN}`)
  })

  it('told to end while it waits: the run is cancelled', async () => {
    const { calls, running } = begin({}, {}, 'condition held')
    while (!calls().some((line) => line.includes('condition held')))
      await new Promise((resolve) => setTimeout(resolve, 10))
    running.kill('SIGTERM')
    expect((await running).exitCode).toBe(143)
    expect(calls()).toEqual([...upTo('condition held'), CANCEL])
  })

  it('is a script of the shell that every system has', async () => {
    expect(readFileSync(SCRIPT, 'utf8')).toMatch(/^#!\/bin\/sh\n/u)
    expect((await execa('sh', ['-n', SCRIPT], { reject: false })).stderr).toBe('')
  })
})
