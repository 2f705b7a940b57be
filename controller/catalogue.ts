/** The catalogue of a configuration: a file in stateDirectory, which one process at a time may use, or a database on PostgreSQL. */
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { toAppError } from '#common/errors.ts';
import { claimDirectory } from '#common/only-one.ts';
import type { ControllerConfig } from './config.ts';
import type { Database } from './store/database.ts';
import { noCatalogue } from './store/migrate.ts';
import type { WhereEmpty } from './store/migrate.ts';
import { openPostgres, openPostgresStore } from './store/postgres.ts';
import type { PostgresOptions } from './store/postgres-options.ts';
import { openSqlite, openSqliteStore } from './store/sqlite.ts';
import type { Store } from './store/store.ts';

type Where = Pick<ControllerConfig, 'catalogue' | 'stateDirectory' | 'limits'>;

/** Open until disposed. @throws AppError REFUSED when another controller uses the file */
export async function openCatalogue(config: Where): Promise<{ readonly store: Store } & AsyncDisposable> {
  const slots = config.limits.concurrentRuns;
  const { postgres } = config.catalogue;
  const { value: store, ...closing } = await opened(
    config,
    () =>
      postgres === undefined ? openSqliteStore(fileOf(config), { slots }) : openPostgresStore(optionsOf(postgres), { slots }),
    (open) => open.close(),
  );
  return { store, ...closing };
}

/** Without asking for the lead. @throws AppError NOT_FOUND when there is no catalogue and none is to be made */
export async function openDatabase(
  config: Where,
  whereEmpty: WhereEmpty,
): Promise<{ readonly database: Database } & AsyncDisposable> {
  const { postgres } = config.catalogue;
  if (postgres === undefined && whereEmpty === 'none') await requireFile(fileOf(config));
  const { value: database, ...closing } = await opened(
    config,
    () => (postgres === undefined ? openSqlite(fileOf(config), whereEmpty) : openPostgres(optionsOf(postgres), whereEmpty)),
    (open) => open.db.destroy(),
  );
  return { database, ...closing };
}

async function opened<T>(
  { catalogue, stateDirectory }: Where,
  open: () => Promise<T>,
  close: (value: T) => Promise<void>,
): Promise<{ value: T } & AsyncDisposable> {
  await using held = new AsyncDisposableStack();
  if (catalogue.postgres === undefined) {
    await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
    held.use(await claimDirectory(stateDirectory, 'controller'));
  }
  const value = await open();
  held.defer(() => close(value));
  const kept = held.move();
  return { value, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Opening it would make it. */
async function requireFile(path: string): Promise<void> {
  try {
    await access(path);
  } catch (error) {
    const appError = toAppError(error, `open the catalogue ${path}`);
    throw appError.code === 'NOT_FOUND' ? noCatalogue(path) : appError;
  }
}

function fileOf({ stateDirectory }: Where): string {
  return join(stateDirectory, 'catalogue.sqlite');
}

function optionsOf({ idleInTransaction, ...rest }: NonNullable<Where['catalogue']['postgres']>): PostgresOptions {
  return { ...rest, idleInTransactionMs: idleInTransaction };
}
