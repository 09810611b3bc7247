/** What a shell has to load so that Tab asks `ferry __complete`. Candidates come one a line: word, tab, meaning. */
const BASH = `_ferry() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <(ferry __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  # One goes on typing after a folder.
  if [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == */ ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o nosort -F _ferry ferry
`

const ZSH = `#compdef ferry
_ferry() {
  local line word
  local -a words_found folders_found
  while IFS= read -r line; do
    word=\${line%%$'\\t'*}
    if [[ $word == */ ]]; then folders_found+=("$word")
    elif [[ $line == *$'\\t'* ]]; then words_found+=("\${word//:/\\\\:}:\${line#*$'\\t'}")
    else words_found+=("\${word//:/\\\\:}")
    fi
  done < <(ferry __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( $#folders_found )) && compadd -S '' -- $folders_found
  (( $#words_found )) && _describe -V ferry words_found
}
if [[ $funcstack[1] == _ferry ]]; then _ferry "$@"; else compdef _ferry ferry; fi
`

const FISH = `function __ferry_complete
  set -l before (commandline -opc)
  ferry __complete $before[2..-1] (commandline -ct) 2>/dev/null
end
complete -c ferry -f -k -a '(__ferry_complete)'
`

export const COMPLETION_SCRIPTS = { bash: BASH, zsh: ZSH, fish: FISH } as const
export type Shell = keyof typeof COMPLETION_SCRIPTS
