/** Wrong as a text: YAML, keys, types, variables, overrides. */
import type { BadInput } from './bad-input.js'
import { deviceKey, DEVICE, ram, RAM } from './bad-parts.js'
import { changed, VALID } from './samples.js'

export const BAD_TEXT: readonly BadInput[] = [
  // Syntax
  { what: 'an empty file', text: '', findings: [['profile/empty', '']] },
  { what: 'comments alone', text: '# nothing\n', findings: [['profile/empty', '#']] },
  {
    what: 'a tab for indentation',
    text: 'version: 1\nsource:\n\thost: local\n',
    findings: [['profile/tab-indent', '\t']],
  },
  { what: 'an unclosed bracket', text: 'version: [1\nname: vm\n', findings: [['profile/syntax', 'n']] },
  { what: 'two documents', text: `${VALID}---\nversion: 1\n`, findings: [['profile/syntax', '---']] },
  {
    what: 'an unknown tag',
    text: changed('name: vm', 'name: !secret vm'),
    findings: [['profile/syntax', '!secret']],
  },
  {
    what: 'a key twice',
    text: changed('name: vm', 'name: vm\nname: vm2'),
    findings: [['profile/duplicate-key', 'name']],
  },
  { what: 'brackets without end', text: '['.repeat(200_000), findings: [['profile/too-deep', '[']] },
  {
    what: 'aliases that multiply',
    text: `a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`,
    findings: [['profile/too-many-aliases', 'a']],
  },
  { what: 'a list', text: '- 1\n', findings: [['profile/wrong-type', '- 1']] },
  { what: 'a word', text: 'hello\n', findings: [['profile/wrong-type', 'hello']] },

  // Keys and types
  {
    what: 'an unknown key',
    text: deviceKey('trakcer: auto'),
    findings: [['profile/unknown-key', 'trakcer']],
  },
  {
    what: 'an unknown key deep down',
    text: `${VALID}migration: { precopy: { round: 3 } }\n`,
    findings: [['profile/unknown-key', 'round']],
  },
  { what: 'a missing key', text: changed('name: vm\n', ''), findings: [['profile/missing-key', 'v']] },
  {
    what: 'a missing key of an item',
    text: ram('size: 512MiB'),
    findings: [['profile/missing-key', '{ name: ram, size: 512MiB }']],
  },
  {
    what: 'a list for a mapping',
    text: changed('{ host: local }', '[local]'),
    findings: [['profile/wrong-type', '[local]']],
  },
  { what: 'a mapping for a size', text: ram('iova: 0, size: {}'), findings: [['profile/wrong-type', '{}']] },
  {
    what: 'text for a number',
    text: `${VALID}migration: { precopy: { rounds: many } }\n`,
    findings: [['profile/wrong-type', 'many']],
  },
  {
    what: 'a number for text',
    text: changed('name: vm', 'name: 7'),
    findings: [['profile/wrong-type', '7']],
  },
  {
    what: 'nothing for text',
    text: changed('name: vm', 'name:'),
    findings: [['profile/wrong-type', 'name']],
  },
  {
    what: 'a fraction for a count',
    text: `${VALID}migration: { precopy: { rounds: 1.5 } }\n`,
    findings: [['profile/wrong-type', '1.5']],
  },
  {
    what: 'an infinite count',
    text: `${VALID}migration: { precopy: { rounds: .inf } }\n`,
    findings: [['profile/wrong-type', '.inf']],
  },
  {
    what: 'a count out of range',
    text: `${VALID}migration: { precopy: { rounds: 0 } }\n`,
    findings: [['profile/invalid-value', '0']],
  },
  {
    what: 'an unknown choice',
    text: deviceKey('backend: typ1'),
    findings: [['profile/invalid-value', 'typ1']],
  },
  {
    what: 'no devices',
    text: changed(`devices:\n${DEVICE}`, 'devices: []\n'),
    findings: [['profile/invalid-value', '[]']],
  },
  {
    what: 'no memory',
    text: changed(`memory:\n${RAM}`, 'memory: []\n'),
    findings: [['profile/invalid-value', '[]']],
  },
  {
    what: 'another version',
    text: changed('version: 1', 'version: 2'),
    findings: [['profile/version', '2']],
  },
  {
    what: 'a name with a slash',
    text: changed('name: vm', 'name: ../vm'),
    findings: [['profile/name', '../vm']],
  },

  // Variables and overrides
  {
    what: 'an unset variable',
    text: changed('name: vm', 'name: ${VM_NAME}'),
    findings: [['profile/unset-variable', '${VM_NAME}']],
  },
  {
    what: 'an empty variable where one is needed',
    text: changed('name: vm', 'name: ${VM_NAME:?which one}'),
    env: { VM_NAME: '' },
    findings: [['profile/unset-variable', '${VM_NAME:?which one}']],
  },
  {
    what: 'a variable without braces',
    text: changed('name: vm', 'name: $VM'),
    env: { VM: 'x' },
    findings: [['profile/variable-syntax', '$VM']],
  },
  {
    what: 'a brace that is not closed',
    text: changed('name: vm', 'name: "${VM"'),
    env: { VM: 'x' },
    findings: [['profile/variable-syntax', '${VM']],
  },
  { what: 'a --set without a value', text: VALID, sets: ['name'], findings: [['profile/override', 'name']] },
  {
    what: 'a --set below a value',
    text: VALID,
    sets: ['name.x=1'],
    findings: [['profile/override', 'name']],
  },
  {
    what: 'a --set of an item that is not there',
    text: VALID,
    sets: ['devices.gpu.tracker=all'],
    findings: [['profile/override', 'gpu']],
  },
]
