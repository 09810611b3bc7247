/** What a start of `ferry` loads, by its words: as little as they need. */
import type { Start } from './main.js'
import { readManifest } from './manifest.js'

/** Sets the exit code. */
export async function start({ fromSource, root, words }: Start): Promise<void> {
  if (words[0] === '__complete' && !fromSource) {
    // A shell asks at every Tab: oclif is not loaded for it.
    const { printCompletions } = await import('./complete.js')
    printCompletions(words.slice(1), readManifest(root))
  } else if (
    !fromSource &&
    (words.length === 0 || (words.length === 1 && /^(?:--help|-h|help)$/u.test(words[0] ?? '')))
  ) {
    // The first thing anybody types: the same text that oclif would show, without loading it.
    const { printRootHelp } = await import('./root-help.js')
    printRootHelp(root)
  } else {
    const { main } = await import('./main.js')
    await main({ words, root, fromSource })
  }
}
