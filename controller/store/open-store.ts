/** The store on a database that has the tables of this version. */
import type { Database } from './database.ts';
import { currentLead, fence, following, notLeader, renewLead, resign, takeLead } from './leadership.ts';
import type { Store, StoreOptions } from './store.ts';
import { transact } from './transact.ts';
import { queriesOf, viewOf } from './view.ts';

/** `term`: of the lead that was taken already. */
export function openStore(database: Database, { slots = 1 }: StoreOptions, term?: number): Store {
  let ownTerm = term;
  return {
    ...queriesOf(database.db),
    async transaction(work) {
      const mine = ownTerm;
      if (mine === undefined) throw notLeader(following(await currentLead(database)));
      return transact(database, async (transaction, row) => {
        fence(row, mine);
        return work(viewOf(transaction, slots));
      });
    },
    async takeLead(candidate, leaseMs) {
      const lead = await takeLead(database, candidate, leaseMs, ownTerm);
      ownTerm = lead.kind === 'leading' ? lead.term : undefined;
      return lead;
    },
    renewLead: (mine, leaseMs) => renewLead(database, mine, leaseMs),
    resign: (mine) => resign(database, mine),
    close: () => database.db.destroy(),
  };
}
