/** What the catalogue promises, on whichever database: the one suite that both must pass. */
import { describe } from 'vitest';
import { claimsContract } from './contract-claims.ts';
import { deliveriesContract } from './contract-deliveries.ts';
import { leadershipContract } from './contract-leadership.ts';
import { listsContract } from './contract-lists.ts';
import { nodesContract } from './contract-nodes.ts';
import { recordsContract } from './contract-records.ts';
import type { NewHome } from './home.ts';

export function storeContract(database: string, home: NewHome): void {
  describe(`the catalogue on ${database}`, () => {
    recordsContract(home);
    listsContract(home);
    deliveriesContract(home);
    nodesContract(home);
    claimsContract(home);
    leadershipContract(home);
  });
}
