/** Phases as people read them: the way back is also how a command that only looks puts everything back. */
export function phaseText(phase: string): string {
  return phase === 'rollback' ? 'roll back' : phase
}
