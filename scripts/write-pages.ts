/** Writes the generated pages and the picture of docs/, and the type of all codes (`npm run docs`); test/docs compares them. */
import { writeFile } from 'node:fs/promises'
import { FAMILIES } from '../src/codes/catalogue.js'
import { codesPage } from '../src/codes/text.js'
import { codeUnion } from './write-code-union.js'
import { commandsPage } from './write-commands-page.js'
import { picture } from './write-picture.js'
import { profilePage } from './write-profile-page.js'

const docs = new URL('../docs/', import.meta.url)
await writeFile(new URL('profile.md', docs), profilePage())
await writeFile(new URL('commands.md', docs), commandsPage())
await writeFile(new URL('live-view.svg', docs), picture())
await writeFile(new URL('codes.md', docs), codesPage(FAMILIES))
await writeFile(new URL('../src/error-code.ts', import.meta.url), codeUnion())
