import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AppError, ERROR_CODES } from '#common/errors.ts';
import type { ErrorCode } from '#common/errors.ts';
import { Agent } from '#common/gen/holdfast/v1/admin.ts';
import { RunState } from '#common/gen/holdfast/v1/types.ts';
import type { Source } from '#common/gen/holdfast/v1/types.ts';
import { cli, startFake } from './fake-controller.ts';
import type { FakeController } from './fake-controller.ts';
import { AT, run, set, task } from './samples.ts';

let fake: FakeController;
beforeAll(async () => {
  fake = await startFake();
});
afterAll(() => fake[Symbol.asyncDispose]());
beforeEach(() => {
  fake.requests.clear();
  fake.answers = {};
});
const { RUN_STATE_SUCCESSFUL, RUN_STATE_FAILED, RUN_STATE_RUNNING, RUN_STATE_STOPPED } = RunState;

describe('a list', () => {
  test('is a table for people', async () => {
    fake.answers = { listTasks: () => ({ tasks: [task()], nextPageToken: '' }) };
    const { status, out } = await fake.run('task', 'list');
    expect(status).toBe(0);
    expect(out.split('\n')[0]).toMatch(/^TASK +STATE +MODE +SOURCES +KEEPS +WANTED AGE +NEXT START +LAST RUN$/);
    expect(out.split('\n')[1]).toMatch(
      /^nightly +ready +every 1d +OMS, DBService +3 copies +2d \(two periods\) +2026-11-25T09:30:00Z +-$/,
    );
  });

  test('is one JSON document for programs: long integers as strings, times in RFC 3339, null when not yet', async () => {
    fake.answers = { listSets: () => ({ sets: [set()], nextPageToken: '' }) };
    const [one] = JSON.parse((await fake.run('set', 'list', '--json')).out);
    expect(one).toMatchObject({ id: 's1', state: 'complete', created: '2026-11-24T09:30:00Z', verified: null });
    expect(one.files[0].contentBytes).toBe('9007199254740993');
  });

  test('that is empty is an empty array', async () => {
    fake.answers = { listRuns: () => ({ runs: [], nextPageToken: '' }) };
    expect(JSON.parse((await fake.run('run', 'list', '--json')).out)).toEqual([]);
  });

  test.each([
    ['task list', { listTasks: () => ({ tasks: [], nextPageToken: '' }) }, 'no tasks'],
    ['run list', { listRuns: () => ({ runs: [], nextPageToken: '' }) }, 'no runs'],
    ['set list', { listSets: () => ({ sets: [], nextPageToken: '' }) }, 'no backup file sets'],
    ['restore list', { listRestores: () => ({ restores: [], nextPageToken: '' }) }, 'no restores'],
  ])('that is empty says so: %s', async (words, answers, sentence) => {
    fake.answers = answers;
    expect(await fake.run(...words.split(' '))).toEqual({ status: 0, out: '', err: `${sentence}\n` });
    expect(await fake.run(...words.split(' '), '--json')).toEqual({ status: 0, out: '[]\n', err: '' });
  });

  describe.each(['run', 'set'])('%s list of a task', (noun) => {
    const none = () => {
      throw new AppError('NOT_FOUND', 'no');
    };
    const nothing = {
      listRuns: () => ({ runs: [], nextPageToken: '' }),
      listSets: () => ({ sets: [], nextPageToken: '' }),
      getTask: none,
      getRestore: none,
    };
    const list = (...more: string[]) => fake.run(noun, 'list', '--task', 'nope', ...more);

    test.each([[[]], [['--json']]])('whose name nobody knows is not found, with %j', async (more) => {
      fake.answers = nothing;
      const { status, out, err } = await list(...more);
      expect({ status, out }).toEqual({ status: 3, out: '' });
      expect(err).toMatch(/^error: no task or restore is named "nope".*\nnext: .*holdfast task list/);
    });

    test('that exists, and has none yet, is told as none', async () => {
      fake.answers = { ...nothing, getTask: () => ({ task: task() }) };
      const { status, out, err } = await list();
      expect({ status, out }).toEqual({ status: 0, out: '' });
      expect(err).toMatch(/^no .*s of nope$/m);
    });

    test('of which only a restore, a run or a set has the name is told as none or listed', async () => {
      for (const known of [
        { getRestore: () => ({ restore: undefined }) },
        { listRuns: () => ({ runs: [run(RUN_STATE_FAILED)], nextPageToken: '' }) },
        { listSets: () => ({ sets: [set()], nextPageToken: '' }) },
      ]) {
        fake.answers = { ...nothing, ...known };
        expect((await list()).status).toBe(0);
      }
    });
  });

  test('is fetched page by page to its end', async () => {
    fake.answers = {
      listTasks: ({ pageToken }: { pageToken: string }) => ({
        tasks: [task({ lastRunId: `after "${pageToken}"` })],
        nextPageToken: pageToken === '' ? 'two' : '',
      }),
    };
    const tasks = JSON.parse((await fake.run('task', 'list', '--json')).out) as { lastRunId: string }[];
    expect(tasks.map(({ lastRunId }) => lastRunId)).toEqual(['after ""', 'after "two"']);
  });
});

