import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let bin: string;
beforeEach(async () => {
  bin = await mkdtemp(join(tmpdir(), 'holdfast-bin-'));
});
afterEach(() => rm(bin, { recursive: true, force: true }));

/** Stands before the machine's own command of that name. */
async function stub(name: string, body: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${body}\n`);
  await chmod(join(bin, name), 0o755);
}

test('a user who may not install is told what is missing, and nothing is done', async () => {
  await stub('id', 'echo 1000');
  await stub('sudo', 'exit 1');
  await stub('dpkg-query', 'case "$*" in *" slapd") exit 1 ;; *) echo installed ;; esac');
  await stub('apt-get', 'echo "apt-get was called" >&2; exit 1');
  await stub('npm', 'echo "npm was called" >&2; exit 1');
  const { exitCode, stderr } = await execa('scripts/install-deps.sh', ['--without', 'hdfs'], {
    env: { PATH: `${bin}${delimiter}${process.env['PATH']}` },
    stdin: 'ignore',
    reject: false,
  });
  expect(exitCode).toBe(69);
  expect(stderr).toBe(
    'error: these packages are missing: slapd\nnext: apt-get install --no-install-recommends slapd   (as root)',
  );
});

describe('while packages are installed', () => {
  const policy = () => join(bin, 'policy-rc.d');
  const install = () =>
    execa('scripts/install-deps.sh', ['--without', 'hdfs'], {
      env: { PATH: `${bin}${delimiter}${process.env['PATH']}`, POLICY_RC_D: policy() },
      stdin: 'ignore',
      reject: false,
    });
  const missing = (...names: string[]) =>
    stub('dpkg-query', `case "$*" in ${names.map((name) => `*" ${name}") exit 1 ;;`).join(' ')} *) echo installed ;; esac`);
  const exists = () => readFile(policy(), 'utf8').catch(() => 'gone');

  beforeEach(async () => {
    await stub('id', 'echo 0');
    await stub('npm', 'exit 0');
    // Nothing was installed: the next one who asks must not be told that it was.
    await stub('touch', 'exit 0');
    await stub('apt-get', `case "$1" in install) cp "${policy()}" "${policy()}.seen" ;; esac`);
    await missing('slapd');
  });

  test('no server is started, and afterwards servers are as before', async () => {
    expect((await install()).exitCode).toBe(0);
    const seen = await execa('sh', [`${policy()}.seen`], { reject: false });
    expect([seen.exitCode, await exists()]).toEqual([101, 'gone']);
  });

  test('a kill leaves what the next one removes, whether it has something to install or not', async () => {
    for (const names of [['slapd'], []]) {
      await stub('apt-get', 'case "$1" in install) kill -9 $PPID ;; esac');
      await missing('slapd');
      expect((await install()).signal).toBe('SIGKILL');
      expect(await exists()).toContain('exit 101');
      await stub('apt-get', 'exit 0');
      await missing(...names);
      expect((await install()).exitCode).toBe(0);
      expect(await exists()).toBe('gone');
    }
  });

  test('the policy of somebody else stays as it is', async () => {
    const own = '#!/bin/sh\nexit 101\n';
    await writeFile(policy(), own);
    expect((await install()).exitCode).toBe(0);
    await missing();
    expect((await install()).exitCode).toBe(0);
    expect(await exists()).toBe(own);
  });
});

test.each(['--help', '-h'])('%s explains, and does nothing', async (option) => {
  await stub('apt-get', 'echo "apt-get was called" >&2');
  await stub('npm', 'echo "npm was called" >&2');
  const { exitCode, stdout, stderr } = await execa('scripts/install-deps.sh', [option], {
    env: { PATH: `${bin}${delimiter}${process.env['PATH']}` },
  });
  expect([exitCode, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^usage: install-deps\.sh .*\nMakes this machine able/);
  expect(stdout).toMatch(/^ +--for-bench +also ssh/m);
});

test('an option that is not known is bad input', async () => {
  const { exitCode, stderr } = await execa('scripts/install-deps.sh', ['--without', 'java'], { stdin: 'ignore', reject: false });
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/^usage: /);
});
