/** Finds PostgreSQL's tools. Those of the server's own version fit best; older ones than the server refuse to work. */
import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '#common/errors.ts';
import { runTool } from '../../tool.ts';

export type PostgresTool = 'psql' | 'pg_dump' | 'pg_restore' | 'pg_isready';

/** Where Debian and Red Hat install one directory per major version. */
const INSTALLED = [
  { parent: '/usr/lib/postgresql', pattern: /^(\d+)$/ },
  { parent: '/usr', pattern: /^pgsql-(\d+)$/ },
] as const;

export interface ToolVersion {
  readonly major: number;
  /** "15.18" */
  readonly text: string;
}

/** undefined: PATH. `serverMajor` undefined: the server was not asked yet, and any psql will do for that. */
export async function findToolsDirectory(serverMajor: number | undefined): Promise<string | undefined> {
  const found: { major: number; directory: string }[] = [];
  for (const { parent, pattern } of INSTALLED) {
    for (const name of await namesIn(parent)) {
      const major = Number(pattern.exec(name)?.[1]);
      const directory = join(parent, name, 'bin');
      if (major > 0 && (await exists(join(directory, 'pg_dump')))) found.push({ major, directory });
    }
  }
  found.sort((a, b) => b.major - a.major);
  return (found.find(({ major }) => major === serverMajor) ?? found[0])?.directory;
}

export function toolPath(directory: string | undefined, tool: PostgresTool): string {
  return directory === undefined ? tool : join(directory, tool);
}

export async function toolVersion(path: string, signal: AbortSignal): Promise<ToolVersion> {
  const { stdout } = await runTool({
    doing: `ask ${path} for its version`,
    command: path,
    args: ['--version'],
    timeoutMs: 30_000,
    signal,
  });
  const match = /(\d+)(?:\.\d+)*(?:devel|beta\d+|rc\d+)?/.exec(stdout);
  if (match === null)
    throw new AppError('TOOL', `ask ${path} for its version: it answered ${JSON.stringify(stdout.slice(0, 200))}`);
  return { major: Number(match[1]), text: match[0] };
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
