/** The databases that the controller is measured on. Another one is another entry here, and nothing else. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openPostgresStore } from '../../controller/store/postgres.ts';
import { openSqliteStore } from '../../controller/store/sqlite.ts';
import type { Store } from '../../controller/store/store.ts';
import { startServer } from '../sources/postgres/server.ts';

/** Plain data, so that it can be sent to the process that fills the catalogue. */
export interface Catalogue {
  readonly kind: keyof typeof DATABASES;
  /** Of this catalogue. SQLite: the controller's state directory. PostgreSQL: what controller.yaml says of it, as JSON. */
  readonly at: string;
}

interface Driver {
  /** What the catalogues need, until disposed. */
  begin(directory: string): Promise<Maker>;
  /** What controller.yaml says of it. */
  settings(at: string): Readonly<Record<string, unknown>>;
  open(at: string): Promise<Store>;
}

interface Maker extends AsyncDisposable {
  /** An empty catalogue. */
  make(name: string): Promise<string>;
}

export const DATABASES = {
  sqlite: {
    begin: async (directory: string) => ({
      async make(name: string) {
        const at = join(directory, name);
        await mkdir(at, { mode: 0o700 });
        return at;
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
    settings: (at: string) => ({ stateDirectory: at }),
    open: (at: string) => openSqliteStore(join(at, 'catalogue.sqlite')),
  },
  postgres: {
    async begin() {
      const server = await startServer();
      // The tests' servers need not be durable; a catalogue is.
      await server.sql('postgres', 'alter system set fsync = on', 'select pg_reload_conf()');
      const { port, passwordFile } = server;
      return {
        async make(name: string) {
          await server.sql('postgres', `create database ${name}`);
          return JSON.stringify({ host: '127.0.0.1', port, user: 'postgres', database: name, passwordFile });
        },
        [Symbol.asyncDispose]: () => server.stop(),
      };
    },
    settings: (at: string) => ({ catalogue: { postgres: JSON.parse(at) as unknown } }),
    open: (at: string) => openPostgresStore(JSON.parse(at) as Parameters<typeof openPostgresStore>[0]),
  },
} satisfies Readonly<Record<string, Driver>>;

export function driverOf(kind: Catalogue['kind']): Driver {
  return DATABASES[kind];
}
