/** Writes the generated pages and the picture of docs/ (`npm run docs:pages`); test/docs compares them. */
import { writeFile } from 'node:fs/promises'
import { commandsPage } from './write-commands-page.js'
import { picture } from './write-picture.js'
import { profilePage } from './write-profile-page.js'

const docs = new URL('../docs/', import.meta.url)
await writeFile(new URL('profile.md', docs), profilePage())
await writeFile(new URL('commands.md', docs), commandsPage())
await writeFile(new URL('live-view.svg', docs), picture())
