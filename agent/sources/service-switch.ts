/**
 * The switch of a service whose whole state is directories (slapd, a NameNode): stop it, put the staged directories in place of the old
 * ones, start it. And back: by the same process when something fails, by the next one when this one dies.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError, toAppError } from '#common/errors.ts';
import { runTool } from '../tool.ts';
import {
  checkPlacement,
  commitPlacement,
  placedSchema,
  placementSteps,
  removeStaged,
  undoPlacement,
} from './configuration/placement.ts';
import type { Placed } from './configuration/placement.ts';
import { orWarn } from './postgres/or-warn.ts';
import type { SourceIo, UndoRecord } from './source.ts';

export interface Service {
  /** For messages: "slapd". */
  readonly name: string;
  /** Commands configured on the node; undefined: a person does it. */
  readonly start: readonly string[] | undefined;
  readonly stop: readonly string[] | undefined;
  readonly timeoutMs: number;
  /** Why it is held to run on one of these directories; undefined: it does not. */
  readonly running: (directories: readonly string[], signal: AbortSignal) => Promise<string | undefined>;
}

export const commandSchema = z.array(z.string().min(1)).min(1);

const undoSchema = z.strictObject({
  placed: z.array(placedSchema),
  /** Before: one that ran is to run again; one that lives elsewhere is neither stopped nor started, whatever it does. */
  service: z.enum(['running', 'stopped', 'elsewhere']),
});
type Switch = z.infer<typeof undoSchema>;

type Commands<Verb extends 'start' | 'stop'> = Pick<Service, 'name' | Verb | 'timeoutMs'>;
type CommandIo = Pick<SourceIo, 'workDirectory' | 'signal'>;

export async function startService({ name, start, timeoutMs }: Commands<'start'>, io: CommandIo): Promise<void> {
  if (start !== undefined) await runCommand(`start ${name}`, start, timeoutMs, io);
}

export async function stopService({ name, stop, timeoutMs }: Commands<'stop'>, io: CommandIo): Promise<void> {
  if (stop !== undefined) await runCommand(`stop ${name}`, stop, timeoutMs, io);
}

/** Its output goes to a file, not a pipe: a daemon that it starts keeps the pipe open, and we would wait for its end for ever. */
async function runCommand(doing: string, command: readonly string[], timeoutMs: number, io: CommandIo): Promise<void> {
  const output = join(io.workDirectory, 'service-output');
  try {
    const args = ['-c', 'exec "$@" >"$0" 2>&1 </dev/null', output, ...command];
    await runTool({ doing, command: 'sh', args, timeoutMs, signal: io.signal });
  } catch (error) {
    const failure = toAppError(error, doing);
    const said = (await readFile(output, 'utf8').catch(() => '')).trim().slice(-OUTPUT_TAIL);
    throw new AppError(failure.code, `${doing} by ${command.join(' ')}: ${failure.message}: ${said}`, {
      cause: failure,
      hint: failure.hint,
    });
  }
}

/** What of a command's output is kept in an error: its last lines hold the reason. */
const OUTPUT_TAIL = 2000;

/** `service` undefined: these directories are not those that the service uses, and it is not touched. */
export async function switchDirectories(
  service: Service | undefined,
  placed: readonly Placed[],
  saveUndo: (undo: UndoRecord) => Promise<void>,
  io: SourceIo,
): Promise<void> {
  const paths = placed.map(({ path }) => path);
  const before = service === undefined ? 'elsewhere' : await stateOf(service, paths, io);
  await saveUndo({ switch: JSON.stringify({ placed: [...placed], service: before } satisfies Switch) });
  if (service !== undefined) {
    await stopService(service, io);
    await requireStopped(service, paths, io);
  }
  for (const step of placed.flatMap(placementSteps)) {
    io.signal.throwIfAborted();
    await step();
  }
}

async function stateOf(service: Service, paths: readonly string[], io: SourceIo): Promise<'running' | 'stopped'> {
  return (await service.running(paths, io.signal)) === undefined ? 'stopped' : 'running';
}

/** A command that ends well and stops nothing: the service would go on in the old directories, and answer every check from them. */
async function requireStopped({ name, stop, running }: Service, paths: readonly string[], io: SourceIo): Promise<void> {
  const why = await running(paths, io.signal);
  if (why === undefined) return;
  throw new AppError('FAILED', `stop ${name}${stop === undefined ? '' : ` by ${stop.join(' ')}`}: it still runs: ${why}`, {
    hint: "Correct the command in the agent's configuration: it must return when the service has ended.",
  });
}

/** The old state back in place and, when it ran before, running. Repeatable; goes on although the run was stopped. */
export async function undoSwitch(service: Service, undo: UndoRecord, io: SourceIo): Promise<void> {
  const { placed, service: before } = decodeSwitch(undo);
  const steady = { ...io, signal: new AbortController().signal };
  const paths = placed.map(({ path }) => path);
  if (before !== 'elsewhere') {
    // It may be half started on the new state.
    await orWarn(io, `stop ${service.name}`, () => stopService(service, steady));
    await requireNotOnNewState(service, placed, steady);
  }
  for (const one of placed.toReversed()) await undoPlacement(one);
  if (before !== 'running') return;
  await startService(service, steady);
  if ((await stateOf(service, paths, steady)) === 'running') return;
  throw new AppError('FAILED', `the old state is in place, but ${service.name} was started and does not run`, {
    hint: 'Start it by hand, and see its log.',
  });
}

/** What a process runs on is not moved away beneath it: what it writes would be lost. */
async function requireNotOnNewState({ name, running }: Service, placed: readonly Placed[], io: SourceIo): Promise<void> {
  const onNew: Placed[] = [];
  for (const one of placed) if (await isInPlace(one)) onNew.push(one);
  if (onNew.length === 0) return;
  const why = await running(
    onNew.map(({ path }) => path),
    io.signal,
  );
  if (why === undefined) return;
  const back = placed.flatMap(({ path, old }) => [`mv ${path} ${path}.failed`, ...(old === null ? [] : [`mv ${old} ${path}`])]);
  throw new AppError(
    'UNKNOWN_STATE',
    `${name} runs on the restored state and cannot be stopped (${why}); end it by hand, then: ${back.join(' && ')}; and start it`,
  );
}

async function isInPlace(placed: Placed): Promise<boolean> {
  try {
    await checkPlacement(placed);
    return true;
  } catch (error) {
    if (error instanceof AppError && error.code === 'FAILED') return false;
    throw error;
  }
}

function decodeSwitch(undo: UndoRecord): Switch {
  const parsed = undoSchema.safeParse(JSON.parse(undo['switch'] ?? 'null'));
  if (!parsed.success) throw new AppError('DAMAGED', `the journal of a restore cannot be read: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** What the restore had replaced goes, when its agent died before it could remove that. Repeatable. */
export async function commitCutOff(undo: UndoRecord, io: SourceIo): Promise<void> {
  await commitSwitch(decodeSwitch(undo).placed, io);
}

/** The new state is in place and whole: an old one that cannot be removed is told, and no failure. */
export async function commitSwitch(placed: readonly Placed[], io: SourceIo): Promise<void> {
  for (const one of placed) await orWarn(io, `remove the replaced ${one.old}`, () => commitPlacement(one));
}

export async function removeAllStaged(placed: readonly Placed[], io: SourceIo): Promise<void> {
  for (const one of placed.toReversed()) await orWarn(io, `remove ${one.staged}`, () => removeStaged(one));
}
