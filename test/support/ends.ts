/** What is to be done after each file of tests; modules are loaded once for several files, and say it once. */
const ends: (() => void)[] = []

/** Last one first: what was started in a folder ends before the folder goes. */
export function afterEachFile(end: () => void): void {
  ends.unshift(end)
}

export function endAll(): void {
  for (const end of ends) end()
}
