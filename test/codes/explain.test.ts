import { describe, expect, it } from 'vitest'
import { allCodes } from '../../src/codes/catalogue.js'
import { ferry, ferryJson } from '../support/ferry.js'

describe('ferry explain', () => {
  it('knows every code, several at once', async () => {
    const { exit, result } = await ferryJson(['explain', ...allCodes()])
    expect(exit).toBe(0)
    const { codes } = result as { readonly codes: readonly { readonly code: string }[] }
    expect(codes.map(({ code }) => code)).toEqual(allCodes())
  })

  it('prints meaning, cause, remedy and place of a code and of an exit code', async () => {
    const { stdout, stderr, exit } = await ferry(['explain', 'device/busy', '6'])
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
    expect(stdout).toMatch(/^device\/busy: .+\n\n {2}Cause: .+\n {2}What to do: .+\n {2}Comes up in: .+/su)
    expect(stdout).toMatch(/^exit code 6: /mu)
  })

  it('breaks lines at 80 columns in a pipe, and no code in two', async () => {
    const { stdout } = await ferry(['explain', ...allCodes()])
    const long = stdout.split('\n').filter((line) => line.length > 80)
    expect(long).toEqual([])
    for (const code of allCodes())
      expect(stdout).toContain(/^\d$/u.test(code) ? `exit code ${code}:` : `${code}:`)
    const list = (await ferry(['explain'])).stdout
    expect(list.split('\n').filter((line) => line.length > 80)).toEqual([])
  })

  it('names the nearest code for one that it does not know, and exits with 2', async () => {
    const { error, exit, status } = await ferryJson(['explain', 'device/bsy'])
    expect({ exit, status }).toEqual({ exit: 2, status: 'error' })
    expect(error?.code).toBe('usage/unknown-code')
    expect(error?.suggestions[0]).toContain('ferry explain device/busy')
  })

  it('lists every code without an argument', async () => {
    const [{ exit, stdout }, { result }] = await Promise.all([ferry(['explain']), ferryJson(['explain'])])
    expect(exit).toBe(0)
    const listed = [...stdout.matchAll(/^ {2}(?<code>\S+) {2}/gmu)].map(({ groups }) => groups?.['code'])
    expect(listed).toEqual(allCodes())
    const { families } = result as { readonly families: readonly { readonly codes: object }[] }
    expect(families.flatMap(({ codes }) => Object.keys(codes))).toEqual(allCodes())
  })
})
