/** Fills a catalogue, in a process of its own: its memory is not the bench's, and the database is free again when it has ended. */
import { once } from 'node:events';
import { systemClock } from '#common/clock.ts';
import { driverOf } from './controller-database.ts';
import type { Catalogue } from './controller-database.ts';
import { COPIES, TASKS, runOf, setOf, taskOf } from './controller-records.ts';

export interface Wanted {
  readonly catalogue: Catalogue;
  /** Runs that there are to be; those that there are, are not made again. */
  readonly runs: number;
  /** Those of which the catalogue has the history already. */
  readonly made: number;
  readonly now: number;
}

/** So many records a transaction. */
const BATCH = 2000;

const [{ catalogue, runs, made, now }] = (await once(process, 'message')) as [Wanted];
const store = await driverOf(catalogue.kind).open(catalogue.at);
// What does not lead changes nothing.
const lead = await store.takeLead({ holder: 'bench', address: 'bench:1' }, 3_600_000);
if (lead.kind !== 'leading') throw new Error('another controller leads on the catalogue that is to be filled');
const began = systemClock.monotonic();
for (let first = made; first < runs; first += BATCH) {
  await store.transaction(async (change) => {
    for (let number = first; number < Math.min(first + BATCH, runs); number++) {
      const run = runOf(number, runs, now);
      await change.putRun(run);
      if (number >= runs - TASKS * COPIES) await change.putSet(setOf(run));
    }
  });
}
// As if none had run by itself lately: each may be due once more.
await store.transaction(async (change) => {
  for (let number = 0; number < TASKS; number++) await change.putTask(taskOf(number, runs, now));
});
await store.resign(lead.term);
await store.close();
process.send?.((systemClock.monotonic() - began) / 1000);
process.disconnect();
