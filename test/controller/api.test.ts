import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Metadata, credentials, status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { AdminServiceClient, AdminServiceService } from '#common/gen/holdfast/v1/admin.ts';
import type { TaskSpec } from '#common/gen/holdfast/v1/admin.ts';
import { BackupPolicy } from '#common/gen/holdfast/v1/types.ts';
import type { Source } from '#common/gen/holdfast/v1/types.ts';
import { createAuthority, issueCertificate } from '#common/certificates.ts';
import { systemClock } from '#common/clock.ts';
import { grpcChannelCredentials } from '#common/tls.ts';
import { OMS, promised, refusalOf, startCluster, taskSpec, until } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import { vaultFacts } from './fake-agent.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ defaultTask: { enabled: true } });
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

const create = (spec: TaskSpec | undefined, requestId = '') => cluster.admin().createTask({ requestId, spec });
const names = async () => (await cluster.admin().listTasks({ pageSize: 0, pageToken: '' })).tasks.map((task) => task.spec?.name);

const policy = BackupPolicy.BACKUP_POLICY_FULL;
const nameNode = (nameService: string): Source => ({ policy, kind: { $case: 'nameNode', value: { nameService } } });
const dbService = (databases: string[]): Source => ({ policy, kind: { $case: 'dbService', value: { databases } } });

describe('a task that is no good', () => {
  test.each<[string, Partial<TaskSpec>, RegExp]>([
    ['a short name', { name: 'ab' }, /name of a task is 3 to 128/],
    ['a name that leads out', { name: '../../etc' }, /name of a task is 3 to 128/],
    ['a name with NUL', { name: 'abc\0d' }, /name of a task is 3 to 128/],
    ['no copies', { copies: 0 }, /copies is 1 to/],
    ['copies below nothing', { copies: -1 }, /copies is 1 to/],
    ['no sources', { sources: [] }, /one data source or more/],
    [
      'an unknown source',
      { sources: [{ policy: BackupPolicy.BACKUP_POLICY_FULL, kind: undefined }] },
      /data source 1 is missing or of an unknown kind/,
    ],
    ['a source twice', { sources: [OMS, OMS] }, /OMS stands twice/],
    [
      'an incremental OMS',
      { sources: [{ ...OMS, policy: BackupPolicy.BACKUP_POLICY_FULL_THEN_INCREMENTAL }] },
      /OMS takes the policy FULL only/,
    ],
    ['an unknown target', { target: undefined }, /target is missing or unknown/],
    ['no mode', { mode: undefined }, /mode is missing/],
    [
      'a period of 120 s',
      { mode: { $case: 'periodic', value: { startMs: 0n, periodSeconds: 120n } } },
      /period is more than 120 s/,
    ],
    [
      'a period that no number holds',
      { mode: { $case: 'periodic', value: { startMs: 0n, periodSeconds: 2n ** 62n } } },
      /period is at most 366 days/,
    ],
    [
      'a start that no date holds',
      { mode: { $case: 'periodic', value: { startMs: 2n ** 63n - 1n, periodSeconds: 3600n } } },
      /before the year 10000/,
    ],
    ['an age that no answer holds', { wantedAgeSeconds: 2n ** 63n - 1n }, /wanted age .* at most 100 years/],
    [
      'an age to keep that no answer holds',
      { retention: { keepSeconds: 2n ** 63n - 1n, daily: 0, weekly: 0, monthly: 0 } },
      /age up to which sets are kept .* at most 100 years/,
    ],
    ['an endless NameService with NUL', { sources: [nameNode('a\0'.repeat(1_000_000))] }, /NameService of NameNode is 1 to 255/],
    ['50,000 databases', { sources: [dbService(Array.from({ length: 50_000 }, (_, n) => `db${n}`))] }, /at most 100 databases/],
    ['a database twice', { sources: [dbService(['hivemeta', 'hivemeta'])] }, /"hivemeta" stands twice/],
  ])('%s: refused, nothing made', async (_what, changes, why) => {
    const before = await names();
    const error = await refusalOf(create(taskSpec('good_name', changes)));
    expect([error.code, error.details]).toEqual([status.INVALID_ARGUMENT, expect.stringMatching(why)]);
    expect(await names()).toEqual(before);
  });

  test('is told all its faults at once', async () => {
    const incremental = { ...OMS, policy: BackupPolicy.BACKUP_POLICY_FULL_EVERY_N };
    const error = await refusalOf(create(taskSpec('x', { copies: 0, sources: [incremental], target: undefined })));
    for (const why of [/name of a task/, /copies/, /FULL only/, /target/]) expect(error.details).toMatch(why);
  });

  test('carries its fault with code and hint in a trailer', async () => {
    const error = await refusalOf(create(taskSpec('x')));
    const [trailer] = error.metadata.get('holdfast-fault-bin');
    expect(JSON.parse(String(trailer))).toEqual({ code: 'INVALID', message: error.details, hint: expect.stringMatching(/./) });
  });
});

