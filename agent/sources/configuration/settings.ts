/** The configuration paths that an agent's configuration names. */
import { z } from 'zod';

/** Absolute, plain, and none inside another: each is switched as a whole. */
export const configurationPaths = z
  .array(
    z
      .string()
      .regex(/^\/[^\0]+$/, 'must be an absolute path')
      .transform((path) => path.replace(/\/+$/, ''))
      .refine(
        (path) =>
          path !== '' &&
          path
            .slice(1)
            .split('/')
            .every((part) => !['', '.', '..'].includes(part)),
        {
          message: 'must be a plain path without "//", "." and "..", and not "/"',
        },
      ),
  )
  .superRefine((paths, context) => {
    for (const [index, path] of paths.entries()) {
      const outer = paths.find((other, at) => at !== index && `${path}/`.startsWith(`${other}/`));
      if (outer !== undefined) context.addIssue(`${path} lies in ${outer}, which is kept whole already`);
    }
  });
