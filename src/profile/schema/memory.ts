/** Memory regions and what they are made of: the shape of `memory:`. */
import * as z from 'zod'
import * as of from './scalars.js'

const memfdSchema = z
  .strictObject({
    hugePages: z
      .enum(['2MiB', '1GiB'])
      .nullable()
      .default(null)
      .meta({ description: 'size of huge pages; null: ordinary pages' }),
  })
  .meta({ description: 'anonymous memory' })
const backingFields = {
  memfd: memfdSchema.optional(),
  file: of.absolutePath().optional().meta({ description: 'file to map, hugetlbfs included; it must exist' }),
}
const oneBacking = z.union(
  [
    z.literal('memfd'),
    of.exactlyOne(
      z.strictObject(backingFields).meta({ minProperties: 1, maxProperties: 1 }),
      '`memfd`, `file`',
    ),
  ],
  { error: '`memfd` or {file: PATH}' },
)
export type BackingInput = z.output<typeof oneBacking>
const bothBackings = z.strictObject({
  ...backingFields,
  source: oneBacking.optional().meta({ description: 'on the source' }),
  destination: oneBacking.optional().meta({ description: 'on the destination' }),
})
const backingSchema = z
  .union(
    [
      z.literal('memfd'),
      bothBackings.superRefine((value, context) => {
        const keys = Object.keys(value)
        const sides = keys.length === 2 && keys.includes('source') && keys.includes('destination')
        if (sides || (keys.length === 1 && (keys[0] === 'memfd' || keys[0] === 'file'))) return
        context.addIssue({
          code: 'custom',
          message: 'give `memfd`, or `file`, or both `source` and `destination`',
          params: { code: 'profile/exactly-one' },
        })
      }),
    ],
    { error: '`memfd`, {file: PATH}, or {source: …, destination: …}' },
  )
  .meta({ description: 'what the memory is made of, on both sides or on each' })

export const regionSchema = z
  .strictObject({
    name: of.name().meta({ description: 'name of the region' }),
    iova: of.iova().meta({ description: 'where devices see it; the same on both sides' }),
    size: of.size().meta({ description: 'whole 4 KiB pages' }),
    backing: backingSchema.default('memfd'),
    othersMayTruncate: z.boolean().default(false).meta({
      description: 'take a file that another user may truncate or replace; it is refused otherwise',
    }),
    fill: z
      .strictObject({
        seed: of.count(0).default(1).meta({ description: 'seed of the content' }),
        zero: of.percent().prefault('0%').meta({ description: 'share of zero pages' }),
      })
      .nullable()
      .default(null)
      .meta({ description: 'initial content of a simulated workload; null: leave as it is' }),
  })
  .meta({ description: 'memory the devices may write' })

export type RegionInput = z.output<typeof regionSchema>
