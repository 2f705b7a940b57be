/** `holdfast set prune --dry-run` on a history of 200 sets, through a real controller: what docs/rules.md shows of it. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SetState } from '#common/gen/holdfast/v1/admin.ts';
import { taskDirectory } from '#common/names.ts';
import type { BackupSet } from '../../controller/model.ts';
import { openSqliteStore } from '../../controller/store/sqlite.ts';
import { cli } from '../cli/fake-controller.ts';
import { setOf } from '../store/samples.ts';
import { startCluster, taskSpec } from './cluster.ts';
import type { Cluster } from './cluster.ts';

const DAY_MS = 86_400_000;
const SETS = 200;

let cluster: Cluster;
let config: string;
beforeAll(async () => {
  cluster = await startCluster();
  const retention = { keepSeconds: 5n * 86_400n, daily: 7, weekly: 4, monthly: 12 };
  const { task } = await cluster.admin().createTask({ requestId: '', spec: taskSpec('nightly', { copies: 3, retention }) });
  await cluster.stop();
  await remember(taskDirectory('nightly', Number(task?.createdMs)));
  await cluster.start();
  config = await clientConfig();
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

/** A set a night, the oldest first. Of the nights 3 and 60 OMS is missing; night 150 is pinned. */
async function remember(directory: string): Promise<void> {
  const store = await openSqliteStore(join(cluster.directory, 'state', 'catalogue.sqlite'));
  const newest = cluster.clock.now() - DAY_MS / 2;
  await store.transaction(async (view) => {
    for (let night = SETS; night >= 1; night--) await view.putSet(setOfNight(night, newest - (night - 1) * DAY_MS, directory));
  });
  await store.close();
}

function setOfNight(night: number, createdMs: number, directory: string): BackupSet {
  const set = setOf(`night_${String(night).padStart(3, '0')}`, 'nightly', ['mn1', 'mn2'], { createdMs });
  const files = set.files.map(({ file, nodes }) => {
    const at = (name: string) => `${directory}OMS_${night}/${name}`;
    const of = (name: 'manifest' | 'archive' | 'index') => ({ ...file[name], key: at(name) });
    return { nodes, file: { ...file, manifest: of('manifest'), archive: of('archive'), index: of('index') } };
  });
  const missingSources = night === 3 || night === 60 ? (['LdapServer'] as const) : [];
  return { ...set, files, missingSources, pinned: night === 150 };
}

async function clientConfig(): Promise<string> {
  const directory = join(cluster.directory, 'client');
  await mkdir(directory);
  const files = await cluster.files('operator', 'admin');
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(directory, name), bytes, { mode: 0o600 });
  const path = join(directory, 'client.yaml');
  await writeFile(path, `controller: ${JSON.stringify(cluster.address())}\ntls: { ca: ca, cert: cert, key: key }\n`);
  return path;
}

const prune = (...more: string[]) => cli(['set', 'prune', '--dry-run', ...more], { HOLDFAST_CONFIG: config });

test('each of 200 sets is told with its verdict and why, and none is touched', async () => {
  const { status, out, err } = await prune();
  expect({ status, err }).toEqual({
    status: 0,
    err: expect.stringMatching(/^of 200 sets \d+ stay and \d+ go; nothing was deleted\n$/),
  });
  const lines = out.trimEnd().split('\n');
  expect(lines).toHaveLength(SETS + 1);
  const of = (night: number) => lines.find((line) => line.startsWith(`night_${String(night).padStart(3, '0')} `)) ?? '';
  expect(of(1)).toMatch(
    / stays +the newest good set; copy 1 of 3; younger than 5 days; the newest of the day .*; the newest of the week .*; the newest of the month /,
  );
  expect(of(2)).toMatch(/ stays +copy 2 of 3; younger than 5 days; the newest of the day /);
  expect(of(3)).toMatch(/ stays +incomplete, with 2 newer whole sets of the 3 that would replace it$/);
  expect(of(4)).toMatch(/ stays +copy 3 of 3; younger than 5 days/);
  expect(of(8)).toMatch(/ stays +the newest of the day /);
  expect(of(60)).toMatch(/ goes +incomplete, and replaced by 3 newer whole sets$/);
  expect(of(150)).toMatch(/ stays +(the newest of the month \S+; )?pinned$/);
  expect(out.match(/the newest of the month/g)?.length).toBeGreaterThanOrEqual(6);
  expect(lines.filter((line) => line.includes(' goes '))).not.toEqual([]);
  for (const line of lines.slice(1)) expect(line).toMatch(/ (stays|goes) +\S/);
  const { sets } = await cluster.admin().listSets({ task: '', pageSize: 250, pageToken: '' });
  expect(sets.filter(({ state }) => state !== SetState.SET_STATE_DELETING)).toHaveLength(SETS);
});

test('as JSON each verdict has its reasons', async () => {
  const verdicts = JSON.parse((await prune('nightly', '--json')).out) as { setId: string; stays: boolean; reasons: string[] }[];
  expect(verdicts).toHaveLength(SETS);
  expect(verdicts.every(({ reasons }) => reasons.length > 0)).toBe(true);
  const stays = verdicts.filter((verdict) => verdict.stays).map(({ setId }) => setId);
  expect(stays).toEqual(expect.arrayContaining(['night_001', 'night_002', 'night_004', 'night_150']));
  expect(stays.length).toBeLessThan(30);
});

test('what docs/rules.md shows of it are reasons that the rules really give', async () => {
  const shown = told(await readFile('docs/rules.md', 'utf8'));
  expect(shown.length).toBeGreaterThan(5);
  expect(told((await prune()).out)).toEqual(expect.arrayContaining(shown));
});

/** Verdicts and reasons, without the dates of the day that this ran on. */
function told(text: string): string[] {
  return [...text.matchAll(/^night_\d+ .* (stays|goes) +(.+)$/gm)].map(([, verdict, reasons = '']) => {
    const own = reasons.split('; ').filter((reason) => !reason.startsWith('the newest of the '));
    return [verdict, ...own].join('; ');
  });
}
