/** `holdfast controller export` and `import`: the catalogue as a file, from one database to another, while no controller leads. */
import { createReadStream, createWriteStream } from 'node:fs';
import { access, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { syncDirectory } from '#common/durable-file.ts';
import { AppError, toAppError } from '#common/errors.ts';
import { openDatabase } from './catalogue.ts';
import { loadControllerConfig } from './config.ts';
import type { Database } from './store/database.ts';
import { exportCatalogue } from './store/export.ts';
import { importCatalogue } from './store/import.ts';
import type { RowCounts } from './store/catalogue-file.ts';
import { currentLead, following } from './store/leadership.ts';

/** The file is there whole or not at all. @returns how many rows of each table. @throws AppError NOT_FOUND: nothing is made to be exported */
export async function exportTo(file: string, configFile: string): Promise<RowCounts> {
  await requireAbsent(file);
  await using open = await openDatabase(await loadControllerConfig(configFile), 'none');
  const { database } = open;
  const before = await requireNoLeader(database);
  const part = `${file}.part`;
  try {
    let rows: RowCounts = {};
    const lines = async function* () {
      rows = yield* exportCatalogue(database);
    };
    await pipeline(lines, createWriteStream(part, { mode: 0o600, flush: true }));
    // What a controller writes from now on would be in the old catalogue alone.
    const after = await requireNoLeader(database);
    if (after !== before) throw new AppError('REFUSED', `a controller has led on the catalogue ${database.name} meanwhile`);
    await rename(part, file);
    await syncDirectory(dirname(file));
    return rows;
  } catch (error) {
    await rm(part, { force: true });
    throw toAppError(error, `export the catalogue ${database.name} to ${file}`);
  }
}

/** All rows of the file, or none. */
export async function importFrom(file: string, configFile: string): Promise<RowCounts> {
  await using open = await openDatabase(await loadControllerConfig(configFile), 'make');
  const { database } = open;
  await requireNoLeader(database);
  try {
    return await importCatalogue(database, () => createReadStream(file));
  } catch (error) {
    throw toAppError(error, `import ${file} into the catalogue ${database.name}`);
  }
}

/** The term of the last one who led. On SQLite a lease says nothing: whoever leads holds the state directory. */
async function requireNoLeader(database: Database): Promise<number> {
  const row = await currentLead(database);
  const { leader, holder } = following(row);
  if (database.kind === 'postgres' && holder !== '') {
    throw new AppError('REFUSED', `the controller of ${holder} at ${leader} leads on the catalogue ${database.name}`, {
      hint: 'Stop every controller of this catalogue; after a kill, wait until its lease has ended (leaderLease).',
    });
  }
  return row.term;
}

async function requireAbsent(file: string): Promise<void> {
  try {
    await access(file);
  } catch {
    return;
  }
  throw new AppError('ALREADY_EXISTS', `the file ${file} is there already`, { hint: 'Choose another name.' });
}
