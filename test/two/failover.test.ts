/** The lead goes from one controller to the other while a real backup runs through it; what was backed up is restored and compared. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, credentials, status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { systemClock } from '#common/clock.ts';
import { faultIn } from '#common/fault-trailer.ts';
import { AgentServiceClient } from '#common/gen/holdfast/v1/agent.ts';
import { cli } from '../cli/fake-controller.ts';
import { startServer } from '../sources/postgres/server.ts';
import type { TestServer } from '../sources/postgres/server.ts';
import { startPair } from './pair.ts';
import type { Pair, TestController } from './pair.ts';

/** As required: with the default lease. */
const FAIL_OVER_MS = 15_000;
const OMS = 'omsdb';

let server: TestServer;
let pair: Pair;
beforeAll(async () => {
  server = await startServer();
  await server.sql('postgres', `create database ${OMS}`);
  await server.sql(OMS, "create table t as select n, repeat('x', 100) || n as text from generate_series(1, 5000) n");
  pair = await startPair(server, { catalogue: 'catalogue', oms: OMS });
  for (const each of [...pair.controllers, ...pair.agents]) each.start();
  await pair.leader();
  expect((await pair.holdfast('task', 'create', 'oms', '--source', 'OMS')).exitCode).toBe(0);
});
afterAll(async () => {
  await pair[Symbol.asyncDispose]();
  await server.stop();
});

interface ShownRun {
  readonly id: string;
  readonly state: string;
  readonly setId: string;
}

/** Until every agent is on the line of whoever leads. */
async function connected(): Promise<void> {
  await vi.waitFor(
    async () => {
      const agents = (await pair.json('agent', 'list')) as { node: string; connected: boolean }[];
      expect(agents.map(({ node, connected: there }) => [node, there])).toEqual([
        ['mn1', true],
        ['mn2', true],
      ]);
    },
    { timeout: 30_000, interval: 200 },
  );
}

/** A backup that waits in its dump, for a lock that the test holds, until `goOn`. */
async function backupInProgress(): Promise<{ id: string; goOn(): Promise<void> }> {
  await connected();
  const holder = await server.client(OMS);
  await holder.query('begin; lock table t in access exclusive mode');
  const { id } = (await pair.json('task', 'run', 'oms')) as ShownRun;
  await vi.waitFor(async () => expect(await server.sql(OMS, 'select 1 from pg_locks where not granted')).not.toEqual([]), {
    timeout: 30_000,
    interval: 100,
  });
  return {
    id,
    async goOn() {
      await holder.query('commit');
      await holder.end();
    },
  };
}

async function ended(id: string): Promise<ShownRun> {
  const { stdout, stderr } = await pair.holdfast('run', 'watch', id, '--json');
  const run = JSON.parse(stdout) as ShownRun;
  expect(run.state, stderr + JSON.stringify(await pair.json('run', 'log', id))).toBe('successful');
  return run;
}

let restores = 0;
async function restoredAndCompared(run: ShownRun): Promise<void> {
  const before = await server.plainDump(OMS);
  await server.sql(OMS, 'drop table t; create table other (n int)');
  const sets = (await pair.json('set', 'list')) as { id: string; runId: string }[];
  const set = sets.find(({ runId }) => runId === run.id);
  const name = `back_${(restores += 1)}`;
  await pair.json('restore', 'create', name, '--set', set?.id ?? '');
  const { exitCode, stderr } = await pair.holdfast('restore', 'start', name, '--yes', '--wait');
  expect(exitCode, stderr).toBe(0);
  expect(await server.plainDump(OMS)).toBe(before);
}

async function takesOver(next: TestController): Promise<number> {
  const from = systemClock.monotonic();
  await vi.waitFor(async () => expect(await next.ask()).toBeUndefined(), { timeout: 40_000, interval: 50 });
  return systemClock.monotonic() - from;
}

const follows = (who: TestController, leader: TestController) =>
  vi.waitFor(
    async () => {
      const answer = await who.ask();
      expect(answer?.code).toBe(status.UNAVAILABLE);
      expect(faultIn(answer)).toMatchObject({ code: 'NOT_LEADER', details: { leader: leader.address } });
      return answer;
    },
    { timeout: 20_000, interval: 100 },
  );

test('a leader is killed in mid-backup: the other takes over, the backup goes on, and is good', async () => {
  const old = await pair.leader();
  const next = pair.other(old);
  const backup = await backupInProgress();
  await old.end('SIGKILL');
  expect(await takesOver(next)).toBeLessThan(FAIL_OVER_MS);
  await connected();
  await backup.goOn();
  await restoredAndCompared(await ended(backup.id));
  const log = (await pair.json('run', 'log', backup.id)) as { message: string }[];
  expect(log.filter(({ message }) => /attempt 2/.test(message))).toEqual([]);
  old.start();
  await follows(old, next);
}, 180_000);

