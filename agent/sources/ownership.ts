/** Whose a directory is. By name: the user `openldap` may have another number on the node of the restore. */
import { z } from 'zod';
import { runTool } from '../tool.ts';

/** user:group and octal mode. */
export const ownershipSchema = z.strictObject({ owner: z.string(), mode: z.string().regex(/^[0-7]+$/) });
export type Ownership = z.infer<typeof ownershipSchema>;

export async function ownershipOf(path: string, signal: AbortSignal): Promise<Ownership> {
  const { stdout } = await runTool({
    doing: `look at ${path}`,
    command: 'stat',
    args: ['-L', '-c', '%U\n%u\n%G\n%g\n%a', '--', path],
    signal,
  });
  const [user = '', uid = '', group = '', gid = '', mode = ''] = stdout.split('\n');
  // A number without a name is all that is known of it.
  const named = (name: string, id: string) => (name === 'UNKNOWN' ? id : name);
  return { owner: `${named(user, uid)}:${named(group, gid)}`, mode };
}

/** With all that lies in it. */
export async function giveTo({ owner, mode }: Ownership, path: string, signal: AbortSignal): Promise<void> {
  const doing = `give ${path} to ${owner}`;
  await runTool({ doing, command: 'chown', args: ['-R', '--', owner, path], signal });
  await runTool({ doing, command: 'chmod', args: [mode, '--', path], signal });
}
