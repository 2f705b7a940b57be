/** Lists of one task: a name that was mistyped must not read as "there are no backups". */
import { AdminServiceService as Admin } from '#common/gen/holdfast/v1/admin.ts';
import { AppError } from '#common/errors.ts';
import type { Api } from './connect.ts';

/** Of a list that came out empty. A task may be gone, and what it left is still called after it. @throws AppError NOT_FOUND */
export async function requireKnownName(api: Api, name: string): Promise<void> {
  const isKnown =
    (await exists(() => api.call(Admin.getTask, { name }))) ||
    (await exists(() => api.call(Admin.getRestore, { name }))) ||
    (await api.call(Admin.listRuns, { task: name, pageSize: 1, pageToken: '' })).runs.length > 0 ||
    (await api.call(Admin.listSets, { task: name, pageSize: 1, pageToken: '' })).sets.length > 0;
  if (isKnown) return;
  throw new AppError('NOT_FOUND', `no task or restore is named ${JSON.stringify(name)}, and no run or set is of one`, {
    hint: 'See the names: holdfast task list, holdfast restore list',
  });
}

async function exists(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask();
    return true;
  } catch (error) {
    if (error instanceof AppError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}

/** "no runs of nightly" */
export function noneOf(what: string, task: string | undefined): string {
  return task === undefined ? `no ${what}` : `no ${what} of ${task}`;
}