describe('a request id', () => {
  test('repeated gives the first answer and makes nothing twice', async () => {
    const first = await create(taskSpec('made_once'), 'id-1');
    cluster.clock.advance(5000);
    expect(await create(taskSpec('made_once'), 'id-1')).toEqual(first);
    expect((await names()).filter((name) => name === 'made_once')).toHaveLength(1);
  });

  test('used for another request is refused', async () => {
    await create(taskSpec('made_second'), 'id-2');
    const error = await refusalOf(create(taskSpec('made_third'), 'id-2'));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(await names()).not.toContain('made_third');
  });

  test('is not needed, and a second task of a name is refused', async () => {
    await create(taskSpec('twice_named'));
    expect((await refusalOf(create(taskSpec('twice_named')))).code).toBe(status.ALREADY_EXISTS);
  });
});

describe('every mutation', () => {
  test('repeated with its request id gives its first answer, and with another meaning is refused', async () => {
    const api = cluster.admin();
    await api.createTask({ requestId: '', spec: taskSpec('repeated') });
    const twice = async <T extends { requestId: string }>(call: (request: T) => Promise<unknown>, request: T, other: T) => {
      const first = await call(request);
      expect(await call(request)).toEqual(first);
      expect((await refusalOf(call(other))).code).toBe(status.INVALID_ARGUMENT);
    };
    const named = (requestId: string, name = 'repeated') => ({ requestId, name });
    const modified = (copies: number) => ({ requestId: 'modify', spec: taskSpec('repeated', { copies }) });
    await twice(api.modifyTask, modified(3), modified(4));
    await twice(api.lockTask, named('lock'), named('lock', 'default'));
    await twice(api.unlockTask, named('unlock'), named('unlock', 'default'));
    await twice(api.runTask, named('run'), named('run', 'default'));
    const { runs } = await api.listRuns({ task: 'repeated', pageSize: 0, pageToken: '' });
    expect(runs).toHaveLength(1);
    const id = runs[0]?.id ?? '';
    await twice(api.stopRun, { requestId: 'stop', id }, { requestId: 'stop', id: 'another' });
    await twice(api.deleteTask, named('delete'), named('delete', 'default'));
    expect((await refusalOf(api.runTask(named('run', 'default')))).code).toBe(status.INVALID_ARGUMENT);
  });

  test('is refused with a request id that is no id but a text', async () => {
    expect((await refusalOf(create(taskSpec('long_id'), 'x'.repeat(201)))).code).toBe(status.INVALID_ARGUMENT);
    expect(await names()).not.toContain('long_id');
  });
});

describe('an agent', () => {
  test('is shown with the facts of its host, from its Hello and each heartbeat, the space of its vault and of its spool', async () => {
    const host = {
      hostname: 'mn9.example',
      os: 'Debian 12',
      kernel: '6',
      cpus: 2,
      memoryBytes: 4n,
      freeMemoryBytes: 3n,
      loadPercent: 0.5,
      uptimeSeconds: 9n,
      clockMs: 1n,
      bootId: '60b2f2a9',
      spool: { totalBytes: 20n, freeBytes: 10n, usedByBackupsBytes: 0n },
    };
    const agent = await cluster.agent('mn2', { vault: vaultFacts('mn2'), host });
    const shown = async () => (await cluster.admin().getAgent({ node: 'mn2' })).agent;
    expect(await shown()).toMatchObject({ connected: true, managementRole: 'standby', host, sources: [] });
    await until(async () => {
      // Again and again: the agent's own heartbeats say otherwise in between.
      agent.say({ $case: 'heartbeat', value: { host, vault: vaultFacts('mn2', 7n) } });
      const { nodes } = await cluster.admin().getSpace({});
      expect(nodes.map(({ node, vault, spool }) => [node, vault?.freeBytes, spool?.freeBytes])).toEqual([
        ['mn1', undefined, undefined],
        ['mn2', 7n, 10n],
      ]);
    });
    agent.leave();
    await until(async () => expect((await shown())?.connected).toBe(false));
  });

  test('that is away has a row without figures among the space, and one that never came too', async () => {
    const agent = await cluster.agent('mn2', { vault: vaultFacts('mn2') });
    const space = async () => (await cluster.admin().getSpace({})).nodes;
    await until(async () =>
      expect((await space())[1]).toMatchObject({ connected: true, vault: { freeBytes: expect.anything() } }),
    );
    agent.leave();
    await until(async () => expect((await space())[1]?.connected).toBe(false));
    const nothing = { vault: undefined, spool: undefined, connected: false };
    expect(await space()).toEqual([
      { node: 'mn1', managementRole: 'active', ...nothing, lastSeenMs: 0n },
      { node: 'mn2', managementRole: 'standby', ...nothing, lastSeenMs: expect.any(BigInt) },
    ]);
    expect((await space())[1]?.lastSeenMs).toBeGreaterThan(0n);
  });
});

