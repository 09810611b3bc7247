/** What is wrong with this Node, and the remedy; undefined when it will do. Imports nothing, so that it runs anywhere. */
export function nodeVersionProblem(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return undefined
  return [
    `error[host/node-too-old]: ferry needs Node 20.19 or newer; this is Node ${version}`,
    '  = help: install a newer Node (https://nodejs.org), or with nvm: nvm install 22',
  ].join('\n')
}
