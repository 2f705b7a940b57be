/** Sizes in configuration: as people write them. */
import { z } from 'zod';
import { parseSize } from '#common/bytes.ts';

export const sizeSchema = z.string().transform((text, context) => {
  try {
    return parseSize(text);
  } catch (error) {
    context.addIssue(error instanceof Error ? error.message : String(error));
    return z.NEVER;
  }
});
