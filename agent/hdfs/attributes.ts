/** What files and directories have beside their content. */
import { z } from 'zod';
import { AppError } from '#common/errors.ts';
import { boundedText, parseJson } from './call.ts';
import type { Caller, Parameters } from './call.ts';
import type { DataNodes } from './data-nodes.ts';
import { yes } from './directories.ts';
import { exceptionName } from './remote-error.ts';
import { parseAnswer } from './status.ts';

export interface Quota {
  /** undefined: no limit. */
  readonly names: bigint | undefined;
  readonly bytes: bigint | undefined;
}

export interface AttributeCalls {
  /** Entries beside owner, group and others, as "user:bob:rw-", "default:group::r-x". */
  acl(path: string, signal: AbortSignal): Promise<readonly string[]>;
  /** By name with its namespace: "user.k". Those that the user may see. */
  xattrs(path: string, signal: AbortSignal): Promise<Readonly<Record<string, Buffer>>>;
  /** Of a directory. */
  quota(path: string, signal: AbortSignal): Promise<Quota>;
  /** Of a file: HDFS's own, which differs with block size and bytes per checksum. */
  checksum(path: string, signal: AbortSignal): Promise<string>;
  /** Number of each storage policy → its name. */
  storagePolicies(signal: AbortSignal): Promise<ReadonlyMap<number, string>>;
  setOwner(path: string, owner: string, group: string, signal: AbortSignal): Promise<void>;
  setMode(path: string, mode: number, signal: AbortSignal): Promise<void>;
  /** Of a directory HDFS keeps no time of access. */
  setTimes(path: string, modifiedMs: number, accessMs: number, signal: AbortSignal): Promise<void>;
  setReplication(path: string, replication: number, signal: AbortSignal): Promise<void>;
  /** All entries, those of owner, group and others as well. */
  setAcl(path: string, entries: readonly string[], signal: AbortSignal): Promise<void>;
  setXattr(path: string, name: string, value: Uint8Array, signal: AbortSignal): Promise<void>;
  removeXattr(path: string, name: string, signal: AbortSignal): Promise<void>;
  setStoragePolicy(path: string, name: string, signal: AbortSignal): Promise<void>;
  setErasureCoding(path: string, policy: string, signal: AbortSignal): Promise<void>;
  /** undefined takes a limit away. */
  setQuota(path: string, quota: Quota, signal: AbortSignal): Promise<void>;
}

const aclStatus = z.object({ AclStatus: z.object({ entries: z.array(z.string()) }) });
const xattrList = z.object({ XAttrs: z.array(z.object({ name: z.string(), value: z.string().nullable().optional() })) });
/** Of the root directory it is the greatest number of Java when there is none. */
const limit = z.number().transform((value) => (value < 0 || value > Number.MAX_SAFE_INTEGER ? undefined : BigInt(value)));
const fileChecksum = z.object({ FileChecksum: z.object({ bytes: z.string() }) });
const quotaUsage = z.object({ QuotaUsage: z.object({ quota: limit, spaceQuota: limit }) });
const policies = z.object({
  BlockStoragePolicies: z.object({ BlockStoragePolicy: z.array(z.object({ id: z.int(), name: z.string() })) }),
});
/** What SETQUOTA takes for "no limit". */
const NO_LIMIT = -1n;

