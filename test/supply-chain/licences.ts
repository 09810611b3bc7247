/** SPDX expressions: names with OR, AND and parentheses; AND binds closer. Old crates write OR as a slash. */

/** Whether one of the choices that an expression gives is of allowed licences alone. */
export function allows(expression: string, allowed: ReadonlySet<string>): boolean {
  const words = expression.replaceAll('/', ' OR ').match(/[()]|[^\s()]+/gu) ?? []
  let at = 0
  const term = (): boolean => {
    const word = words[at++]
    if (word === '(') {
      const inside = either()
      at++
      return inside
    }
    let name = word ?? ''
    if (words[at] === 'WITH') {
      name = `${name} WITH ${words[at + 1]}`
      at += 2
    }
    return allowed.has(name)
  }
  const both = (): boolean => {
    let all = term()
    while (words[at] === 'AND') {
      at++
      all = term() && all
    }
    return all
  }
  function either(): boolean {
    let any = both()
    while (words[at] === 'OR') {
      at++
      any = both() || any
    }
    return any
  }
  return either() && at === words.length
}
