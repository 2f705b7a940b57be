/**
 * Changes of the catalogue: one at a time, over all controllers. Each begins by locking the row of the leadership, so a change and a
 * takeover of the lead cannot interleave, and every statement sees all that was written before: no serialization failures among our
 * own. What a foreign session may still cause (a deadlock, a busy file) is tried again.
 */
import pRetry from 'p-retry';
import type { Selectable, Transaction } from 'kysely';
import { AppError } from '#common/errors.ts';
import { databaseNow, mayTryAgain } from './database.ts';
import type { Database } from './database.ts';
import type { Schema } from './schema.ts';

/** The row of the leadership, locked. */
export type LeadRow = Selectable<Schema['leadership']> & {
  /** Of the lease, by the clock of the database; 0 or less: it is over. */
  readonly leftMs: number;
};

/** From 5 ms on, doubled, at most half a second each: some four seconds in all. */
const AGAIN = { retries: 14, minTimeout: 5, factor: 2, maxTimeout: 500, shouldRetry: tryThatAgain };

/** `work` runs again from its start when the database asks for it. */
export async function transact<T>(
  database: Database,
  work: (transaction: Transaction<Schema>, lead: LeadRow) => Promise<T>,
): Promise<T> {
  return inTransaction(database, async (transaction) => work(transaction, await lockLead(database, transaction)));
}

export async function inTransaction<T>(database: Database, work: (transaction: Transaction<Schema>) => Promise<T>): Promise<T> {
  return pRetry(() => once(database, work), AGAIN);
}

async function once<T>({ db }: Database, work: (transaction: Transaction<Schema>) => Promise<T>): Promise<T> {
  let first: { readonly error: unknown } | undefined;
  try {
    return await db
      .transaction()
      // Every statement after the lock must see what the one before us wrote, whatever the server's default is.
      .setIsolationLevel('read committed')
      .execute(async (transaction) => {
        try {
          return await work(transaction);
        } catch (error) {
          first = { error };
          throw error;
        }
      });
  } catch (error) {
    // A rollback that fails as well must not hide why it was needed.
    throw first === undefined ? error : first.error;
  }
}

async function lockLead({ kind, name }: Database, transaction: Transaction<Schema>): Promise<LeadRow> {
  const row = await transaction
    .selectFrom('leadership')
    .selectAll()
    .select((eb) => eb('expires_ms', '-', databaseNow(kind)).as('leftMs'))
    .where('one', '=', 1)
    // SQLite's write transactions exclude one another from their beginning.
    .$if(kind === 'postgres', (query) => query.forUpdate())
    .executeTakeFirst();
  if (row === undefined) throw new AppError('DAMAGED', `the catalogue ${name} has lost its row of the leadership`);
  return row;
}

function tryThatAgain({ error }: { readonly error: unknown }): boolean {
  return mayTryAgain(error);
}
