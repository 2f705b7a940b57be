import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test } from 'vitest';

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

test('an option that is not known is bad input', async () => {
  const { exitCode, stderr } = await execa('scripts/install-deps.sh', ['--without', 'java'], { stdin: 'ignore', reject: false });
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(/^usage: /);
});
