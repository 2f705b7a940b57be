/** Extended attributes and ACLs, by the tools of Debian's package attr: Node has no call for them. */
import { runTool } from '../tool.ts';
import type { Xattr } from './tar-header.ts';

/** Path, as bytes in latin1, to its attributes. */
export type XattrsOf = ReadonlyMap<string, readonly Xattr[]>;

/** All below `root` that have any; links are not followed. @throws AppError TOOL, STOPPED */
export async function readXattrs(root: string, signal: AbortSignal): Promise<XattrsOf> {
  const { stdout } = await runTool({
    doing: `read the extended attributes below ${root}`,
    command: 'getfattr',
    args: ['--absolute-names', '-R', '-P', '-h', '-d', '-m', '-', '-e', 'base64', root],
    latin1: true,
    signal,
  });
  const found = new Map<string, Xattr[]>();
  let current: Xattr[] = [];
  for (const line of stdout.split('\n')) {
    if (line.startsWith('# file: ')) found.set(unquote(line.slice('# file: '.length)), (current = []));
    const match = /^([^=#]+)=0s(.*)$/.exec(line);
    if (match?.[1] !== undefined) current.push({ name: unquote(match[1]), value: Buffer.from(match[2] ?? '', 'base64') });
  }
  return found;
}

/** Absolute paths as bytes in latin1; values may have come from another thread, as plain bytes. @throws AppError TOOL, STOPPED */
export async function writeXattrs(attributes: XattrsOf, signal: AbortSignal): Promise<void> {
  if (attributes.size === 0) return;
  const dump = [...attributes].map(
    ([path, xattrs]) =>
      `# file: ${quote(path)}\n${xattrs.map(({ name, value }) => `${quote(name)}=0s${Buffer.from(value).toString('base64')}\n`).join('')}\n`,
  );
  await runTool({
    doing: 'restore extended attributes',
    command: 'setfattr',
    args: ['-h', '--restore=-'],
    input: dump.join(''),
    latin1: true,
    signal,
  });
}

/** As getfattr writes names, of files and of attributes: a backslash and three octal digits for what would break its lines. */
function unquote(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCodePoint(Number.parseInt(digits, 8)));
}

/** Unquoted, a name out of an archive could begin a line of its own, and with it the attributes of any file of the node. */
function quote(name: string): string {
  return name.replaceAll(/[\\\n\r]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
