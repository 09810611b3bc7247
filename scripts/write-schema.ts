/** Writes profiles/profile.schema.json from the zod schema (`npm run schema`). */
import { writeFile } from 'node:fs/promises'
import { profileJsonSchema } from '../src/profile/schema/schema.js'

const file = new URL('../profiles/profile.schema.json', import.meta.url)
await writeFile(file, `${JSON.stringify(profileJsonSchema(), null, 2)}\n`)