describe('the task default', () => {
  test('exists from the start with the four sources, every 24 h, two copies', async () => {
    const { task } = await cluster.admin().getTask({ name: 'default' });
    expect(task).toMatchObject({
      system: true,
      spec: { copies: 2, mode: { $case: 'periodic', value: { periodSeconds: 86_400n } } },
    });
    expect(task?.spec?.sources.map(({ kind }) => kind?.$case)).toEqual(['oms', 'ldapServer', 'dbService', 'nameNode']);
  });

  test('is never deleted', async () => {
    const error = await refusalOf(cluster.admin().deleteTask({ requestId: '', name: 'default' }));
    expect(error.code).toBe(status.FAILED_PRECONDITION);
    expect(await names()).toContain('default');
  });

  test('starts when it would have, when something else than its period is modified', async () => {
    const { task } = await cluster.admin().getTask({ name: 'default' });
    cluster.clock.advance(3_600_000);
    const { task: after } = await cluster.admin().modifyTask({ requestId: '', spec: { ...task!.spec!, copies: 5 } });
    expect(after).toMatchObject({ nextStartMs: task?.nextStartMs, spec: { copies: 5 } });
  });

  test('keeps what was modified of it over a restart', async () => {
    await cluster.admin().modifyTask({ requestId: '', spec: taskSpec('default', { copies: 5 }) });
    await cluster.stop();
    await cluster.start();
    const { task } = await cluster.admin().getTask({ name: 'default' });
    expect(task?.spec).toMatchObject({ copies: 5, sources: [OMS], mode: { $case: 'manual' } });
  });
});

describe('what is not there', () => {
  test.each(['getTask', 'runTask', 'lockTask'] as const)('%s says so', async (method) => {
    const error = await refusalOf(cluster.admin()[method]({ requestId: '', name: 'no_such_task' }));
    expect([error.code, error.details]).toEqual([status.NOT_FOUND, expect.stringContaining('no_such_task')]);
  });

  test.each([
    ['task', () => cluster.admin().getTask({ name: 'nowhere' })],
    ['run', () => cluster.admin().getRun({ id: 'nowhere' })],
    ['restore', () => cluster.admin().getRestore({ name: 'nowhere' })],
    ['agent', () => cluster.admin().getAgent({ node: 'nowhere' })],
    ['agent', () => cluster.admin().forgetAgent({ requestId: '', node: 'nowhere' })],
  ])('a %s names the command that lists what is', async (kind, ask) => {
    const [trailer] = (await refusalOf(ask())).metadata.get('holdfast-fault-bin');
    expect(JSON.parse(String(trailer))).toMatchObject({
      code: 'NOT_FOUND',
      hint: expect.stringContaining(`holdfast ${kind} list`),
    });
  });

  test('a run that is watched', async () => {
    const error = await new Promise<ServiceError>((resolve) => {
      const watching = cluster.client().watchRun({ id: 'nowhere' });
      watching.on('data', () => undefined);
      watching.on('error', (failed: ServiceError) => resolve(failed));
    });
    expect(error.code).toBe(status.NOT_FOUND);
    expect(error.metadata.get('holdfast-fault-bin')).toHaveLength(1);
  });
});

