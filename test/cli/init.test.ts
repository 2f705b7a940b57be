import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { agentConfigSchema, loadAgentConfig } from '../../agent/config.ts';
import { ALARM_TABLES } from '../../agent/sources/postgres/exclude.ts';
import { loadControllerConfig } from '../../controller/config.ts';
import { cli } from './fake-controller.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'holdfast-init-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const nodes = ['--active', 'mn1=10.0.0.1', '--standby', 'mn2=10.0.0.2:999', '--node', 'dn1'];
const make = (...more: string[]) => cli(['init', '--directory', join(root, 'made'), '--controller', 'ctl', ...nodes, ...more]);
const read = (path: string) => readFile(join(root, 'made', path), 'utf8');

describe('holdfast init', () => {
  test('makes everything, for its owner only', async () => {
    const { status, out } = await make();
    expect(status).toBe(0);
    expect(out).toContain('nodes/mn2/       copy to 10.0.0.2');
    const entries = await readdir(join(root, 'made'), { recursive: true });
    const ofNode = (node: string) =>
      ['agent.yaml', 'ca.crt', 'grant.pub', 'node.crt', 'node.key'].map((name) => `nodes/${node}/${name}`);
    const files = [
      ...['admin.crt', 'admin.key', 'ca.crt', 'client.yaml'].map((name) => `admin/${name}`),
      ...['ca.crt', 'ca.key'].map((name) => `ca/${name}`),
      ...['ca.crt', 'controller.crt', 'controller.key', 'controller.yaml', 'grant.key'].map((name) => `controller/${name}`),
      ...['dn1', 'mn1', 'mn2'].flatMap(ofNode),
    ];
    expect(entries.filter((name) => files.includes(name)).toSorted()).toEqual(files);
    for (const name of entries) {
      const { mode } = await stat(join(root, 'made', name));
      expect((mode & 0o777).toString(8), name).toBe(files.includes(name) ? '600' : '700');
    }
    expect(await readdir(root)).toEqual(['made']);
  });

  test('tells programs what it made in one JSON document', async () => {
    expect(JSON.parse((await make('--json')).out)).toMatchObject({
      directory: join(root, 'made'),
      controllers: [{ name: 'controller', host: 'ctl', port: 25_700 }],
      nodes: [{ name: 'mn1', host: '10.0.0.1' }, { name: 'mn2' }, { name: 'dn1', vault: null }],
    });
  });

  test('signs every certificate with its CA, for the name, role and host of each', async () => {
    await make();
    const ca = new X509Certificate(await read('ca/ca.crt'));
    for (const [path, subject, host] of [
      ['controller/controller.crt', 'CN=controller\nOU=controller', 'ctl'],
      ['nodes/mn1/node.crt', 'CN=mn1\nOU=agent', '10.0.0.1'],
      ['nodes/dn1/node.crt', 'CN=dn1\nOU=agent', 'dn1'],
      ['admin/admin.crt', 'CN=admin\nOU=admin', undefined],
    ] as const) {
      const certificate = new X509Certificate(await read(path));
      expect(certificate.verify(ca.publicKey), path).toBe(true);
      expect(certificate.subject).toBe(subject);
      if (host !== undefined) expect(certificate.subjectAltName).toContain(host);
    }
  });

  test('writes configurations that the daemons take', async () => {
    await make('--data-path', '/srv/x');
    const config = await loadControllerConfig(join(root, 'made/controller/controller.yaml'));
    expect(config).toMatchObject({ managementNodes: { active: 'mn1', standby: 'mn2' }, listen: { port: 25_700 } });
    const agent = await read('nodes/mn2/agent.yaml');
    expect(agent).toContain('directory: "/srv/x/LocalBackup"');
    expect(agent).toContain('url: "https://10.0.0.2:999"');
    expect(await read('nodes/dn1/agent.yaml')).not.toContain('vault:');
  });

  test('shows sources that the agent takes, and defaults that are those', async () => {
    await make();
    const starter = await read('nodes/dn1/agent.yaml');
    const [own = '', sources = ''] = starter.split('sources: {}\n');
    // As a person does it: the braces and the first # away, and then the # of each setting.
    const settings = sources.replaceAll(/^#/gm, '').replaceAll(/^( +)# ([A-Za-z]+: )/gm, '$1$2');
    const { oms, ...others } = agentConfigSchema.parse(parse(`${own}sources:\n${settings}`)).sources;
    expect(oms).toMatchObject({
      database: { excludeDataOf: ALARM_TABLES },
      catalogue: expect.stringMatching(/catalogue\.sqlite$/),
    });
    expect(Object.keys(others).toSorted()).toEqual(['dbService', 'ldapServer', 'nameNode']);
  });

  test('makes two controllers of one catalogue, that share the key for grants', async () => {
    const { out } = await make('--controller', 'ctl2:999');
    expect(out).toContain('controller-2/    copy to ctl2');
    expect(out).toContain('Name the database of the catalogue');
    expect(await read('controller-2/grant.key')).toBe(await read('controller/grant.key'));
    const second = new X509Certificate(await read('controller-2/controller.crt'));
    expect([second.subject, second.subjectAltName]).toEqual(['CN=controller-2\nOU=controller', 'DNS:ctl2']);
    const configs = await Promise.all(
      ['controller', 'controller-2'].map((name) => loadControllerConfig(join(root, 'made', name, 'controller.yaml'))),
    );
    expect(configs.map(({ address }) => address)).toEqual(['ctl:25700', 'ctl2:999']);
    expect(configs[0]?.catalogue).toEqual(configs[1]?.catalogue);
    expect(configs[0]?.catalogue).toMatchObject({ postgres: { database: 'holdfast', idleInTransaction: 5000 } });
    expect((await loadAgentConfig(join(root, 'made/nodes/dn1/agent.yaml'))).controller.addresses).toEqual([
      'ctl:25700',
      'ctl2:999',
    ]);
    expect(await read('admin/client.yaml')).toContain('controller: ["ctl:25700", "ctl2:999"]');
  });

  test('never overwrites: a second time is refused and changes nothing', async () => {
    await make();
    const before = await read('ca/ca.key');
    const { status, err } = await make();
    expect(status).toBe(4);
    expect(err).toMatch(/is not empty\nnext: Choose another --directory/);
    expect(await read('ca/ca.key')).toBe(before);
    expect(await readdir(root)).toEqual(['made']);
  });

  test.each([
    [['--node', '../x'], /a node is a name/],
    [['--node', 'MN1'], /named twice/],
    [['--node', 'dn2=host:5'], /only management nodes listen/],
    [['--standby', 'mn2=10.0.0.1'], /would listen on 10\.0\.0\.1:25701/],
    [['--controller', 'ctl:70000'], /not a port/],
    [['--controller', 'ctl:25700'], /two of them would listen on ctl:25700/],
    [['--days', '0'], /not a number of days/],
  ])('refuses %j and makes nothing', async (more, message) => {
    const { status, err } = await make(...more);
    expect(status).toBe(2);
    expect(err).toMatch(message);
    expect(await readdir(root)).toEqual([]);
  });

  test('says of a directory that is a file, or lies in one, to name a directory: 2', async () => {
    await writeFile(join(root, 'file'), 'kept');
    for (const name of ['file', 'file/made']) {
      const { status, err } = await cli(['init', '--directory', join(root, name), '--controller', 'ctl', '--active', 'mn1']);
      expect(err).toMatch(/^error: look into .*ENOTDIR.*\nnext: Name a directory/);
      expect(status).toBe(2);
    }
    expect(await readFile(join(root, 'file'), 'utf8')).toBe('kept');
  });

  test('says what it was making where that cannot be made', async () => {
    // Beside it stands, while it is built, a directory of a longer name.
    const directory = join(root, 'a'.repeat(250));
    const { status, err } = await cli(['init', '--directory', directory, '--controller', 'ctl', '--active', 'mn1']);
    expect(err.replace(directory, 'DIR')).toMatch(/^error: make DIR: ENAMETOOLONG.*\nnext: Name a shorter path/);
    expect(status).toBe(2);
    expect(await readdir(root)).toEqual([]);
  });
});
