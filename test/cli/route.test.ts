import { describe, expect, it } from 'vitest'
import { grouped, prose } from '../../src/cli/help-text.js'
import { route, unknownCommand } from '../../src/cli/route.js'

const COMMANDS = ['plan', 'migrate', 'report']

describe('the words after ferry', () => {
  it.each([
    [['help'], ['--help']],
    [
      ['help', 'plan'],
      ['plan', '--help'],
    ],
    [['version'], ['--version']],
    [['-h'], ['-h']],
    [[], []],
    [
      ['plan', 'x.yaml', '--json'],
      ['plan', 'x.yaml', '--json'],
    ],
  ])('%j are %j', (words, argv) => {
    expect(route(words, COMMANDS)).toEqual({ argv })
  })

  it.each([
    [['plna'], 'plna'],
    [['help', 'plna'], 'plna'],
    [['plna', '--help'], 'plna'],
    [['--json', 'plan'], '--json'],
  ])('%j hold a command that there is not', (words, unknown) => {
    expect(route(words, COMMANDS)).toMatchObject({ unknown })
    expect(unknownCommand(unknown, COMMANDS)).toMatchObject({ code: 'usage/unknown-command', exit: 2 })
  })

  it('get a suggestion when a command is near', () => {
    expect(unknownCommand('plna', COMMANDS).suggestions).toContain('did you mean `ferry plan`?')
  })
})

describe('the groups of the root help', () => {
  it('hold every command once, and one of no group last', () => {
    const groups = grouped([{ id: 'zzz' }, { id: 'report' }, { id: 'plan' }])
    expect(groups.map(({ commands }) => commands.map(({ id }) => id))).toEqual([
      ['plan'],
      ['report'],
      ['zzz'],
    ])
  })
})

describe('a description', () => {
  it('keeps its paragraphs and loses the line breaks of its source', () => {
    expect(prose`One line
      and its rest.

      Another.`).toBe('One line and its rest.\n\nAnother.')
  })
})