describe('what is shown', () => {
  test('is not spoilt by one record with an absurd time', async () => {
    fake.answers = { listTasks: () => ({ tasks: [task({ nextStartMs: 10n ** 18n }), task()], nextPageToken: '' }) };
    const { status, out } = await fake.run('task', 'list');
    expect(status).toBe(0);
    expect(out).toContain('2026-11-25T09:30:00Z');
    expect((await fake.run('task', 'list', '--json')).status).toBe(0);
  });

  test('has the same JSON fields whether a time is known or not', async () => {
    const manual = task({ nextStartMs: 0n, spec: { ...task().spec!, mode: { $case: 'manual', value: {} } } });
    fake.answers = { listTasks: () => ({ tasks: [task(), manual], nextPageToken: '' }) };
    const [periodic, other] = JSON.parse((await fake.run('task', 'list', '--json')).out);
    expect(Object.keys(other)).toEqual(Object.keys(periodic));
    expect(other).toMatchObject({ mode: 'manual', start: null, nextStart: null, periodSeconds: null });
  });

  test('is null in JSON where it is not there, whatever its type', async () => {
    const narrow: Source = { policy: 1, kind: { $case: 'nameNode', value: { nameService: '' } } };
    fake.answers = {
      listTasks: () => ({ tasks: [task({ spec: { ...task().spec!, sources: [narrow] } })], nextPageToken: '' }),
      listRuns: () => ({ runs: [run(RUN_STATE_SUCCESSFUL, { setId: '' })], nextPageToken: '' }),
      getAgent: () => ({ agent: Agent.fromPartial({ node: 'mn2', managementRole: 'standby' }) }),
      listRunLog: () => ({ lines: [{ timeMs: AT, level: 'info', source: '', message: 'begun' }], nextPageToken: '' }),
      getConfig: () => ({ settings: [{ name: 'address', value: '', defaultValue: '', meaning: 'Where.' }] }),
    };
    const json = async (words: string): Promise<unknown> =>
      JSON.parse((await fake.run(...words.split(' '), '--json')).out) as unknown;
    expect(await json('task list')).toMatchObject([
      { lastRunId: null, keepSeconds: null, wantedAgeSeconds: null, daily: 0, sources: [{ nameService: null }] },
    ]);
    expect(await json('run list')).toMatchObject([{ setId: null, queuePosition: null }]);
    expect(await json('agent show mn2')).toMatchObject({ version: null, vault: null, lastSeen: null });
    expect(await json('run log r1')).toMatchObject([{ source: null, message: 'begun' }]);
    expect(await json('config show')).toMatchObject([{ value: null, defaultValue: null, differs: false }]);
  });

  test('of a run that stored nothing is no set: there is none', async () => {
    fake.answers = { getRun: () => ({ run: run(RUN_STATE_FAILED) }) };
    expect((await fake.run('run', 'show', 'r1')).out).not.toMatch(/^set /m);
    const { sources } = run(RUN_STATE_FAILED);
    const [one] = set().files;
    fake.answers = { getRun: () => ({ run: run(RUN_STATE_FAILED, { sources: sources.map((of) => ({ ...of, file: one })) }) }) };
    expect((await fake.run('run', 'show', 'r1')).out).toMatch(/^set +s1$/m);
  });

  test('of a task is what each source is narrowed to', async () => {
    fake.answers = { getTask: () => ({ task: task() }) };
    expect((await fake.run('task', 'show', 'nightly')).out).toMatch(/^sources +OMS, DBService \(hivemeta\)$/m);
  });
});

