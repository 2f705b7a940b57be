/**
 * Who may change the catalogue: one controller, for as long as it renews its lease. The term grows with each takeover; a change of an
 * older term is refused within its own transaction, so a leader that was paused and has lost the lead changes nothing.
 */
import { AppError } from '#common/errors.ts';
import { databaseNow } from './database.ts';
import type { Database } from './database.ts';
import type { Candidate, Lead } from './store.ts';
import { transact } from './transact.ts';
import type { LeadRow } from './transact.ts';

type Following = Extract<Lead, { kind: 'following' }>;

/** `ownTerm`: of the candidate, when it led before; as long as nobody took over, it goes on with that. */
export async function takeLead(
  database: Database,
  { holder, address }: Candidate,
  leaseMs: number,
  ownTerm: number | undefined,
  { atOnce = false } = {},
): Promise<Lead> {
  // A look without the lock first: what a follower asks every second must not wait for the changes of the leader.
  const seen = await currentLead(database);
  if (!atOnce && seen.leftMs > 0 && seen.term !== ownTerm) return following(seen);
  return transact(database, async (transaction, row) => {
    if (!atOnce && row.leftMs > 0 && row.term !== ownTerm) return following(row);
    const term = row.term === ownTerm ? row.term : row.term + 1;
    await transaction
      .updateTable('leadership')
      .set(({ eb }) => ({ holder, address, term, expires_ms: eb(databaseNow(database.kind), '+', leaseMs) }))
      .execute();
    return { kind: 'leading', term };
  });
}

/** A lease that ran out while nobody took over is renewed all the same: nothing was changed by anyone else. */
export async function renewLead(database: Database, term: number, leaseMs: number): Promise<Lead> {
  return transact(database, async (transaction, row) => {
    if (row.term !== term) return following(row);
    await transaction
      .updateTable('leadership')
      .set(({ eb }) => ({ expires_ms: eb(databaseNow(database.kind), '+', leaseMs) }))
      .execute();
    return { kind: 'leading', term };
  });
}

/** The next one need not wait for the end of the lease; the term ends with it, so whoever resigned changes nothing more. */
export async function resign(database: Database, term: number): Promise<void> {
  await transact(database, async (transaction, row) => {
    if (row.term !== term) return;
    await transaction
      .updateTable('leadership')
      .set({ holder: '', address: '', term: term + 1, expires_ms: 0 })
      .execute();
  });
}

export async function currentLead({ kind, db, name }: Database): Promise<LeadRow> {
  const row = await db
    .selectFrom('leadership')
    .selectAll()
    .select((eb) => eb('expires_ms', '-', databaseNow(kind)).as('leftMs'))
    .executeTakeFirst();
  if (row === undefined) throw new AppError('DAMAGED', `the catalogue ${name} has lost its row of the leadership`);
  return row;
}

/** @throws AppError NOT_LEADER with the address of the leader, unless this term stands. */
export function fence(row: LeadRow, term: number | undefined): void {
  if (row.term !== term) throw notLeader(following(row));
}

/** Of who leads instead, as far as it is known. */
export function notLeader({ leader, holder }: Pick<Following, 'leader' | 'holder'>): AppError {
  const known = leader !== '';
  return new AppError(
    'NOT_LEADER',
    `this controller does not lead${known ? `: that of ${holder} at ${leader} does` : ', and at the moment no other does'}`,
    {
      hint: known ? `Ask the controller at ${leader}.` : 'Try again in some seconds, at each controller.',
      details: { leader, holder },
    },
  );
}

export function following({ holder, address, leftMs }: LeadRow): Following {
  const led = leftMs > 0;
  return { kind: 'following', leader: led ? address : '', holder: led ? holder : '', leftMs: Math.max(0, leftMs) };
}
