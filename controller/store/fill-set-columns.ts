/** The columns of a set that come of its record, for rows older than the columns. */
import type { Transaction } from 'kysely';
import type { BackupSet } from '../model.ts';
import { decode } from './codec.ts';
import type { Schema } from './schema.ts';
import { setColumns } from './set-columns.ts';

export async function fillSetColumns(step: Transaction<Schema>): Promise<void> {
  for (const { seq, body } of await step.selectFrom('sets').select(['seq', 'body']).execute()) {
    await step
      .updateTable('sets')
      .set(setColumns(decode(body) as BackupSet))
      .where('seq', '=', seq)
      .execute();
  }
}
