/** What is backed up: a row of a database and a file of a configuration. Another state of both differs in text and in a file more. */
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import type { ProcessCluster } from './process-cluster.ts';

export const AS_BACKED_UP = 'as backed up';

export async function writeOther({ server, configuration }: ProcessCluster, text: string): Promise<void> {
  await server.sql('oms', `UPDATE host SET name = '${text}'`);
  for (const name of ['oms.conf', 'new.conf']) await writeFile(join(configuration, name), `${text}\n`);
}

/** Both the database and the configuration, whole, and nothing beside them. */
export async function requireState({ server, configuration }: ProcessCluster, text: string): Promise<void> {
  const rows = await server.sql('oms', 'SELECT name FROM host');
  const files = (await readdir(configuration)).toSorted();
  const content = await Promise.all(files.map((name) => readFile(join(configuration, name), 'utf8')));
  const expected = text === AS_BACKED_UP ? ['oms.conf'] : ['new.conf', 'oms.conf'];
  expect({ rows, files, content }, 'the data are all old or all new, as the run says').toEqual({
    rows: [{ name: text }],
    files: expected,
    content: expected.map(() => `${text}\n`),
  });
  expect(await server.databases(), 'no database lies beside').toEqual(['oms', 'postgres']);
  expect(await readdir(dirname(configuration)), 'no path lies beside').toEqual(['conf']);
}
