/** Changes of every kind to a tree in HDFS, chosen by a seed. */
import type { WebHdfs } from '../../../agent/hdfs/webhdfs.ts';
import { append, truncate } from './append.ts';
import { never } from './points.ts';

/** 0 up to, without, 1; the same for the same seed. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const BLOCK = 1_048_576n;
const ODD = [
  'with space',
  'per%25cent',
  'plus+plus',
  'hash#1',
  'q?x',
  'semi;x=1',
  'ünï',
  '😀',
  'back\\slash',
  'am&p',
  'z'.repeat(251),
  '€'.repeat(83),
];

export interface Changing {
  readonly kinds: ReadonlyMap<string, number>;
  /** `only`: kinds that begin so. */
  change(only?: string): Promise<void>;
}

/** `outside`: a directory beside the tree, for moves out of it and into it. */
export function changes(hdfs: WebHdfs, address: string, tree: string, outside: string, next: () => number): Changing {
  const kinds = new Map<string, number>();
  let serial = 0;
  const pick = <T>(of: readonly T[]): T | undefined => of[Math.floor(next() * of.length)];

  async function all(path: string): Promise<{ path: string; type: string; size: bigint }[]> {
    const found: { path: string; type: string; size: bigint }[] = [];
    for await (const { name, type, size } of hdfs.list(path, never)) {
      const below = `${path}/${name}`;
      found.push({ path: below, type, size });
      if (type === 'directory') found.push(...(await all(below)));
    }
    return found;
  }
  const content = () => Buffer.alloc(Math.floor(next() ** 6 * 2_700_000), `${serial} ${next()} `);
  const freshName = () => `${next() < 0.2 ? (pick(ODD) ?? '') : 'n'}${serial}`;
  const write = (path: string, overwrite: boolean) =>
    hdfs.create(path, content(), { mode: next() < 0.5 ? 0o640 : 0o600, overwrite, blockSize: BLOCK }, never);

  async function change(only = ''): Promise<void> {
    serial++;
    const everything = await all(tree);
    const directories = [tree, ...everything.filter(({ type }) => type === 'directory').map(({ path }) => path)];
    const files = everything.filter(({ type }) => type === 'file');
    const file = pick(files);
    const directory = pick(directories) ?? tree;
    const other = pick(directories.slice(1));
    const any = pick(everything);
    const to = `${directory}/${freshName()}`;
    const did = (kind: string) => void kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    const actions: Readonly<Record<string, () => Promise<unknown> | undefined>> = {
      'create a file': () => write(to, false),
      'create an empty file': () => hdfs.create(to, Buffer.alloc(0), { mode: 0o644, overwrite: false }, never),
      'create a directory': () => hdfs.makeDirectory(to, 0o751, never),
      'create a deep directory': () => hdfs.makeDirectory(`${to}/a/b`, 0o700, never).then(() => write(`${to}/a/b/deep`, false)),
      overwrite: () => (file === undefined ? undefined : write(file.path, true)),
      'delete and create anew': () =>
        file === undefined ? undefined : hdfs.delete(file.path, never).then(() => write(file.path, false)),
      delete: () => (file === undefined ? undefined : hdfs.delete(file.path, never)),
      'delete a directory': () => (other !== undefined && next() < 0.1 ? hdfs.delete(other, never) : undefined),
      'rename a file': () => (file === undefined ? undefined : hdfs.rename(file.path, to, never)),
      'rename a directory': () =>
        other !== undefined && !`${to}/`.startsWith(`${other}/`) ? hdfs.rename(other, to, never) : undefined,
      'rename over a file': () => {
        const target = pick(files);
        if (file === undefined || target === undefined || target.path === file.path) return undefined;
        return hdfs.delete(target.path, never).then(() => hdfs.rename(file.path, target.path, never));
      },
      'move out': () => (any !== undefined && next() < 0.2 ? hdfs.rename(any.path, `${outside}/${serial}`, never) : undefined),
      'move in': async () => {
        for await (const { name } of hdfs.list(outside, never)) return hdfs.rename(`${outside}/${name}`, to, never);
        return undefined;
      },
      'set the owner': () => (any === undefined ? undefined : hdfs.setOwner(any.path, `u${serial}`, `g${serial}`, never)),
      'set the mode': () => (any === undefined ? undefined : hdfs.setMode(any.path, next() < 0.5 ? 0o600 : 0o1755, never)),
      'set an attribute': () =>
        any === undefined
          ? undefined
          : hdfs.setXattr(any.path, `user.k${serial % 3}`, Buffer.from([serial % 256, 255, 0]), never),
      'set an ACL': () =>
        any && hdfs.setAcl(any.path, ['user::rwx', `user:bob${serial}:r--`, 'group::r-x', 'mask::rwx', 'other::---'], never),
      'set the replication': () => (file === undefined ? undefined : hdfs.setReplication(file.path, 1 + (serial % 3), never)),
      append: () => (file === undefined ? undefined : append(address, file.path, `appended ${serial}`)),
      truncate: () =>
        file !== undefined && file.size > 0n ? truncate(address, file.path, file.size > BLOCK ? Number(BLOCK) : 0) : undefined,
      'set a quota': () => (other === undefined ? undefined : hdfs.setQuota(other, { names: 10_000n, bytes: undefined }, never)),
      'set a storage policy': () =>
        other === undefined ? undefined : hdfs.setStoragePolicy(other, next() < 0.5 ? 'HOT' : 'WARM', never),
    };
    const kind = pick(Object.keys(actions).filter((name) => name.startsWith(only))) ?? '';
    const acting = actions[kind]?.();
    if (acting === undefined) return;
    await acting;
    did(kind);
  }
  return { kinds, change };
}
