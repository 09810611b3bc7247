import type { Family } from './code.js'

export const SIMULATED_FAMILY: Family = {
  name: 'simulated',
  title: 'Simulated devices',
  where: 'runs with simulated devices, such as the quickstart, and the check of their memory',
  codes: {
    'sim/spec': {
      meaning: 'The description of a simulated device contradicts itself.',
      cause: 'Values in the sim block of the profile do not fit together.',
      remedy: 'Correct the sim block as the message says.',
    },
    'sim/not-built': {
      meaning: 'This helper was built without the simulator.',
      cause: 'The profile has simulated devices, and the helper is a production build.',
      remedy: 'Use a helper with the simulator (`npm run build:helper`), or name real devices.',
    },
    'sim/slot': {
      meaning: 'The workload has more simulated devices than are possible.',
      cause: 'The profile lists too many.',
      remedy: 'Remove some.',
    },
    'sim/not-programmed': {
      meaning: 'What a simulated device wrote is not known.',
      cause: 'It was never programmed, or it was reset.',
      remedy: 'Nothing, unless this follows an error of the device: then look at that one.',
    },
    'backend/not-simulated': {
      meaning: 'A real device was put into a simulated container.',
      cause: 'The profile gives both the same `container:`.',
      remedy: 'Give the real device a container of its own, with type1 or iommufd.',
    },
    'check/no-sim': {
      meaning: 'The memory cannot be checked: the run has no simulated device.',
      cause: 'Only simulated devices know what the memory must hold.',
      remedy: 'Nothing: real devices are checked by `verify`.',
    },
    'check/program': {
      meaning: 'The program of a simulated writer is impossible.',
      cause: 'The sim block of the profile has values that do not fit.',
      remedy: 'Correct the sim block as the message says.',
    },
    'check/region': {
      meaning: 'A simulated device writes to memory that is in no region.',
      cause: 'Its window does not fit the memory of the profile.',
      remedy: 'Correct the window of the device.',
    },
    'check/slot': {
      meaning: 'Two simulated devices write to the same bytes.',
      cause: 'A fault in Ferry.',
      remedy: 'Report it with the journal.',
    },
  },
}
