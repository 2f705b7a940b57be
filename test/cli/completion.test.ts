import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli, startFake } from './fake-controller.ts';
import type { FakeController } from './fake-controller.ts';
import { task } from './samples.ts';

let root: string;
let fake: FakeController;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'holdfast-completion-'));
  fake = await startFake();
  fake.answers = { listTasks: () => ({ tasks: [task()], nextPageToken: '' }) };
  await symlink(resolve('scripts/holdfast'), join(root, 'holdfast'));
  await writeFile(join(root, 'script'), (await cli(['completion', 'bash'])).out);
});
afterAll(async () => {
  await fake[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

async function complete(...words: string[]): Promise<string[]> {
  const program = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _holdfast; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const env = { PATH: `${root}${delimiter}${process.env['PATH']}`, HOLDFAST_CONFIG: fake.config };
  const { stdout } = await execa('bash', ['-c', program, join(root, 'script'), 'holdfast', ...words], { env });
  return stdout.split('\n').filter((word) => word !== '');
}

describe('completion in bash', () => {
  test('is a script that bash takes', async () => {
    await execa('bash', ['-n', join(root, 'script')]);
    expect((await cli(['completion', 'zsh'])).out).toMatch(/^autoload -U \+X bashcompinit/);
  });

  test.each([
    [['ta'], ['task']],
    [['task', 'un'], ['unlock']],
    [['task', 'run', 'nightly', '--w'], ['--wait']],
    [['--json', 'set', 've'], ['verify']],
    [['restore', 'plan', '--source', 'Lda'], ['LdapServer']],
    [['completion', 'z'], ['zsh']],
  ])('completes %j to %j', async (words, expected) => {
    expect(await complete(...words)).toEqual(expected);
  });

  test('completes names of tasks that the controller knows', async () => {
    expect(await complete('task', 'show', 'n')).toEqual(['nightly']);
  });
});

test('a command that succeeds says nothing on standard error, not even by Node', async () => {
  const { stdout, stderr } = await execa('scripts/holdfast', ['task', 'list', '--config', fake.config]);
  expect(stdout).toContain('nightly');
  expect(stderr).toBe('');
});

test('a shell that is not known is refused', async () => {
  expect(await cli(['completion', 'fish'])).toMatchObject({ status: 2, out: '' });
});
