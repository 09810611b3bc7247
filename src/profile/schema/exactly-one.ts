import type { z } from 'zod'

/** Exactly one of the keys of an object of optional keys. */
export function exactlyOne<T extends z.ZodType<object>>(schema: T, keys: string): T {
  return schema.superRefine((value, context) => {
    const given = Object.keys(value).length
    if (given === 1) return
    context.addIssue({
      code: 'custom',
      message: given === 0 ? `one of ${keys} is needed` : `only one of ${keys} can be given`,
      params: { code: 'profile/exactly-one' },
    })
  })
}
