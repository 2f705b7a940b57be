/** Processes that die at the worst moment. Each ends with a run that succeeds: the system comes back by itself. */
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import type { AdminServiceClient } from '#common/gen/holdfast/v1/admin.ts';
import { BackupPolicy, RunState } from '#common/gen/holdfast/v1/types.ts';
import { AdminServiceService as Admin, SetState, WhenLate } from '#common/gen/holdfast/v1/admin.ts';
import {
  call,
  connectAdmin,
  environment,
  filesOfVault,
  holdfast,
  kill,
  lab,
  setsOf,
  start,
  stop,
  waitForAgent,
  waitForEnd,
} from './cluster.ts';

const TASK = 'oms_only';
let admin: AdminServiceClient;

beforeAll(async () => {
  admin = await connectAdmin();
  await call(admin, Admin.createTask, {
    requestId: 'faults',
    spec: {
      name: TASK,
      sources: [{ policy: BackupPolicy.BACKUP_POLICY_FULL, kind: { $case: 'oms', value: {} } }],
      target: { pathType: { $case: 'localDir', value: {} } },
      copies: 2,
      mode: { $case: 'manual', value: {} },
      whenLate: WhenLate.WHEN_LATE_UNSPECIFIED,
      retention: undefined,
      wantedAgeSeconds: 0n,
    },
  });
});
afterAll(() => admin.close());

async function run(): Promise<string> {
  const answer = await call(admin, Admin.runTask, { requestId: '', name: TASK });
  return answer.run?.id ?? '';
}

/** An exclusive lock on a table makes pg_dump wait: the backup is in its midst for as long as this process lives. */
async function holdTable() {
  const port = String(25432 + Number(inject('portOffset')));
  const { stdout: password } = await execa('cat', [`${lab}/secrets/postgres`]);
  const connection = ['-h', '127.0.0.1', '-p', port, '-U', 'postgres', '-v', 'ON_ERROR_STOP=1'];
  const psql = execa('psql', connection.concat('-d', 'oms'), {
    env: { ...environment, PGPASSWORD: password },
    input: `BEGIN; SELECT format('LOCK TABLE %I.%I IN ACCESS EXCLUSIVE MODE', schemaname, tablename) FROM pg_tables
            WHERE schemaname = 'public' ORDER BY tablename LIMIT 1 \\gexec
            \\echo locked
            SELECT pg_sleep(600);`,
    reject: false,
  });
  let said = '';
  psql.stdout.on('data', (text: Buffer) => (said += text.toString()));
  await vi.waitFor(() => expect(said).toContain('locked'), { timeout: 10_000 });
  return {
    async [Symbol.asyncDispose]() {
      psql.kill('SIGKILL');
      await psql;
      // The server notices a dead client only when it next writes to it: end the sleeping backend ourselves.
      await execa(
        'psql',
        connection.concat(
          '-c',
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()",
        ),
        { env: { ...environment, PGPASSWORD: password } },
      );
    },
  };
}

async function untilDumping(id: string): Promise<void> {
  await vi.waitFor(
    async () => {
      const { run: now } = await call(admin, Admin.getRun, { id });
      expect(now?.sources[0]?.state).toBe(RunState.RUN_STATE_RUNNING);
      expect((await execa('pgrep', ['-x', 'pg_dump'], { reject: false })).exitCode).toBe(0);
    },
    { timeout: 30_000, interval: 200 },
  );
}

async function succeeds(): Promise<void> {
  const end = await waitForEnd(admin, await run());
  expect(end.state, JSON.stringify(end.fault)).toBe(RunState.RUN_STATE_SUCCESSFUL);
}

describe('killed in mid-run', () => {
  test('the agent: its run fails saying so, nothing incomplete stays, earlier sets stay good, the next run succeeds', async () => {
    await succeeds();
    const good = (await setsOf(admin, TASK)).map(({ id }) => id);
    const files = await filesOfVault('mn1');
    {
      await using _held = await holdTable();
      const id = await run();
      await untilDumping(id);
      await kill('dn1');
      const end = await waitForEnd(admin, id);
      expect(end.state).toBe(RunState.RUN_STATE_FAILED);
      expect(end.sources[0]?.fault?.message).toContain('dn1');
    }
    await start('dn1');
    await waitForAgent(admin, 'dn1', true);
    await vi.waitFor(async () => expect(await filesOfVault('mn1')).toEqual(files), { timeout: 30_000 });
    expect((await setsOf(admin, TASK)).map(({ id }) => id)).toEqual(expect.arrayContaining(good));
    await succeeds();
  }, 180_000);

  test('the controller: the run goes on without it and ends as it would have', async () => {
    let id: string;
    {
      await using _held = await holdTable();
      id = await run();
      await untilDumping(id);
      await kill('controller');
      await start('controller');
      await waitForAgent(admin, 'dn1', true);
    }
    const end = await waitForEnd(admin, id);
    expect(end.state, JSON.stringify(end.fault)).toBe(RunState.RUN_STATE_SUCCESSFUL);
  }, 120_000);
});

describe('the standby vault', () => {
  test('that is down leaves the set degraded with alarm 12011, and the next pass repairs it', async () => {
    await kill('mn2');
    await waitForAgent(admin, 'mn2', false);
    await succeeds();
    const [newest] = await setsOf(admin, TASK);
    expect(newest?.state).toBe(SetState.SET_STATE_DEGRADED);
    const raised = await holdfast('alarm', 'list', '--json');
    expect(raised.stdout).toContain('12011');

    await start('mn2');
    await vi.waitFor(
      async () => expect((await setsOf(admin, TASK)).map(({ state }) => state)).not.toContain(SetState.SET_STATE_DEGRADED),
      { timeout: 90_000, interval: 500 },
    );
    expect(await filesOfVault('mn2')).toEqual(await filesOfVault('mn1'));
    await vi.waitFor(async () => expect((await holdfast('alarm', 'list', '--json')).stdout).not.toContain('12011'), {
      timeout: 30_000,
      interval: 500,
    });
  }, 240_000);
});

describe('a stopped daemon', () => {
  test('ends cleanly on SIGTERM, status 0, and comes back with its history', async () => {
    const before = await setsOf(admin, TASK);
    await stop('controller');
    await start('controller');
    await waitForAgent(admin, 'dn1', true);
    expect(await setsOf(admin, TASK)).toEqual(before);
  });
});
