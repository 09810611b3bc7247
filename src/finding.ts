/** What every finding says, from any check: the checks of a profile, a plan, an inventory, a host. */
export interface Finding {
  /** Stable, "area/what" (an inventory's reasons: one word): what a script branches on. */
  readonly code: string
  readonly found: string
  /** What to do; none when there is nothing. */
  readonly remedy?: string | null
}
