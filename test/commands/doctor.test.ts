import { afterEach, describe, expect, it } from 'vitest'
import { FAKE_HELPER } from '../support/fake-helper.js'
import { fakeBuild, restoreEnvironment, RUNS, standIn } from '../support/stand-in.js'
import { scene } from '../support/fake-scene.js'

afterEach(restoreEnvironment)

interface Shown {
  readonly hosts: readonly {
    readonly host: string
    readonly unseen: readonly string[]
    readonly checks: readonly { readonly layer: string; readonly level: string; readonly code: string }[]
  }[]
  readonly sound: boolean
}
const layersOf = (shown: Shown, nth = 0): string[] => [
  ...new Set((shown.hosts[nth]?.checks ?? []).map(({ layer }) => layer)),
]

describe('ferry doctor', { timeout: 60_000 }, () => {
  it('finds nothing missing for a profile of simulated devices, exit 0', async () => {
    const sets = ['source', 'destination'].flatMap((side) => ['--set', `${side}.helper=${FAKE_HELPER}`])
    const args = ['--profile', 'profiles/quickstart.yaml', ...sets, '--json']
    const { exitCode, stdout } = await scene().ferry('doctor', ...args)
    const { result, status } = JSON.parse(stdout) as { result: Shown; status: string }
    expect({ exitCode, status, sound: result.sound }).toEqual({ exitCode: 0, status: 'ok', sound: true })
  })

  it('looks at every layer of a host over ssh, copying the helper', async () => {
    standIn()
    const { path } = fakeBuild()
    const ferry = scene().ferry('doctor', 'ops@node-b', '--helper', path, '--json')
    const { result } = JSON.parse((await ferry).stdout) as { result: Shown }
    expect(layersOf(result)).toEqual([
      ...['ssh', 'helper', 'root', 'confinement', 'kernel', 'vfio', 'iommufd', 'iommu'],
      ...['memlock', 'memory', 'huge-pages', 'state', 'clock', 'network'],
    ])
    expect(result.hosts[0]?.unseen).toEqual([])
    // The fake says it is 1970.
    const codes = result.hosts[0]?.checks.filter(({ layer }) => layer === 'clock')
    expect(codes).toMatchObject([{ level: 'warn', code: 'doctor/clock' }])
    const confined = result.hosts[0]?.checks.filter(({ layer }) => layer === 'confinement')
    expect(confined).toMatchObject([
      { level: 'ok', code: 'doctor/confinement' },
      { level: 'warn', code: 'doctor/no-landlock' },
    ])
  })

  it('says of each host what failed, all at once, exit 3', async () => {
    standIn('echo "ssh: connect to host $host port 22: Connection refused" >&2; exit 255')
    const { exitCode, stderr, stdout } = await scene().ferry('doctor', 'node-a', 'node-b')
    expect(exitCode).toBe(3)
    for (const host of ['node-a', 'node-b']) {
      expect(stdout).toContain(`${host}: nothing answers on its ssh port [link/ssh]`)
      expect(stdout).toContain(`= check that sshd runs on ${host}`)
    }
    expect(stdout).toContain('not checked: helper, root, confinement, kernel')
    expect(stderr).toContain('doctor/unsound')
  })

  it('looks at the host that is reached when the other one is not, exit 3', async () => {
    standIn(`case $host in *node-b) echo "$host: Connection refused" >&2; exit 255;; esac\n${RUNS}`)
    const { path } = fakeBuild()
    const { exitCode, stdout } = await scene().ferry('doctor', 'node-a', 'node-b', '--helper', path, '--json')
    const { hosts } = (JSON.parse(stdout) as { result: Shown }).result
    expect(exitCode).toBe(3)
    expect(hosts[0]?.unseen).toEqual([])
    expect(hosts[0]?.checks).toContainEqual(expect.objectContaining({ layer: 'memory' }))
    expect(hosts[1]?.checks).toMatchObject([{ layer: 'ssh', level: 'fail', code: 'link/ssh' }])
  })

  it('keeps its findings in the envelope of a failure', async () => {
    standIn('exit 255')
    const { exitCode, stdout } = await scene().ferry('doctor', 'node-a', '--json')
    const { error, result } = JSON.parse(stdout) as { error: { code: string }; result: Shown }
    expect(exitCode).toBe(3)
    expect(error.code).toBe('doctor/unsound')
    expect(result.hosts[0]).toMatchObject({
      host: 'node-a',
      checks: [{ layer: 'ssh', level: 'fail', code: 'link/ssh' }],
    })
  })

  it.each([
    ['a host that is none', ['a b']],
    ['a host and a profile', ['node-a', '--profile', 'profiles/quickstart.yaml']],
    ['--set without a profile', ['--set', 'a=1']],
  ])('refuses %s, exit 2', async (_, args) => {
    expect((await scene().ferry('doctor', ...args)).exitCode).toBe(2)
  })
})