test('space tells of a vault that is away, and when it was last seen', async () => {
  const vault = { totalBytes: 40_000_000_000n, freeBytes: 30_000_000_000n, usedByBackupsBytes: 5_000_000_000n };
  const mn1 = { node: 'mn1', managementRole: 'active', vault, spool: undefined, connected: true, lastSeenMs: AT };
  const away = { node: 'mn2', managementRole: 'standby', vault: undefined, spool: undefined, connected: false, lastSeenMs: AT };
  fake.answers = { getSpace: () => ({ nodes: [mn1, away, { ...away, node: 'mn3', lastSeenMs: 0n }] }) };
  const { out } = await fake.run('space');
  expect(out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['NODE', 'CONNECTED', 'ROLE', 'VAULT', 'FREE', 'BACKUPS', 'SPOOL FREE', 'LAST SEEN'],
    ['mn1', 'yes', 'active', '40 GB', '30 GB', '5 GB', '-', '2026-11-24T09:30:00Z'],
    ['mn2', 'no', 'standby', '-', '-', '-', '-', '2026-11-24T09:30:00Z'],
    ['mn3', 'no', 'standby', '-', '-', '-', '-', '-'],
    [''],
  ]);
  expect(JSON.parse((await fake.run('space', '--json')).out)[2]).toMatchObject({ vault: null, connected: false, lastSeen: null });
});

describe('a task', () => {
  test('is created from the options', async () => {
    fake.answers = { createTask: () => ({ task: task() }) };
    const args = ['--source', 'oms', '--source', 'DBService', '--database', 'hivemeta', '--every', '12h', '--copies', '5'];
    const { status } = await fake.run('task', 'create', 'nightly', ...args, '--start', '2026-11-24T17:30:00+08:00');
    expect(status).toBe(0);
    expect(fake.requests.get('createTask')).toMatchObject([
      {
        requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        spec: {
          name: 'nightly',
          copies: 5,
          sources: [{ kind: { $case: 'oms' } }, { kind: { $case: 'dbService', value: { databases: ['hivemeta'] } } }],
          mode: { $case: 'periodic', value: { periodSeconds: 43_200n, startMs: AT } },
        },
      },
    ]);
  });

  test('that is modified keeps what was not named', async () => {
    fake.answers = { getTask: () => ({ task: task() }), modifyTask: () => ({ task: task() }) };
    await fake.run('task', 'modify', 'nightly', '--copies', '7');
    const spec = task().spec;
    const retention = { keepSeconds: 0n, daily: 0, weekly: 0, monthly: 0 };
    expect(fake.requests.get('modifyTask')).toMatchObject([{ spec: { ...spec, copies: 7, retention } }]);
  });

  test.each([
    [['--source', 'HBase'], /the source "HBase" is not known/],
    [['--source', 'OMS', '--source', 'oms'], /named twice/],
    [[], /has no source/],
    [['--source', 'OMS', '--every', 'soon'], /"soon" is not a duration/],
    [['--source', 'OMS', '--every', '1d', '--start', '2026-02-31T00:00:00Z'], /is not a time/],
    [['--source', 'OMS', '--every', '1d', '--manual'], /--manual and --every exclude each other/],
    [['--source', 'OMS', '--database', 'x'], /--database is of the source DBService/],
    [['--source', 'OMS', '--policy', 'often'], /the policy "often" is not known/],
    [['--source', 'OMS', '--target', 'NFS'], /the target "NFS" is not known/],
    [['--source', 'OMS', '--copies', 'two'], /not a whole number/],
    [['--sauce', 'OMS'], /unknown option '--sauce'/],
  ])('with %j is refused before anything is sent', async (options, message) => {
    const { status, err, out } = await fake.run('task', 'create', 'nightly', ...options);
    expect(status).toBe(2);
    expect(err).toMatch(message);
    expect(err).toMatch(/^next: ./m);
    expect(out).toBe('');
    expect(fake.requests.size).toBe(0);
  });
});