describe('lists', () => {
  test('come in pages, each entry once, and a token that is none is refused', async () => {
    const seen: (string | undefined)[] = [];
    let pageToken = '';
    do {
      const page = await cluster.admin().listTasks({ pageSize: 2, pageToken });
      expect(page.tasks.length).toBeLessThanOrEqual(2);
      seen.push(...page.tasks.map((task) => task.spec?.name));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(seen).toEqual(await names());
  });

  test.each(['listTasks', 'listRuns', 'listSets', 'listRestores', 'listAgents', 'listAlarms'] as const)(
    '%s refuses a token that is none, and pages that are too large or negative',
    async (method) => {
      const ask = (pageSize: number, pageToken: string) =>
        cluster.admin()[method]({ pageSize, pageToken, task: '', history: false });
      expect((await refusalOf(ask(0, 'x; DROP TABLE runs'))).code).toBe(status.INVALID_ARGUMENT);
      expect((await refusalOf(ask(1001, ''))).code).toBe(status.INVALID_ARGUMENT);
      expect((await refusalOf(ask(-1, ''))).code).toBe(status.INVALID_ARGUMENT);
    },
  );
});

describe('a caller', () => {
  const listWith = (client: AdminServiceClient) => promised(client).listTasks({ pageSize: 0, pageToken: '' });

  test('with 5 MiB to say is refused', async () => {
    const before = await names();
    const error = await refusalOf(create(taskSpec('x'.repeat(5 * 1024 * 1024))));
    expect([error.code, error.details]).toEqual([status.RESOURCE_EXHAUSTED, expect.stringMatching(/larger than max/)]);
    expect(await names()).toEqual(before);
  });

  test.each(['agent', 'controller'] as const)('with the certificate of an %s may call nothing', async (role) => {
    const client = new AdminServiceClient(cluster.address(), grpcChannelCredentials(await cluster.files('dn1', role)));
    const api = promised(client);
    for (const method of Object.keys(AdminServiceService) as (keyof typeof AdminServiceService)[]) {
      const request = AdminServiceService[method].requestDeserialize(Buffer.alloc(0));
      const asked =
        method === 'watchRun'
          ? new Promise((resolve, reject) => {
              client.watchRun({ id: 'x' }).on('data', resolve).on('end', resolve).on('error', reject);
            })
          : (api[method] as (of: unknown) => Promise<unknown>)(request);
      const error = await refusalOf(asked);
      expect([method, error.code, error.details]).toEqual([method, status.PERMISSION_DENIED, expect.stringContaining('dn1')]);
    }
    client.close();
  });

  test('with a certificate of another CA gets no connection', async () => {
    const now = systemClock.now();
    const authority = await createAuthority({ commonName: 'stranger', days: 1, now });
    const { certPem, keyPem } = await issueCertificate(authority, {
      commonName: 'operator',
      role: 'admin',
      hosts: [],
      days: 1,
      now,
    });
    const { ca } = await cluster.files('operator', 'admin');
    const stranger = grpcChannelCredentials({ ca, cert: Buffer.from(certPem), key: Buffer.from(keyPem) });
    const client = new AdminServiceClient(cluster.address(), stranger);
    expect((await refusalOf(listWith(client))).code).toBe(status.UNAVAILABLE);
    client.close();
  });

  test('without TLS gets no connection', async () => {
    const client = new AdminServiceClient(cluster.address(), credentials.createInsecure());
    const error = await refusalOf(
      new Promise((resolve, reject) => {
        const deadline = { deadline: systemClock.now() + 10_000 };
        client.listTasks({ pageSize: 0, pageToken: '' }, new Metadata(), deadline, (failed, answer) =>
          failed ? reject(failed) : resolve(answer),
        );
      }),
    );
    expect(error.code).toBe(status.UNAVAILABLE);
    client.close();
  });
});

describe('a session', () => {
  test('is not opened by an administrator', async () => {
    const { connectAgent } = await import('./fake-agent.ts');
    const files = await cluster.files('operator', 'admin');
    const error = await refusalOf(connectAgent(cluster.address(), files, { node: 'operator', clock: cluster.clock }));
    expect(error.code).toBe(status.PERMISSION_DENIED);
  });

  test('is not opened by an agent that names another node than its certificate', async () => {
    const { connectAgent } = await import('./fake-agent.ts');
    const files = await cluster.files('dn1', 'agent');
    const error = await refusalOf(connectAgent(cluster.address(), files, { node: 'mn1', clock: cluster.clock }));
    expect([error.code, error.details]).toEqual([status.PERMISSION_DENIED, expect.stringContaining('mn1')]);
    const { agent } = await cluster.admin().getAgent({ node: 'mn1' });
    expect(agent?.connected).toBe(false);
  });
});
