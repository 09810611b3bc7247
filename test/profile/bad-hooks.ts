/** Hooks that cannot run where or when they say. */
import type { BadInput } from './bad-input.js'
import { VALID } from './samples.js'

const hooks = (...list: string[]): string =>
  `${VALID}hooks:\n${list.map((one) => `  - { ${one}, command: [/bin/true] }\n`).join('')}`

export const BAD_HOOKS: readonly BadInput[] = [
  {
    what: 'a hook at no such point',
    text: hooks('name: a, at: post-stopp'),
    findings: [['profile/invalid-value', 'post-stopp']],
  },
  {
    what: 'a hook without a command',
    text: `${VALID}hooks:\n  - name: a\n    at: pre-pin\n`,
    findings: [['profile/missing-key', 'name']],
  },
  {
    what: 'a command as one text, which a shell would read',
    text: `${VALID}hooks:\n  - { name: a, at: pre-pin, command: drain --all }\n`,
    findings: [['profile/wrong-type', 'drain --all']],
  },
  {
    what: 'two hooks of one name',
    text: hooks('name: a, at: pre-pin', 'name: a, at: post-pin'),
    findings: [['profile/hook', 'a']],
  },
  {
    what: 'a hook in the blackout that does not say so',
    text: hooks('name: a, at: post-stop, timeout: 10ms'),
    findings: [['profile/hook', 'post-stop']],
  },
  {
    what: 'a hook outside the blackout that says it is inside',
    text: hooks('name: a, at: pre-cutover, inBlackout: true'),
    findings: [['profile/hook', 'true']],
  },
  {
    what: 'an abort after the commit, and after a rollback',
    text: hooks('name: a, at: post-commit, onFailure: abort', 'name: b, at: post-rollback, onFailure: abort'),
    findings: [
      ['profile/hook', 'abort'],
      ['profile/hook', 'abort'],
    ],
  },
  {
    what: 'a hook that may take the whole blackout',
    text: hooks('name: a, at: pre-resume, inBlackout: true, timeout: 300ms'),
    findings: [['profile/hook', '300ms']],
  },
  {
    what: 'a hook in the blackout with the default timeout',
    text: `${VALID}hooks:\n  - name: a\n    at: pre-resume\n    inBlackout: true\n    command: [/bin/true]\n`,
    findings: [['profile/hook', 'name']],
  },
  {
    what: 'hooks that may take the whole blackout together',
    text: hooks(
      'name: a, at: post-quiesce, inBlackout: true, timeout: 100ms',
      'name: b, at: pre-cutover, timeout: 5s',
      'name: c, at: post-stop, inBlackout: true, timeout: 200ms',
      'name: d, at: pre-resume, inBlackout: true, timeout: 1ms',
    ),
    findings: [['profile/hook', '200ms']],
  },
  {
    what: 'a hook longer than a limit laid over the file',
    text: hooks('name: a, at: pre-resume, inBlackout: true, timeout: 200ms'),
    sets: ['migration.downtimeLimit=100ms'],
    findings: [['profile/hook', '200ms']],
  },
  {
    what: 'a hook whose abort and place are both wrong, though migration has a problem of its own',
    text: `${hooks('name: a, at: post-commit, onFailure: abort, inBlackout: true')}migration: { hold: now }\n`,
    findings: [
      ['profile/hook', 'abort'],
      ['profile/hook', 'true'],
      ['profile/invalid-value', 'now'],
    ],
  },
]