test('a leader is paused in mid-backup: the other takes over, and the old one changes nothing when it goes on', async () => {
  const old = await pair.leader();
  const next = pair.other(old);
  const backup = await backupInProgress();
  old.signal('SIGSTOP');
  try {
    expect(await takesOver(next)).toBeLessThan(FAIL_OVER_MS);
    await connected();
    await backup.goOn();
    const run = await ended(backup.id);
    const everything = async () =>
      JSON.stringify([
        await server.sql('catalogue', 'select * from tasks order by name'),
        await server.sql('catalogue', 'select * from runs order by seq'),
        await server.sql('catalogue', 'select * from sets order by seq'),
        await server.sql('catalogue', 'select term, address from leadership'),
      ]);
    const before = await everything();
    old.signal('SIGCONT');
    await follows(old, next);
    expect(await everything()).toBe(before);
    expect(await next.ask()).toBeUndefined();
    await restoredAndCompared(run);
  } finally {
    old.signal('SIGCONT');
  }
}, 180_000);

test('a follower names the leader to people and agents, and to nobody else, and its health tells', async () => {
  const leader = await pair.leader();
  const follower = pair.other(leader);
  const answer = await follows(follower, leader);
  expect(answer?.details).toContain(leader.address);
  expect(faultIn(answer)?.hint).toContain(leader.address);

  const single = join(pair.directory, 'admin', 'single.yaml');
  await writeFile(single, `controller: ${follower.address}\ntls: { ca: ca.crt, cert: admin.crt, key: admin.key }\n`);
  const led = await cli(['task', 'list', '--json'], { HOLDFAST_CONFIG: single });
  expect([led.status, JSON.parse(led.out)], 'the command line follows').toEqual([0, await pair.json('task', 'list')]);

  const tls = async (folder: string, name: string) => {
    const at = (file: string) => readFile(join(pair.directory, folder, file));
    return credentials.createSsl(await at('ca.crt'), await at(`${name}.key`), await at(`${name}.crt`));
  };
  const session = async (folder: string, name: string) => {
    const agent = new AgentServiceClient(follower.address, await tls(folder, name));
    const error = await new Promise<ServiceError>((done) => {
      agent
        .session()
        .on('error', done as (error: Error) => void)
        .on('data', () => undefined);
    });
    agent.close();
    return faultIn(error);
  };
  expect(await session('nodes/mn1', 'node')).toMatchObject({ code: 'NOT_LEADER', details: { leader: leader.address } });
  expect(await session('admin', 'admin')).toMatchObject({ code: 'FORBIDDEN', details: {} });

  const health = async (address: string, service: string) => {
    const client = new Client(address, await tls('admin', 'admin'));
    const { path, requestSerialize, responseDeserialize } = healthService['Check'] as NonNullable<(typeof healthService)[string]>;
    const said = await new Promise((done, failed) => {
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service }, (error, value) =>
        error === null ? done(value) : failed(error),
      );
    });
    client.close();
    return said;
  };
  for (const service of ['holdfast.v1.AdminService', 'holdfast.v1.AgentService']) {
    expect(await health(leader.address, service)).toEqual({ status: 'SERVING' });
    expect(await health(follower.address, service)).toEqual({ status: 'NOT_SERVING' });
  }
  expect(await health(follower.address, '')).toEqual({ status: 'SERVING' });
});

test('a leader that is stopped leaves the lead, and the other has it at once', async () => {
  const old = await pair.leader();
  const next = pair.other(old);
  await connected();
  const stopped = old.end('SIGTERM');
  // The lease would have stood for up to six seconds more.
  expect(await takesOver(next)).toBeLessThan(4000);
  await stopped;
  expect(old.said()).toContain('controller stopped');
  await connected();
  old.start();
  await follows(old, next);
});

test('both are killed and started again: one leads, the catalogue is as it was, the agents are back', async () => {
  const before = await pair.json('run', 'list');
  await Promise.all(pair.controllers.map((each) => each.end('SIGKILL')));
  const { exitCode, stderr } = await pair.holdfast('run', 'list');
  expect([exitCode, stderr]).toEqual([6, expect.stringContaining('reach the controller')]);
  for (const each of pair.controllers) each.start();
  await pair.leader();
  await connected();
  expect(await pair.json('run', 'list')).toEqual(before);
});

test('PostgreSQL is restarted under the leader: it goes on, and a backup is good', async () => {
  await pair.leader();
  await server.halt();
  await server.begin();
  const leader = await pair.leader();
  await follows(pair.other(leader), leader);
  const backup = await backupInProgress();
  await backup.goOn();
  await restoredAndCompared(await ended(backup.id));
}, 120_000);

test('PostgreSQL is away for longer than the lease: nobody leads, all say so, and one leads when it is back', async () => {
  await pair.leader();
  await server.halt();
  try {
    await vi.waitFor(
      async () => {
        for (const each of pair.controllers) {
          expect(faultIn(await each.ask())).toMatchObject({ code: 'NOT_LEADER', details: {} });
        }
      },
      { timeout: 30_000, interval: 200 },
    );
    const answer = await pair.controllers[0].ask();
    expect(answer?.details).toContain('cannot see who does');
  } finally {
    await server.begin();
  }
  await pair.leader();
  await connected();
}, 120_000);
