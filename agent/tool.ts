/** Runs the tools of the sources (pg_dump, slapcat, …): their own words in the error, killed with all their children when stopped. */
import { access } from 'node:fs/promises';
import { execa } from 'execa';
import { AppError } from '#common/errors.ts';

export interface ToolRun {
  /** What is being done, for messages: "dump the database oms". */
  readonly doing: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Added to a minimal environment (PATH, HOME, LANG=C.UTF-8): passwords go here or in files, never into args. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
  /** Default: two hours, as for a dump. */
  readonly timeoutMs?: number;
  readonly signal: AbortSignal;
  /** Output and input as bytes in latin1 instead of UTF-8: for file names, which may be anything. */
  readonly latin1?: boolean;
  /** Exit statuses that are no error; default only 0. */
  readonly accept?: readonly number[];
}

export interface ToolResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** What of a tool's output is kept in an error: its last lines hold the reason. */
const STDERR_TAIL = 2000;
const OUTPUT_LIMIT = 16 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 7_200_000;

/** @throws AppError TOOL (missing, failed, killed), TIMEOUT, STOPPED. */
export async function runTool(run: ToolRun): Promise<ToolResult> {
  // A tool that ignores SIGTERM, or leaves children behind, must not outlive the run: it gets a process group of its own.
  // Nor may it outlive a killed agent, whose restart would dump beside it: the kernel kills it then (setpriv, of util-linux).
  const child = execa('setpriv', ['--pdeathsig', 'KILL', '--', run.command, ...run.args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/', LANG: 'C.UTF-8', ...run.env },
    extendEnv: false,
    reject: false,
    detached: true,
    stripFinalNewline: false,
    maxBuffer: OUTPUT_LIMIT,
    ...(run.cwd === undefined ? {} : { cwd: run.cwd }),
    ...(run.latin1 === true ? { encoding: 'latin1' } : {}),
    ...(run.input === undefined
      ? { stdin: 'ignore' }
      : { input: run.latin1 === true ? Buffer.from(run.input, 'latin1') : run.input }),
  });
  const timeoutMs = run.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const limit = AbortSignal.timeout(timeoutMs);
  const stop = AbortSignal.any([run.signal, limit]);
  const onAbort = () => killGroup(child.pid);
  stop.addEventListener('abort', onAbort, { once: true });
  if (stop.aborted) onAbort();
  try {
    const result = await child;
    if (run.signal.aborted) throw new AppError('STOPPED', `${run.doing}: stopped`);
    if (limit.aborted) {
      throw new AppError('TIMEOUT', `${run.doing}: ${run.command} did not end within ${timeoutMs} ms and was killed`);
    }
    if (result.isMaxBuffer) {
      throw new AppError('TOOL', `${run.doing}: ${run.command} wrote more than ${OUTPUT_LIMIT} bytes, and was killed`);
    }
    if (result.code === 'ENOENT') throw await notStarted(run);
    // 127 and setpriv's own voice: it could not execute the tool.
    if (result.exitCode === 127 && result.stderr.startsWith('setpriv: ')) throw notInstalled(run.doing, run.command);
    if (result.exitCode === undefined || !(run.accept ?? [0]).includes(result.exitCode)) {
      const how =
        result.signal === undefined
          ? `ended with ${result.exitCode ?? result.originalMessage}`
          : `was killed by ${result.signal}`;
      throw new AppError('TOOL', `${run.doing}: ${run.command} ${how}: ${result.stderr.trim().slice(-STDERR_TAIL)}`);
    }
    return { stdout: result.stdout, stderr: result.stderr, exitCode: result.exitCode };
  } finally {
    stop.removeEventListener('abort', onAbort);
  }
}

/** Node says ENOENT of both: a program that is not there, and a directory to start it in that is not. */
async function notStarted({ doing, cwd }: ToolRun): Promise<AppError> {
  if (cwd === undefined || (await exists(cwd))) return notInstalled(doing, 'setpriv');
  return new AppError('NOT_FOUND', `${doing}: there is no directory ${cwd} to run it in`);
}

function notInstalled(doing: string, tool: string): AppError {
  const hint =
    tool === 'setpriv' ? 'Install the package util-linux.' : "Install it, or set its path in the agent's configuration.";
  return new AppError('TOOL', `${doing}: the tool ${tool} is not installed on this node`, { hint });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** SIGKILL at once: dumps hold nothing worth a farewell, and a hung tool would not hear SIGTERM. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // ESRCH: it ended by itself in the meantime.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
