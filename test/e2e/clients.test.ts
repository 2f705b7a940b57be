/** Clients with nothing of ours: a real grpcurl, by reflection alone, and Python's grpcio, from the .proto files. */
import { access, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { address, directory } from './cluster.ts';

/** The newest that Debian 12's Go 1.19 builds. */
const GRPCURL = 'github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.8.9';
const GRPCIO = '1.76.0';
const cache = join(process.env['HOLDFAST_CACHE'] ?? join(homedir(), '.cache', 'holdfast'), 'clients');
const admin = join(directory, 'admin');
const file = (name: string) => join(admin, name);

const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

describe('grpcurl', () => {
  beforeAll(async () => {
    await mkdir(cache, { recursive: true });
    if (!(await isThere(join(cache, 'bin/grpcurl'))))
      await execa('go', ['install', GRPCURL], { env: { GOBIN: join(cache, 'bin') } });
  }, 300_000);

  async function grpcurl(method: string, request?: unknown): Promise<unknown> {
    const tls = ['-cacert', file('ca.crt'), '-cert', file('admin.crt'), '-key', file('admin.key')];
    const data = request === undefined ? [] : ['-d', JSON.stringify(request)];
    const { stdout } = await execa(join(cache, 'bin/grpcurl'), [...tls, ...data, address, ...method.split(' ')]);
    // A stream prints one document after another.
    return method.startsWith('list') ? stdout : (JSON.parse(`[${stdout.replaceAll(/^\}\n\{/gm, '},{')}]`) as unknown);
  }

  test('lists the services without our code', async () => {
    const services = await grpcurl('list');
    expect(services).toContain('holdfast.v1.AdminService');
    expect(services).toContain('grpc.health.v1.Health');
  });

  test('is told by the health service that the controller serves', async () => {
    expect(await grpcurl('grpc.health.v1.Health/Check', {})).toEqual([{ status: 'SERVING' }]);
  });

  test('creates a task, runs it, watches it, lists its set', async () => {
    const spec = {
      name: 'by_grpcurl',
      // The NameNode's takes some seconds: time enough to be watched.
      sources: [
        { policy: 'BACKUP_POLICY_FULL', oms: {} },
        { policy: 'BACKUP_POLICY_FULL', nameNode: {} },
      ],
      target: { localDir: {} },
      copies: 1,
      manual: {},
    };
    await grpcurl('holdfast.v1.AdminService/CreateTask', { requestId: 'grpcurl-create', spec });
    const [started] = (await grpcurl('holdfast.v1.AdminService/RunTask', { name: 'by_grpcurl' })) as [{ run: { id: string } }];
    const watched = (await grpcurl('holdfast.v1.AdminService/WatchRun', { id: started.run.id })) as { run: { state: string } }[];
    expect(watched.length, 'it was watched while it ran, not only at its end').toBeGreaterThan(1);
    expect(watched.at(-1)?.run.state).toBe('RUN_STATE_SUCCESSFUL');
    const [{ sets }] = (await grpcurl('holdfast.v1.AdminService/ListSets', { task: 'by_grpcurl' })) as [
      { sets: { state: string; files: { source: string }[] }[] },
    ];
    expect(sets.map((set) => [set.state, set.files.map(({ source }) => source)])).toEqual([
      ['SET_STATE_COMPLETE', ['OMS', 'NameNode']],
    ]);
  });
});

describe('Python', () => {
  let stubs: string;
  const python = join(cache, `grpcio-${GRPCIO}/bin/python`);
  beforeAll(async () => {
    stubs = await mkdtemp(join(tmpdir(), 'holdfast-stubs-'));
    if (!(await isThere(python))) {
      const environment = join(cache, `grpcio-${GRPCIO}`);
      await execa('python3', ['-m', 'venv', environment]);
      await execa(python, ['-m', 'pip', 'install', '--quiet', `grpcio==${GRPCIO}`, `grpcio-tools==${GRPCIO}`]);
    }
    const protos = ['types', 'agent', 'admin'].map((name) => `holdfast/v1/${name}.proto`);
    await execa(python, ['-m', 'grpc_tools.protoc', '-Iproto', `--python_out=${stubs}`, `--grpc_python_out=${stubs}`, ...protos]);
  }, 300_000);
  afterAll(() => rm(stubs, { recursive: true, force: true }));

  test('creates a task, runs it, watches it, lists its set, and is refused bad input with a status', async () => {
    const { stdout } = await execa(python, ['test/e2e/python_client.py', address, admin, stubs, 'by_python']);
    expect(JSON.parse(stdout)).toEqual({
      watched: true,
      end: 'RUN_STATE_SUCCESSFUL',
      sets: [{ state: 'SET_STATE_COMPLETE', files: ['LdapServer'] }],
      refusal: 'INVALID_ARGUMENT',
    });
  });
});