export function createAttributeCalls(caller: Caller, dataNodes: DataNodes): AttributeCalls {
  async function set(path: string, op: string, what: string, parameters: Parameters, signal: AbortSignal) {
    await caller.ask({ method: 'PUT', op, path, parameters, doing: `set ${what} of ${path}` }, signal);
  }

  return {
    async acl(path, signal) {
      const doing = `read the ACL of ${path}`;
      const answer = await caller.ask({ method: 'GET', op: 'GETACLSTATUS', path, doing }, signal);
      return parseAnswer(aclStatus, answer, doing).AclStatus.entries;
    },

    async xattrs(path, signal) {
      const doing = `read the extended attributes of ${path}`;
      const parameters = { encoding: 'hex' };
      const answer = await caller.ask({ method: 'GET', op: 'GETXATTRS', path, parameters, doing }, signal);
      const found = parseAnswer(xattrList, answer, doing).XAttrs;
      return Object.fromEntries(found.map(({ name, value }) => [name, bytesOf(value ?? '', name, doing)]));
    },

    async quota(path, signal) {
      const doing = `read the quota of ${path}`;
      const answer = await caller.ask({ method: 'GET', op: 'GETQUOTAUSAGE', path, doing }, signal);
      const { quota, spaceQuota } = parseAnswer(quotaUsage, answer, doing).QuotaUsage;
      return { names: quota, bytes: spaceQuota };
    },

    async checksum(path, signal) {
      const doing = `read the checksum of ${path}`;
      const call = { method: 'GET', op: 'GETFILECHECKSUM', path, doing } as const;
      const { body, from } = await dataNodes.fetch(
        call,
        dataNodes.holders(path, () => 0n, doing, signal),
        signal,
      );
      const text = await boundedText(body, doing);
      return parseAnswer(fileChecksum, parseJson(text, doing, from), doing).FileChecksum.bytes;
    },

    async storagePolicies(signal) {
      const doing = 'read the storage policies';
      const answer = await caller.ask({ method: 'GET', op: 'GETALLSTORAGEPOLICY', path: '/', doing }, signal);
      const found = parseAnswer(policies, answer, doing).BlockStoragePolicies.BlockStoragePolicy;
      return new Map(found.map(({ id, name }) => [id, name]));
    },

    setOwner: (path, owner, group, signal) => set(path, 'SETOWNER', 'owner and group', { owner, group }, signal),
    setMode: (path, mode, signal) => set(path, 'SETPERMISSION', 'the mode', { permission: mode.toString(8) }, signal),
    setTimes: (path, modificationtime, accesstime, signal) =>
      set(path, 'SETTIMES', 'the times', { modificationtime, accesstime }, signal),

    async setReplication(path, replication, signal) {
      const doing = `set the replication of ${path}`;
      const call = { method: 'PUT', op: 'SETREPLICATION', path, parameters: { replication }, doing } as const;
      if (!parseAnswer(yes, await caller.ask(call, signal), doing).boolean)
        throw new AppError('REFUSED', `${doing}: it is no file`);
    },

    setAcl: (path, entries, signal) => set(path, 'SETACL', 'the ACL', { aclspec: entries.join(',') }, signal),
    setXattr: (path, name, value, signal) =>
      set(
        path,
        'SETXATTR',
        `the extended attribute ${name}`,
        { 'xattr.name': name, 'xattr.value': `0x${Buffer.from(value).toString('hex')}`, flag: 'CREATE,REPLACE' },
        signal,
      ),

    async removeXattr(path, name, signal) {
      const doing = `remove the extended attribute ${name} of ${path}`;
      let repeated = false;
      const onRepeat = () => void (repeated = true);
      try {
        await caller.ask({ method: 'PUT', op: 'REMOVEXATTR', path, parameters: { 'xattr.name': name }, doing, onRepeat }, signal);
      } catch (error) {
        // It says so of one that is not there.
        if (!(repeated && error instanceof AppError && exceptionName(error) === 'IOException')) throw error;
      }
    },

    setStoragePolicy: (path, storagepolicy, signal) =>
      set(path, 'SETSTORAGEPOLICY', 'the storage policy', { storagepolicy }, signal),
    setErasureCoding: (path, ecpolicy, signal) => set(path, 'SETECPOLICY', 'the erasure-coding policy', { ecpolicy }, signal),
    setQuota: (path, { names, bytes }, signal) =>
      set(path, 'SETQUOTA', 'the quota', { namespacequota: names ?? NO_LIMIT, storagespacequota: bytes ?? NO_LIMIT }, signal),
  };
}

function bytesOf(text: string, name: string, doing: string): Buffer {
  if (text === '') return Buffer.alloc(0);
  if (!/^0x(?:[0-9a-f]{2})*$/i.test(text)) throw new AppError('FAILED', `${doing}: the value of ${name} is not understood`);
  return Buffer.from(text.slice(2), 'hex');
}
