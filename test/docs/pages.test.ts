// Generated pages are fresh, pages are short enough to read, and their links lead somewhere.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { codeUnion } from '../../scripts/write-code-union.js'
import { commandsPage } from '../../scripts/write-commands-page.js'
import { picture } from '../../scripts/write-picture.js'
import { profilePage } from '../../scripts/write-profile-page.js'

const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
]
/** Their words come from the sources they are made of. */
const GENERATED = ['docs/commands.md', 'docs/profile.md', 'docs/codes.md']
const MAX_PARAGRAPH = 600
/** Words of the glossary's last column that have another word in its first, and the dialect of old. */
const FORBIDDEN =
  /\blets? (?:it |them |go\b)|\bletting go\b|\bgives? up\b|\bnobody\b|\bwhoever\b|\b(?:was|were|is|are) seen to\b/iu

function read(file: string): string {
  return readFileSync(file, 'utf8')
}

/** Without code blocks: output and programs are quoted as they are. */
function prose(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gmu, '')
}

/** Paragraphs as a reader meets them: an item of a list and a row of a table are one each. */
function paragraphs(text: string): readonly string[] {
  return prose(text)
    .split(/\n\s*\n|\n(?=\s*(?:[-*|]|\d+\.) ?)/u)
    .map((part) => part.trim())
}

/** The names that headings have as link targets, as the forge makes them. */
function anchors(text: string): readonly string[] {
  return [...prose(text).matchAll(/^#+ (.+)$/gmu)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

describe('generated pages', () => {
  it.each([
    ['docs/profile.md', profilePage],
    ['src/error-code.ts', codeUnion],
    ['docs/commands.md', commandsPage],
    ['docs/live-view.svg', picture],
  ])('%s is as `npm run docs` writes it', (file, write) => {
    expect(read(file) === write(), 'run `npm run docs`').toBe(true)
  })

  it('the picture shows a hold and a cutover', () => {
    expect(picture()).toContain('>HELD<')
    expect(picture().match(/<text /gu)?.length).toBeGreaterThan(10)
  })
})

describe('the README', () => {
  it('has at most 150 lines and 9 KB', () => {
    expect(read('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(150)
    expect(Buffer.byteLength(read('README.md'))).toBeLessThanOrEqual(9216)
  })

  it('names every page of docs/', () => {
    const names = PAGES.filter((file) => file.startsWith('docs/'))
    expect(names.filter((name) => !read('README.md').includes(`](${name})`))).toEqual([])
  })

  it('has every command in a group', () => {
    const groups = /## Commands\n[\s\S]*?\n## /u.exec(read('README.md'))?.[0] ?? ''
    const listed = readdirSync('commands').map((name) => name.replace(/\.ts$/u, ''))
    expect(listed.filter((name) => !groups.includes(`\`${name}\``))).toEqual([])
  })
})

describe.each(PAGES)('%s', (file) => {
  it('has no paragraph above 600 characters', () => {
    expect(paragraphs(read(file)).filter((text) => text.length > MAX_PARAGRAPH)).toEqual([])
  })

  it('links only to files and headings that exist', () => {
    const links = [...prose(read(file)).matchAll(/\]\(([^)\s]+)\)/gu)].map(([, target = '']) => target)
    const broken = links
      .filter((target) => !/^[a-z]+:/u.test(target))
      .filter((target) => {
        const [path = '', anchor] = target.split('#')
        const linked = path === '' ? file : join(dirname(file), path)
        if (!existsSync(linked)) return true
        return anchor !== undefined && !anchors(read(linked)).includes(anchor)
      })
    expect(broken).toEqual([])
  })
})

it.each(PAGES.filter((file) => !GENERATED.includes(file) && file !== 'CONTRIBUTING.md'))(
  '%s keeps to the words of the glossary',
  (file) => {
    // Names of keys and flags stand in backticks.
    const text = prose(read(file)).replaceAll(/`[^`\n]*`/gu, '')
    expect(text.split('\n').filter((line) => FORBIDDEN.test(line))).toEqual([])
  },
)
