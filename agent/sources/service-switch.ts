/**
 * The switch of a service whose whole state is directories (slapd, a NameNode): stop it, put the staged directories in place of the old
 * ones, start it. And back: by the same process when something fails, by the next one when this one dies.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError, toAppError } from '#common/errors.ts';
import { runTool } from '../tool.ts';
import { commitPlacement, placedSchema, placementSteps, removeStaged, undoPlacement } from './configuration/placement.ts';
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
}

export const commandSchema = z.array(z.string().min(1)).min(1);

const undoSchema = z.strictObject({
  placed: z.array(placedSchema),
  /** Whether it ran before, and is to run again. */
  ran: z.boolean(),
});
type Switch = z.infer<typeof undoSchema>;

type CommandIo = Pick<SourceIo, 'workDirectory' | 'signal'>;

export async function startService({ name, start, timeoutMs }: Service, io: CommandIo): Promise<void> {
  if (start !== undefined) await runCommand(`start ${name}`, start, timeoutMs, io);
}

export async function stopService({ name, stop, timeoutMs }: Service, io: CommandIo): Promise<void> {
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

/** `ran`: whether the service runs before the switch. */
export async function switchDirectories(
  service: Service,
  placed: readonly Placed[],
  ran: boolean,
  saveUndo: (undo: UndoRecord) => Promise<void>,
  io: SourceIo,
): Promise<void> {
  await saveUndo({ switch: JSON.stringify({ placed, ran } satisfies { placed: readonly Placed[]; ran: boolean }) });
  await stopService(service, io);
  for (const step of placed.flatMap(placementSteps)) {
    io.signal.throwIfAborted();
    await step();
  }
}

/** The old state back in place and, when it ran before, running. Repeatable; goes on although the run was stopped. */
export async function undoSwitch(service: Service, undo: UndoRecord, io: SourceIo): Promise<void> {
  const { placed, ran } = decodeSwitch(undo);
  const steady = { ...io, signal: new AbortController().signal };
  // It may be half started on the new state. One that cannot be stopped must not keep the old state from coming back.
  await orWarn(io, `stop ${service.name}`, () => stopService(service, steady));
  for (const one of placed.toReversed()) await undoPlacement(one);
  if (ran) await startService(service, steady);
}

function decodeSwitch(undo: UndoRecord): Switch {
  const parsed = undoSchema.safeParse(JSON.parse(undo['switch'] ?? 'null'));
  if (!parsed.success) throw new AppError('DAMAGED', `the journal of a restore cannot be read: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** The new state is in place and whole: an old one that cannot be removed is told, and no failure. */
export async function commitSwitch(placed: readonly Placed[], io: SourceIo): Promise<void> {
  for (const one of placed) await orWarn(io, `remove the replaced ${one.old}`, () => commitPlacement(one));
}

export async function removeAllStaged(placed: readonly Placed[], io: SourceIo): Promise<void> {
  for (const one of placed.toReversed()) await orWarn(io, `remove ${one.staged}`, () => removeStaged(one));
}
