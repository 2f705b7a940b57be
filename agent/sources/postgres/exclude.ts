/** Patterns of tables whose data are left out of a backup (their definitions are kept): those of pg_dump, without its quoting. */
import { z } from 'zod';

/** Alarms are of the moment: restored ones would be wrong, and they grow without bound. */
export const ALARM_TABLES = ['*.t_alarm*'];

export const tablePattern = z
  .string()
  .regex(
    /^(?:[A-Za-z0-9_$*?]+\.)?[A-Za-z0-9_$*?]+$/,
    'must be "table" or "schema.table" of letters, digits, "_", "$" and the wildcards "*" and "?"',
  )
  // Without a schema pg_dump looks only where search_path leads.
  .transform((pattern) => (pattern.includes('.') ? pattern : `*.${pattern}`));

/** The regular expressions that pg_dump makes of a pattern, for schema and table. Names in patterns are folded to lower case, as in SQL. */
export function patternExpressions(pattern: string): { schema: string; table: string } {
  const [schema = '*', table = '*'] = pattern.toLowerCase().split('.');
  const expression = (part: string) =>
    `^(${part
      .replaceAll('$', String.raw`\$`)
      .replaceAll('*', '.*')
      .replaceAll('?', '.')})$`;
  return { schema: expression(schema), table: expression(table) };
}