describe('an error of the controller', () => {
  test.each(Object.keys(ERROR_CODES) as ErrorCode[])(
    '%s is shown in its own words and ends with its own status',
    async (code) => {
      fake.answers = {
        getTask: () => {
          throw new AppError(code, 'do it to nightly: no', { hint: 'do that first' });
        },
      };
      const { status, out, err } = await fake.run('task', 'show', 'nightly');
      expect({ status, out, err }).toEqual({
        status: ERROR_CODES[code].exit,
        out: '',
        err: 'error: do it to nightly: no\nnext: do that first\n',
      });
    },
  );

  test('a controller that is not there: 6, with its address', async () => {
    await using gone = await startFake();
    await gone[Symbol.asyncDispose]();
    await using other = await startFake();
    const yaml = await readFile(other.config, 'utf8');
    await writeFile(other.config, yaml.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1'));
    const { status, err } = await other.run('space');
    expect(status).toBe(6);
    expect(err).toMatch(/^error: reach the controller 127\.0\.0\.1:1: .*ECONNREFUSED/);
    expect(err).toMatch(/^next: Check that `holdfast controller` runs/m);
  });

  test('a host that takes connections and says nothing: 6, after 10 s', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    await using other = await startFake();
    const yaml = await readFile(other.config, 'utf8');
    const { port } = silent.address() as AddressInfo;
    await writeFile(other.config, yaml.replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${port}`));
    const env = { HOLDFAST_CONFIG: other.config };
    const { exitCode, stderr } = await execa('scripts/holdfast', ['space'], {
      env,
      reject: false,
      stdin: 'ignore',
      timeout: 20_000,
    });
    silent.close();
    expect(exitCode).toBe(6);
    expect(stderr).toMatch(/^error: reach the controller .*: no answer within 10 s\nnext: Check/);
  });

  test('no configuration anywhere: 3, and what to do', async () => {
    const { status, err } = await cli(['space'], { HOME: '/nonexistent' });
    expect(status).toBe(3);
    expect(err).toMatch(/next: Name the client\.yaml .* --config FILE or HOLDFAST_CONFIG/);
  });
});

describe('--wait', () => {
  const fault = { code: 'NO_SPACE', message: 'store OMS: the vault is full', hint: 'Free some.' };

  test('follows the run to its end: progress on standard error, the run on standard output', async () => {
    fake.answers = {
      runTask: () => ({ run: run(RUN_STATE_RUNNING) }),
      watchRun: () => [{ run: run(RUN_STATE_RUNNING) }, { run: run(RUN_STATE_SUCCESSFUL) }],
    };
    const { status, out, err } = await fake.run('task', 'run', 'nightly', '--wait');
    expect(status).toBe(0);
    expect(err).toMatch(/^OMS +running: store 250 MB of 1 GB, 25 %, 50 MB\/s$/m);
    expect(out).toMatch(/^state +successful$/m);
    expect(out).toMatch(/^took +1m 05s$/m);
  });

  test.each([
    [RUN_STATE_FAILED, fault, 9, /error: the run r1 of nightly failed: store OMS: the vault is full\nnext: Free some\./],
    [RUN_STATE_FAILED, undefined, 5, /next: Read: holdfast run log r1/],
    [RUN_STATE_STOPPED, undefined, 5, /error: the run r1 of nightly was stopped/],
  ])('a run that ends in state %i with fault %j ends with a status of its own', async (state, given, exit, message) => {
    fake.answers = {
      startRestore: () => ({ run: run(RUN_STATE_RUNNING) }),
      watchRun: () => [{ run: run(state, { fault: given }) }],
    };
    const { status, out, err } = await fake.run('restore', 'start', 'back', '--yes', '--wait', '--json');
    expect(status).toBe(exit);
    expect(err).toMatch(message);
    expect(JSON.parse(out)).toMatchObject({ id: 'r1' });
  });

  test('goes on when the controller restarts', async () => {
    let watched = 0;
    fake.answers = {
      runTask: () => ({ run: run(RUN_STATE_RUNNING) }),
      watchRun: () => {
        if (watched++ > 0) return [{ run: run(RUN_STATE_SUCCESSFUL) }];
        setImmediate(() => void fake.restart());
        return new Promise(() => undefined);
      },
    };
    const { status, err } = await fake.run('task', 'run', 'nightly', '--wait');
    expect(err).toContain('the controller is away; the run goes on without it');
    expect(err).toContain('the controller is back');
    expect(status).toBe(0);
  });

  test('interrupted leaves the run running and says so', async () => {
    const interrupt = new AbortController();
    fake.answers = {
      watchRun: () => {
        interrupt.abort(new AppError('STOPPED', 'interrupted'));
        return new Promise(() => undefined);
      },
    };
    const { status, err } = await cli(['run', 'watch', 'r1'], { HOLDFAST_CONFIG: fake.config }, interrupt.signal);
    expect(status).toBe(130);
    expect(err).toContain('The run r1 goes on. Follow it: holdfast run watch r1. Stop it: holdfast run stop r1.');
    expect(fake.requests.has('stopRun')).toBe(false);
  });
});

describe('a set', () => {
  test('that is damaged fails its verification with 8', async () => {
    fake.answers = {
      getSet: () => ({ set: set() }),
      verifySet: () => ({ set: set(), faults: ['mn2: OMS: SHA-256 differs'], readBytes: 5n }),
    };
    const { status, out, err } = await fake.run('set', 'verify', 's1', '--wait', '--json');
    expect(status).toBe(8);
    expect(JSON.parse(out)).toMatchObject({ faults: ['mn2: OMS: SHA-256 differs'], readBytes: '5' });
    expect(err).toMatch(/error: the set s1 is damaged/);
  });

  test('of which a copy was found damaged says of which source, where, and what was found', async () => {
    const damaged = [{ source: 'OMS', node: 'mn2', fault: 'SHA-256 differs' }];
    fake.answers = { getSet: () => ({ set: set({ damaged }) }) };
    expect((await fake.run('set', 'show', 's1')).out).toMatch(/^damaged +OMS on mn2: SHA-256 differs$/m);
  });
});

describe('a plan', () => {
  test('that holds a refusal is shown and ends with 4', async () => {
    const source = {
      source: 'NameNode',
      node: 'dn1',
      steps: ['stage'],
      overwrites: ['/name'],
      mustBeStopped: ['NameNode'],
      refusals: ['a NameNode runs on /name'],
      warnings: [],
      neededBytes: 5n,
      freeBytes: 10n,
    };
    fake.answers = { planRestore: () => ({ plan: { setId: 's1', sources: [source], refusals: [], warnings: ['old'] } }) };
    const { status, out, err } = await fake.run('restore', 'plan', 's1');
    expect(status).toBe(4);
    expect(out).toMatch(/REFUSED:\n +- a NameNode runs on \/name/);
    expect(err).toMatch(/cannot be started: NameNode: a NameNode runs on \/name/);
  });
});

describe('a destructive act without a person', () => {
  test.each([
    ['task', 'delete', 'deleteTask', {}],
    ['set', 'delete', 'deleteSet', { set: set() }],
    ['restore', 'start', 'startRestore', { run: run(RUN_STATE_RUNNING) }],
  ])('%s %s asks for --yes, and with it is done', async (noun, verb, method, answer) => {
    fake.answers = { [method]: () => answer };
    const refused = await fake.run(noun, verb, 'x');
    expect(refused.status).toBe(4);
    expect(refused.err).toMatch(/next: Add --yes/);
    expect(fake.requests.size).toBe(0);
    expect((await fake.run(noun, verb, 'x', '--yes')).status).toBe(0);
    expect(fake.requests.get(method)).toHaveLength(1);
  });
});
