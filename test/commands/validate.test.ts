import { describe, expect, it } from 'vitest'
import { ferry, ferryJson } from '../support/ferry.js'
import { changed, VALID } from '../profile/samples.js'

describe('ferry validate', () => {
  it('says in one line that a profile is good', async () => {
    const { stdout, stderr, exit } = await ferry(['validate', 'profiles/quickstart.yaml'])
    expect({ stdout, stderr, exit }).toEqual({
      stdout: 'quickstart: valid; 2 devices, 512MiB in 1 memory region',
      stderr: '',
      exit: 0,
    })
  })

  it('gives scripts the resolved profile, bytes as strings', async () => {
    const { status, exit, result } = await ferryJson(['validate', '-'], { input: VALID })
    expect({ status, exit }).toEqual({ status: 'ok', exit: 0 })
    expect(result).toMatchObject({
      valid: true,
      profile: {
        name: 'vm',
        file: '-',
        memory: [{ iova: '0', bytes: '536870912' }],
        migration: { downtimeLimitMs: 300 },
      },
    })
  })

  it('shows all problems on stderr with their places, and exits with 2', async () => {
    const input = changed('512MiB', '512MB', changed('name: vm', 'nmae: vm'))
    const { stdout, stderr, exit } = await ferry(['validate', '-'], { input })
    expect({ stdout, exit }).toEqual({ stdout: '', exit: 2 })
    expect(stderr).toBe(
      `error[profile/missing-key]: the profile needs \`name\`
 --> <stdin>:1:1
  |
1 | version: 1
  | ^
  = help: name of the workload

error[profile/unknown-key]: unknown key \`nmae\` in the profile
 --> <stdin>:2:1
  |
2 | nmae: vm
  | ^^^^ unknown key
  = help: did you mean \`name\`?

error[profile/size]: invalid memory[0].size
 --> <stdin>:6:34
  |
6 |   - { name: ram, iova: 0x0, size: 512MB, backing: memfd }
  |                                  ^^^^^ units are KiB, MiB, GiB and TiB: did you mean 512MiB?

error[profile/invalid]: the profile on stdin has 3 problems`
        .replace(':6:34', ':6:35')
        .replace('^^^^^ units', ' ^^^^^ units'),
    )
  })

  it('gives scripts each problem as data', async () => {
    const { exit, error } = await ferryJson(['validate', '-'], { input: changed('512MiB', '512MB') })
    expect(exit).toBe(2)
    expect(error).toMatchObject({
      code: 'profile/invalid',
      diagnostics: [{ code: 'profile/size', file: '<stdin>', line: 6, column: 35, endColumn: 40 }],
    })
  })

  it('prints the resolved profile, which is a profile again', async () => {
    const printed = await ferry(['validate', 'profiles/quickstart.yaml', '--print', '--set', 'name=again'])
    expect(printed.stdout).toContain('name: again\n')
    const again = await ferry(['validate', '-', '--print'], { input: printed.stdout })
    expect(again).toEqual(printed)
  })

  it('reads variables from the environment', async () => {
    const input = changed('name: vm', 'name: ${VM_NAME}')
    const { stdout } = await ferry(['validate', '-'], { input, env: { VM_NAME: 'from-env' } })
    expect(stdout).toMatch(/^from-env: valid/u)
    expect((await ferry(['validate', '-'], { input })).stderr).toContain('profile/unset-variable')
  })

  it('takes several --set, and none of them eats the profile', async () => {
    const args = ['validate', '--set', 'name=a', '--set', 'migration.verify=full', '-']
    expect((await ferry(args, { input: VALID })).stdout).toMatch(/^a: valid/u)
  })
})
