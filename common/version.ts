import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** The version of the product, stated once, in package.json. Part of the names on disk and of the rule "same version at restore". */
export const PRODUCT_VERSION: string = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))).version;
