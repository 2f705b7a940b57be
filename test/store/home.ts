/** Where the tests of the catalogue have theirs. */
import type { Store, StoreOptions } from '../../controller/store/store.ts';

/** One empty database, until it is disposed of; what was opened on it is closed then. */
export interface Home extends AsyncDisposable {
  /** A store on it that leads, as a controller of its own has it. */
  open(options?: StoreOptions): Promise<Store>;
  /** For looking at what stands in the tables. */
  rows(sql: string): Promise<Record<string, unknown>[]>;
}

export type NewHome = () => Promise<Home>;

/** Long enough for any test. */
export const LEASE_MS = 600_000;
