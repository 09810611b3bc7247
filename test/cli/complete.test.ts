import { execa } from 'execa'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { complete } from '../../src/cli/complete.js'
import { COMPLETION_SCRIPTS } from '../../src/cli/completion-scripts.js'
import { surface } from './surface.js'

const manifest = await surface()
const words = (...typed: string[]) => complete(typed, manifest).map(({ word }) => word)

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ferry-complete-'))
  mkdirSync(join(folder, 'runs'))
  mkdirSync(join(folder, 'nodes'))
  for (const name of [
    '20261122T151733-4f2a.ndjson',
    '20261123T090000-0001.ndjson',
    '20261123T090000-0001.log',
  ])
    writeFileSync(join(folder, 'runs', name), '')
  for (const name of ['vm.yaml', 'vm.yml', 'vm.txt', '.hidden.yaml']) writeFileSync(join(folder, name), '')
  vi.stubEnv('FERRY_STATE_DIR', folder)
})
afterAll(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

describe('ferry __complete', () => {
  it('knows the commands, with what they do', () => {
    expect(words('')).toEqual(expect.arrayContaining(['help', 'version', ...Object.keys(manifest.commands)]))
    expect(complete(['migr'], manifest)).toEqual([
      { word: 'migrate', text: manifest.commands['migrate']?.summary },
    ])
    expect(words('help', 'dirt')).toEqual(['dirty-log'])
    expect(words('nonsense', '')).toEqual([])
  })

  it('knows the flags of a command, and names each once unless it may be repeated', () => {
    expect(words('migrate', '--hold')).toEqual(['--hold', '--hold-at', '--hold-timeout'])
    expect(words('migrate', '--hold', '--hold')).toEqual(['--hold-at', '--hold-timeout'])
    expect(words('plan', '--set', 'a=b', '--se')).toEqual(['--set'])
    expect(words('devices', '--no')).toEqual(['--no-probe'])
    expect(words('plan', '--h')).toEqual(['--helper', '--help'])
    expect(words('plan', '--', '--h')).toEqual([])
  })

  it('knows the values of flags and arguments, however a shell cuts them', () => {
    const points = ['after-pin', 'after-dirty-log']
    expect(words('migrate', 'x', '--hold-at', 'after')).toEqual(points)
    expect(words('migrate', 'x', '--hold-at', '=', 'after')).toEqual(points)
    expect(words('migrate', 'x', '--hold-at', '=')).toEqual([...points, 'before-cutover'])
    expect(words('migrate', 'x', '--hold-at=after')).toEqual(points.map((point) => `--hold-at=${point}`))
    expect(words('set', 'last', 'b')).toEqual(['bandwidth'])
    expect(words('migrate', 'x', '--max-rounds', '')).toEqual([])
  })

  it('knows profile files and folders', () => {
    const found = [`${folder}/vm.yaml`, `${folder}/vm.yml`]
    expect(words('plan', `${folder}/vm`)).toEqual(found)
    expect(words('plan', `${folder}/`)).toEqual([`${folder}/nodes/`, `${folder}/runs/`, ...found])
    expect(words('plan', `${folder}/.h`)).toEqual([`${folder}/.hidden.yaml`])
    expect(words('release', '--hold', `${folder}/vm`)).toEqual(found)
    expect(words('plan', 'x', `${folder}/vm`)).toEqual([])
    expect(words('plan', '--log-file', `${folder}/vm.t`)).toEqual([`${folder}/vm.txt`])
    expect(words('plan', '--state-dir', `${folder}/`)).toEqual([`${folder}/nodes/`, `${folder}/runs/`])
  })

  it('knows the runs of the state folder, newest first', () => {
    const runs = ['20261123T090000-0001', '20261122T151733-4f2a']
    expect(words('report', '')).toEqual(['last', ...runs])
    expect(words('cutover', '20261122')).toEqual([runs[1]])
    expect(words('status', '--state-dir', join(folder, 'nodes'), '')).toEqual(['last'])
  })
})

describe('ferry completion', () => {
  /** bash with the script loaded, and one Tab after `line`. */
  async function tab(...line: string[]): Promise<string[]> {
    const { stdout } = await execa(
      'bash',
      [
        '-c',
        `ferry() { "${process.execPath}" --import tsx src/cli/cli.ts "$@"; }
        source <(ferry completion bash)
        complete -p ferry >&2
        COMP_WORDS=(ferry "$@"); COMP_CWORD=$#
        _ferry
        printf '%s\\n' "\${COMPREPLY[@]}"`,
        'bash',
        ...line,
      ],
      { env: { FERRY_STATE_DIR: folder } },
    )
    return stdout.split('\n').filter((word) => word !== '')
  }

  it('completes in bash', async () => {
    expect(await tab('cut')).toEqual(['cutover'])
    expect(await tab('report', '20261122')).toEqual(['20261122T151733-4f2a'])
    expect(await tab('plan', `${folder}/vm`)).toEqual([`${folder}/vm.yaml`, `${folder}/vm.yml`])
  })

  it.for(Object.keys(COMPLETION_SCRIPTS) as (keyof typeof COMPLETION_SCRIPTS)[])(
    'prints what %s can read',
    async (shell, { skip }) => {
      const found = (process.env['PATH'] ?? '').split(':').some((path) => existsSync(join(path, shell)))
      if (!found) skip(`${shell} is not here`)
      const script = join(folder, `completion.${shell}`)
      writeFileSync(script, COMPLETION_SCRIPTS[shell])
      const { exitCode, stderr } = await execa(shell, ['-n', script], { reject: false })
      expect([exitCode, stderr]).toEqual([0, ''])
    },
  )
})
