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
  const setting = { name: 'limits.waitingRuns', value: '199', defaultValue: '199', meaning: 'Runs that may wait.' };
  fake.answers = {
    listTasks: () => ({ tasks: [task()], nextPageToken: '' }),
    getConfig: () => ({ settings: [setting] }),
  };
  await symlink(resolve('scripts/holdfast'), join(root, 'holdfast'));
  for (const shell of ['bash', 'zsh']) await writeFile(join(root, shell), (await cli(['completion', shell])).out);
});
afterAll(async () => {
  await fake[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

async function complete(...words: string[]): Promise<string[]> {
  const program = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _holdfast; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const env = { PATH: `${root}${delimiter}${process.env['PATH']}`, HOLDFAST_CONFIG: fake.config };
  const { stdout } = await execa('bash', ['-c', program, join(root, 'bash'), 'holdfast', ...words], { env });
  return stdout.split('\n').filter((word) => word !== '');
}

describe('completion in bash', () => {
  test('is a script that bash takes', async () => {
    await execa('bash', ['-n', join(root, 'bash')]);
  });

  test.each([
    [['ta'], ['task']],
    [['task', 'un'], ['unlock']],
    [['task', 'run', 'nightly', '--w'], ['--wait']],
    [['--json', 'set', 've'], ['verify']],
    [['restore', 'plan', '--source', 'Lda'], ['LdapServer']],
    [['completion', 'z'], ['zsh']],
    [['task', 'modify', 'nightly', '--when-late', 'r'], ['run-once']],
    [['set', 'pr'], ['prune']],
    [['set', 'prune', '--dr'], ['--dry-run']],
    [['config', 'show', 'limits.w'], ['limits.waitingRuns']],
    [['task', 'run', 'weekly', 'n'], ['nightly']],
    [
      ['task', 'create', 'x', '--policy', 'full'],
      ['full', 'full-then-incremental', 'full-every-n'],
    ],
    [['task', 'create', 'x', '--target', ''], ['LocalDir']],
    [['task', 'create', 'x', '--source', 'N'], ['NameNode']],
    [['task', 'create', 'x', '--database', ''], []],
    [['task', 'create', 'x', '--name-service', ''], []],
    [['restore', 'create', 'x', '--source', 'O'], ['OMS']],
    [
      ['controller', ''],
      ['export', 'import', '--config', '--help'],
    ],
    [['--config', 'x', 'controller', 'e'], ['export']],
    [
      ['controller', 'export', '--'],
      ['--config', '--help'],
    ],
    [['controller', 'import', 'package-lo'], ['package-lock.json']],
    [['controller', '--config', 'package-lo'], ['package-lock.json']],
  ])('completes %j to %j', async (words, expected) => {
    expect(await complete(...words)).toEqual(expected);
  });

  test('knows every word of the daemon', async () => {
    const { stdout } = await execa('scripts/holdfast', ['controller', '--help']);
    const commands = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name).filter((name) => name !== 'help');
    const options = [...stdout.matchAll(/^ {2}(?:-., )?(--[a-z]+)/gm)]
      .map(([, flag]) => flag)
      .filter((flag) => flag !== '--version');
    expect((await complete('controller', '')).toSorted()).toEqual([...commands, ...options].map(String).toSorted());
  });

  test('completes names of tasks that the controller knows', async () => {
    expect(await complete('task', 'show', 'n')).toEqual(['nightly']);
  });
});

/** A person's zsh on a terminal of its own: types, presses the tab key, and has the line printed as it stands then. */
test.each([
  ['holdfast ta', 'holdfast task'],
  ['holdfast task show n', 'holdfast task show nightly'],
  ['holdfast restore plan --source Lda', 'holdfast restore plan --source LdapServer'],
])('completion in zsh makes of %j %j', async (typed, expected) => {
  const program = `
    zmodload zsh/zpty
    zpty shell env PS1= zsh -f
    zpty -w shell 'bindkey -e; autoload -U compinit; compinit -u -d $ROOT/dump; source $ROOT/zsh; print "re""ady"'
    zpty -r shell said '*ready*'
    zpty -w -n shell "$TYPED"$'\\t\\C-aprint -r -- so: \\n'
    zpty -r shell said "*so: $EXPECTED*"
    zpty -d shell`;
  const PATH = `${root}${delimiter}${process.env['PATH']}`;
  const env = { PATH, ROOT: root, HOLDFAST_CONFIG: fake.config, TYPED: typed, EXPECTED: expected };
  await execa('zsh', ['-f', '-c', program], { env, timeout: 20_000, stdin: 'ignore' });
});

test('a command that succeeds says nothing on standard error, not even by Node', async () => {
  const { stdout, stderr } = await execa('scripts/holdfast', ['task', 'list', '--config', fake.config]);
  expect(stdout).toContain('nightly');
  expect(stderr).toBe('');
});

test('a shell that is not known is refused', async () => {
  expect(await cli(['completion', 'fish'])).toMatchObject({ status: 2, out: '' });
});
