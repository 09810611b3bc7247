import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { EXIT_CODES } from '../../src/exit-codes.js'
import { loadProfile } from '../../src/profile/load.js'

const commands = readFileSync('docs/commands.md', 'utf8')
const profiles = readFileSync('docs/profile.md', 'utf8')

describe('the pages', () => {
  it('has the exit codes of the one table', () => {
    const rows = [...commands.matchAll(/^\| (\d) \| (.+) \|$/gmu)].map(([, exit, meaning]) => ({
      exit: Number(exit),
      meaning,
    }))
    expect(rows).toEqual(Object.values(EXIT_CODES))
  })

  it('shows a profile that is valid', async () => {
    const text = /```yaml\n([\s\S]*?)```/u.exec(profiles)?.[1] ?? ''
    expect(text).toContain('version: 1')
    const folder = await mkdtemp(path.join(tmpdir(), 'ferry-readme-'))
    try {
      const file = path.join(folder, 'profile.yaml')
      await writeFile(file, text)
      expect((await loadProfile(file)).name).toBe('gpu-7')
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
