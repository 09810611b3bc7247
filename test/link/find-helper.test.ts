import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EXIT } from '../../src/exit-codes.js'
import { openHelper } from '../../src/link/open.js'
import { candidates, checkTrusted, findHelper, packageRoot, untrusted } from '../../src/link/find-helper.js'
import { fakeHelper } from '../support/fake-helper.js'
import { temporaryFolder } from '../support/temporary-folder.js'

const HERE = { host: 'local', become: null, stateDir: null } as const
const REGULAR = 0o100000
const FOLDER = 0o040000

describe('finding the helper', () => {
  it('takes the named one and looks nowhere else', async () => {
    const folder = temporaryFolder()
    const path = fakeHelper(folder, 'mine', {})
    expect(await findHelper({ explicit: path, root: folder })).toBe(path)
    expect(candidates({ explicit: path, root: folder })).toEqual([path])
  })

  it('prefers the build of the checkout to a prebuilt one', async () => {
    const root = temporaryFolder()
    const [build, prebuilt, system] = candidates({ root })
    expect(system).toBe('/usr/libexec/ferry-helper')
    for (const path of [prebuilt, build]) {
      if (path === undefined) throw new Error('there are three candidates')
      mkdirSync(join(path, '..'), { recursive: true })
      writeFileSync(path, '', { mode: 0o755 })
      expect(await findHelper({ root })).toBe(path)
    }
  })

  it('names every path it tried, why each is none, and the remedies', async () => {
    const root = temporaryFolder()
    const [build, prebuilt] = candidates({ root })
    if (build === undefined || prebuilt === undefined) throw new Error('there are three candidates')
    mkdirSync(build, { recursive: true })
    mkdirSync(join(prebuilt, '..'), { recursive: true })
    writeFileSync(prebuilt, '', { mode: 0o644 })
    const paths = { explicit: undefined, root }
    const error = await findHelper(paths).catch((thrown: unknown) => thrown)
    // A system-wide helper may be installed where the tests run; then it is the one found.
    if (typeof error === 'string') return expect(error).toBe('/usr/libexec/ferry-helper')
    expect(error).toMatchObject({ code: 'helper/missing', exit: EXIT.error })
    const { message, suggestions } = error as { message: string; suggestions: string[] }
    expect(message).toContain(`${build}: is not a file`)
    expect(message).toContain(`${prebuilt}: cannot be run`)
    expect(message).toContain('/usr/libexec/ferry-helper: does not exist')
    expect(suggestions.join()).toContain('npm run build:helper')
    expect(suggestions.join()).toContain('--helper')
  })

  it('knows the folder of the package', () => {
    expect(JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')).name).toBe('vfio-ferry')
  })
})

describe('what root runs', () => {
  it.each([
    ['root’s own, for no one else to write', { uid: 0, mode: REGULAR | 0o755 }, false, 0],
    ['another user’s', { uid: 1000, mode: REGULAR | 0o755 }, false, 1],
    ['writable by the group', { uid: 0, mode: REGULAR | 0o775 }, false, 1],
    ['writable by everybody', { uid: 0, mode: REGULAR | 0o757 }, false, 1],
    ['in a sticky folder such as /tmp', { uid: 0, mode: FOLDER | 0o1777 }, true, 0],
    ['in a folder everybody writes to', { uid: 0, mode: FOLDER | 0o777 }, true, 1],
    ['in another user’s folder', { uid: 1000, mode: FOLDER | 0o755 }, true, 1],
    ['sticky, but a file', { uid: 0, mode: REGULAR | 0o1757 }, false, 1],
  ])('a helper %s', (_, facts, folder, problems) => {
    expect(untrusted('/x', facts, folder)).toHaveLength(problems)
  })

  it('refuses before anything is started, naming what is wrong', async () => {
    const path = fakeHelper(temporaryFolder(), 'open', {})
    chmodSync(path, 0o777)
    const error = await checkTrusted(path, 0).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'helper/untrusted' })
    expect((error as Error).message).toContain(`${path} may be written by group or others (mode 0777)`)
    await expect(checkTrusted(path, 1000)).resolves.toBeUndefined()
  })
})

describe('a started helper', () => {
  it('leads a session of its own, out of reach of the terminal’s Ctrl-C, and ends with its stdin', async () => {
    const log = join(temporaryFolder(), 'log')
    const helper = fakeHelper(temporaryFolder(), 'ferry-helper', { log })
    const client = await openHelper({ ...HERE, helper }, { side: 'source' })
    const { pid } = client.helloReply
    // Fields after the command's name in parentheses: state, parent, process group, session.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /su, '')
      .split(' ')
    expect([fields[2], fields[3]]).toEqual([String(pid), String(pid)])
    expect(await client.close()).toMatchObject({ exitCode: 0, signal: null })
    expect(readFileSync(log, 'utf8')).toMatch(/ eof\n$/u)
  })

  it('that cannot be greeted leaves no process behind', async () => {
    const helper = fakeHelper(temporaryFolder(), 'ferry-helper', {
      replies: { hello: [{ ok: { protocol: 9, version: '9.0.0' } }] },
    })
    await expect(openHelper({ ...HERE, helper }, { side: 'destination' })).rejects.toMatchObject({
      exit: EXIT.sidesDisagree,
      side: 'destination',
    })
  })
})
