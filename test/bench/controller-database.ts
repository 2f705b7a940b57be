/** The databases that the controller is measured on. Another one is another entry here, and nothing else. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openSqliteStore } from '../../controller/store/sqlite.ts';
import type { Store } from '../../controller/store/store.ts';

/** Plain data, so that it can be sent to the process that fills the catalogue. */
export interface Catalogue {
  readonly kind: keyof typeof DATABASES;
  /** Of this catalogue: sqlite: the controller's state directory. */
  readonly at: string;
}

interface Driver {
  /** An empty catalogue below `directory`. */
  make(directory: string, name: string): Promise<string>;
  /** What controller.yaml says of it. */
  settings(at: string): Readonly<Record<string, unknown>>;
  open(at: string): Promise<Store>;
}

export const DATABASES = {
  sqlite: {
    async make(directory: string, name: string) {
      const at = join(directory, name);
      await mkdir(at, { mode: 0o700 });
      return at;
    },
    settings: (at: string) => ({ stateDirectory: at }),
    open: (at: string) => openSqliteStore(join(at, 'catalogue.sqlite')),
  },
} satisfies Readonly<Record<string, Driver>>;

export function driverOf(kind: Catalogue['kind']): Driver {
  return DATABASES[kind];
}
