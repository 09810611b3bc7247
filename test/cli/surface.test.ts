import { expect, it } from 'vitest'
import { COMMAND_GROUPS } from '../../src/cli/help-text.js'
import { surface } from './surface.js'

const { commands } = await surface()

it('keeps its commands, arguments, flags and choices', () => {
  const choices = (options: readonly string[] | undefined) =>
    options === undefined ? '' : ` ${options.join('|')}`
  const lines = Object.values(commands).flatMap(({ args, flags, id }) => [
    ...Object.values(args).map(
      ({ multiple, name, options, required }) =>
        `${id} ${required === true ? name : `[${name}]`}${multiple === true ? '...' : ''}${choices(options)}`,
    ),
    ...Object.values(flags)
      .filter(({ helpGroup }) => helpGroup !== 'GLOBAL')
      .map(({ allowNo, char, multiple, name, options, type }) =>
        [
          `${id} --${allowNo === true ? '[no-]' : ''}${name}`,
          char === undefined ? '' : ` -${char}`,
          type === 'option' ? ' VALUE' : '',
          multiple === true ? '...' : '',
          choices(options),
        ].join(''),
      ),
  ])
  expect(lines.join('\n')).toMatchSnapshot()
  const global = Object.values(commands['plan']?.flags ?? {}).filter(
    ({ helpGroup }) => helpGroup === 'GLOBAL',
  )
  expect(global.map(({ name }) => name)).toMatchSnapshot()
})

it('has every command that the root help names in a group', () => {
  expect(
    Object.values(COMMAND_GROUPS)
      .flat()
      .filter((id) => !(id in commands)),
  ).toEqual([])
})

it.each(Object.values(commands))(
  '$id has examples that begin lower-case and a text without hard line breaks',
  (command) => {
    const { description = '', examples = [] } = command
    for (const example of examples) {
      if (typeof example === 'string' || example.description === undefined) continue
      // An abbreviation stays as it is.
      expect(example.description).toMatch(/^(?:[^A-Z]|[A-Z]{2})/u)
    }
    expect(description.replaceAll('\n\n', '')).not.toContain('\n')
  },
)
