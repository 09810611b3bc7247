/**
 * What a file of tests leaves is ended and removed. Here, and not where it is made: files share their imports, so a hook
 * in a module that is imported would be one of the first file alone.
 */
import { afterAll } from 'vitest'
import { endAll } from './support/ends.js'

afterAll(endAll)
