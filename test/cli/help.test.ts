import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import type { Command } from 'commander';
import { systemClock } from '#common/clock.ts';
import { ERROR_CODES } from '#common/errors.ts';
import { createProgram } from '../../controller/cli/program.ts';
import { cli } from './fake-controller.ts';

const program = createProgram({
  out: process.stdout,
  err: process.stderr,
  interactive: false,
  env: {},
  clock: systemClock,
  signal: new AbortController().signal,
});
const leaves = (command: Command, path: string[]): string[][] =>
  command.commands.length === 0 ? [path] : command.commands.flatMap((child) => leaves(child, [...path, child.name()]));
const commands = leaves(program, []);
const manual = await readFile('docs/cli.md', 'utf8');

describe('the commands', () => {
  test('are these', () => {
    expect(commands.map((path) => path.join(' '))).toEqual([
      'init',
      ...['create', 'list', 'show', 'run', 'lock', 'unlock', 'modify', 'delete'].map((verb) => `task ${verb}`),
      ...['list', 'show', 'watch', 'stop', 'log'].map((verb) => `run ${verb}`),
      ...['list', 'show', 'verify', 'delete', 'pin', 'unpin', 'prune', 'import'].map((verb) => `set ${verb}`),
      ...['plan', 'create', 'start', 'list', 'show'].map((verb) => `restore ${verb}`),
      'agent list',
      'agent show',
      'agent forget',
      'space',
      'alarm list',
      'alarm test',
      'config show',
      'completion',
    ]);
  });

  test.each(commands.map((path) => path.join(' ')))('holdfast %s explains itself and stands in docs/cli.md', async (path) => {
    const { status, out } = await cli([...path.split(' '), '--help']);
    expect(status).toBe(0);
    expect(out).toContain(`Usage: holdfast ${path}`);
    expect(out.split('\n')[2]).toMatch(/^[A-Z].{10,}/);
    expect(manual).toContain(`holdfast ${path}`);
  });

  test.each([[['help']], [['help', 'task']], [['task', 'help', 'create']]])('%j explains like --help', async (args) => {
    const { status, out } = await cli(args);
    expect(status).toBe(0);
    expect(out).toMatch(/^Usage: holdfast/);
  });

  test('the first page names the daemons', async () => {
    const { out } = await cli(['--help']);
    expect(out).toMatch(/^ {2}controller +keeps the catalogue/m);
    expect(out).toMatch(/^ {2}agent +on every node/m);
  });

  test.each([[[]], [['task']], [['task', 'bogus']], [['bogus']], [['task', 'show']]])(
    '%j is bad input, with a next step',
    async (args) => {
      const { status, out, err } = await cli(args);
      expect({ status, out }).toEqual({ status: 2, out: '' });
      expect(err).toMatch(/^error: .+\nnext: .+$/m);
    },
  );
});

test('the table of exit statuses in docs/cli.md is that of the code', () => {
  const documented = Object.fromEntries(
    [...manual.matchAll(/^\| (\d+) \| ([A-Z_, ]+) \|/gm)].flatMap(([, exit, codes]) =>
      (codes ?? '').split(', ').map((code) => [code, Number(exit)]),
    ),
  );
  expect(documented).toEqual(Object.fromEntries(Object.entries(ERROR_CODES).map(([code, { exit }]) => [code, exit])));
});

test('the entry script runs the command line and passes its exit status on', async () => {
  const { exitCode, stdout, stderr } = await execa('scripts/holdfast', ['agent', 'show'], { reject: false, stdin: 'ignore' });
  expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  expect(stderr).toMatch(/^error: missing required argument 'node'\nnext: /);
});

test.each([
  ['help controller', 'Usage: holdfast controller '],
  ['controller --help', 'Usage: holdfast controller '],
  ['help agent', 'Usage: holdfast agent '],
  ['--help', 'Usage: holdfast '],
])('the entry script: holdfast %s explains', async (args, usage) => {
  const { exitCode, stdout, stderr } = await execa('scripts/holdfast', args.split(' '), { reject: false, stdin: 'ignore' });
  expect([exitCode, stderr, stdout.slice(0, usage.length)]).toEqual([0, '', usage]);
});

/** Both read the file named first, and differ in what they do not know of it. */
test.each([
  ['agent --config CLIENT', /: stateDirectory: /],
  ['--config CLIENT agent', /: stateDirectory: /],
  ['--config CLIENT agent forget dn1', /needs a yes/],
  ['agent --config CLIENT forget dn1', /needs a yes/],
])('the entry script: holdfast %s goes where its words say', async (args, message) => {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-entry-'));
  const client = join(directory, 'client.yaml');
  await writeFile(client, 'controller: localhost:1\n');
  const words = args.replace('CLIENT', client).split(' ');
  const { stderr } = await execa('scripts/holdfast', words, { reject: false, stdin: 'ignore' });
  await rm(directory, { recursive: true });
  expect(stderr).toMatch(message);
});

test.each([
  ['agent', 2, /a command is missing\nnext: /],
  ['agent --config /nowhere', 3, /^error: read the configuration \/nowhere: ENOENT/],
  ['agent --config /nowhere list', 3, /^error: read the configuration \/nowhere: ENOENT/],
  ['agent --json show x --config /nowhere', 3, /^error: read the configuration \/nowhere: ENOENT/],
  ['agent --config /nowhere forget dn1 --yes', 3, /^error: read the configuration \/nowhere: ENOENT/],
  ['--config /nowhere agent forget dn1 --yes', 3, /^error: read the configuration \/nowhere: ENOENT/],
  ['agent --config=/nowhere --bogus', 2, /^error: unknown option '--bogus'/],
  ['controller --config /nowhere', 3, /^error: read the configuration \/nowhere: ENOENT/],
  ['--config /nowhere controller', 3, /^error: read the configuration \/nowhere: ENOENT/],
  ['--config controller controller', 2, /^error: read the configuration controller: EISDIR/],
  ['--config /nowhere controller export /tmp/never', 3, /^error: read the configuration \/nowhere: ENOENT/],
  ['controller', 2, /^error: required option '--config <file>' not specified/],
])('the entry script: holdfast %s ends with %i', async (args, status, message) => {
  const { exitCode, stderr } = await execa('scripts/holdfast', args.split(' '), { reject: false, stdin: 'ignore' });
  expect(exitCode).toBe(status);
  expect(stderr).toMatch(message);
});
