import { describe, expect, it } from 'vitest'
import { manPage } from '../../scripts/write-man.js'
import { EXIT_CODES } from '../../src/exit-codes.js'
import { surface } from './surface.js'

const commands = Object.values((await surface()).commands)
const page = manPage(commands, { description: 'Moves devices', version: '1.2.3' })

describe('the man page', () => {
  it('has every command, its flags, and every exit code', () => {
    for (const { flags, id } of commands) {
      const title = `.SS "ferry ${id.replaceAll('-', '\\-')}"\n`
      expect(page).toContain(title)
      const rest = page.slice(page.indexOf(title) + title.length)
      const section = rest.slice(0, rest.search(/^\.S[HS] /mu))
      for (const { allowNo, helpGroup, name } of Object.values(flags)) {
        const where = helpGroup === 'GLOBAL' ? page.slice(page.indexOf('.SH FLAGS OF')) : section
        expect(where).toContain(`--${allowNo === true ? '[no-]' : ''}${name}`.replaceAll('-', '\\-'))
      }
    }
    for (const { exit } of Object.values(EXIT_CODES)) expect(page).toContain(`.B ${exit}\n`)
  })

  it('holds no character that a formatter would read as its own, and none outside ASCII', () => {
    const [fake] = commands
    if (fake === undefined) throw new Error('no commands')
    const text = manPage([{ ...fake, summary: "'tis a \\ and a ’" }], { description: '.x', version: '1' })
    expect(text).toContain("\n\\&'tis a \\e and a \\[u2019]\n")
    expect(page).toMatch(/^[\x00-\x7f]*$/u)
    const macros = new Set([...page.matchAll(/^[.'](?<name>\S*)/gmu)].map(({ groups }) => groups?.['name']))
    expect([...macros].sort()).toEqual(['B', 'I', 'PP', 'RE', 'RS', 'SH', 'SS', 'TH', 'TP', 'fi', 'nf'])
  })
})
