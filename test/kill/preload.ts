/**
 * Loaded before a daemon (`node --import`): names its durable steps as they come, and kills it at the one that the test chose. The
 * daemons know nothing of it. A durable step is what outlives the process: a commit of the catalogue, a change of a name in a
 * directory, a statement that changes a server; and the start of a tool, which must not outlive it.
 *
 *   HOLDFAST_STEPS   file that each step's name is appended to
 *   HOLDFAST_KILL    file that says when to die, as soon as it is there: "before 3 commit runs", the third step of that name from then
 *                    on. It is removed with the process: the next start lives.
 */
import childProcess from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { appendFileSync, lstatSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { basename } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import { changesIn, inSpool, nameOf, promises } from './step-names.ts';

const log = process.env['HOLDFAST_STEPS'] ?? '/dev/null';
const order = process.env['HOLDFAST_KILL'] ?? '';
let seen = 0;

/** Tells whether this is the one to die after; does not return when it is the one to die before. */
function begin(step: string): boolean {
  appendFileSync(log, `${step}\n`);
  const [moment, count, ...rest] = orderNow().split(' ');
  if (step !== rest.join(' ') || ++seen !== Number(count)) return false;
  if (moment === 'before') die();
  return true;
}

function orderNow(): string {
  try {
    return readFileSync(order, 'utf8');
  } catch {
    return '';
  }
}

function die(): never {
  rmSync(order);
  process.kill(process.pid, 'SIGKILL');
  // SIGKILL of oneself is delivered before anything else is run.
  throw new Error('killed');
}

function existing(path: unknown): string | undefined {
  return lstatSync(String(path), { throwIfNoEntry: false }) === undefined ? undefined : String(path);
}

function isEmpty(path: unknown): boolean {
  return existing(path) !== undefined && readdirSync(String(path)).length === 0;
}

type AnyAsync = (...args: never[]) => Promise<unknown>;

/** `which`: what it changes, and undefined when that is nothing durable. */
function watchFiles(name: 'rename' | 'rm' | 'rmdir' | 'mkdir', which: (args: readonly unknown[]) => string | undefined): void {
  const original = files[name] as AnyAsync;
  const watched = async (...args: never[]) => {
    const path = which(args);
    if (path === undefined || inSpool(path)) return original(...args);
    const last = begin(`${name} ${nameOf(path)}`);
    const result = await original(...args);
    if (last) die();
    return result;
  };
  Object.assign(files, { [name]: watched });
}

watchFiles('rename', ([, to]) => String(to));
// What is not there cannot be removed, and what is there need not be made.
watchFiles('rm', ([path]) => existing(path));
watchFiles('rmdir', ([path]) => (isEmpty(path) ? String(path) : undefined));
watchFiles('mkdir', ([path]) => (existing(path) === undefined ? String(path) : undefined));

const { open } = files;
const watchedOpen = async (...args: Parameters<typeof open>) => {
  const [path, flags] = args;
  const creates = typeof flags === 'string' && /^[wa]/.test(flags) && !inSpool(String(path));
  const last = creates && begin(`create ${nameOf(path)}`);
  const file = await open(...args);
  if (last) die();
  return file;
};
Object.assign(files, { open: watchedOpen });

/** Tables that the transaction under way has written, of those that promise something: an empty one is no step. */
let written = new Set<string>();

const prepare: (this: DatabaseSync, sql: string) => StatementSync = Reflect.get(DatabaseSync.prototype, 'prepare');
DatabaseSync.prototype.prepare = function watchedPrepare(this: DatabaseSync, sql: string) {
  const statement = prepare.call(this, sql);
  const table = /^\s*(?:insert into|update|delete from) "(\w+)"/i.exec(sql)?.[1];
  const ends = /^\s*(?:commit|rollback)/i.test(sql);
  if (table === undefined && !ends) return statement;
  const run = statement.run.bind(statement);
  const watched = (...values: SQLInputValue[]) => {
    // An update or a deletion that finds nothing changes nothing: seen only when it has run.
    const step = `commit ${[...written].toSorted().join(' ')}`;
    const last = ends && written.size > 0 && begin(step);
    const result = run(...values);
    if (ends) written = new Set();
    else if (table !== undefined && promises(table) && Number(result.changes) > 0) written.add(table);
    if (last) die();
    return result;
  };
  return Object.assign(statement, { run: watched });
};

const { spawn } = childProcess;
const watchedSpawn = (command: string, args: readonly string[], options: childProcess.SpawnOptions) => {
  const tool = command.endsWith('setpriv') ? (args[args.indexOf('--') + 1] ?? command) : command;
  const last = begin(`spawn ${basename(tool)}`);
  // By which it is known as a tool of this daemon, with whatever it starts.
  const child = spawn(command, args, { ...options, env: { ...options.env, HOLDFAST_TOOL_OF: order } });
  // It stands still, so that nothing but the death of its agent can end it.
  if (last) {
    untilToolRuns(child);
    child.kill('SIGSTOP');
    die();
  }
  if (basename(tool) === 'psql') watchStatements(child);
  return child;
};

/** The way to the tool leads over setpriv, which asks the kernel to end it with its agent. */
function untilToolRuns({ pid }: ChildProcess): void {
  const isSetpriv = () => basename(readFileSync(`/proc/${pid}/comm`, 'utf8').trim()) === 'setpriv';
  while (isSetpriv());
}

/** Killed before psql has got them, or after it has ended well and before the agent knows. */
function watchStatements(child: ChildProcess): void {
  const { stdin } = child;
  if (stdin === null) return;
  const write = stdin.write.bind(stdin) as (...args: unknown[]) => boolean;
  const watched = (...args: unknown[]) => {
    const statements = changesIn(String(args[0]));
    if (statements !== '' && begin(`psql ${statements}`)) child.prependOnceListener('exit', die);
    return write(...args);
  };
  Object.assign(stdin, { write: watched });
}
Object.assign(childProcess, { spawn: watchedSpawn });
syncBuiltinESMExports();
