/** What an index keeps of an entry beside its content, and how it is asked for. */
import type { Json } from '#common/json.ts';
import type { Attributes } from '../../archive/point/point.ts';
import type { FileStatus, WebHdfs } from '../../hdfs/webhdfs.ts';

/** As it stands in the index: numbers that may be large as text, bytes in base64. What an entry has not is left out. */
export interface EntryAttributes {
  readonly owner: string;
  readonly group: string;
  readonly mode: number;
  readonly modifiedMs: number;
  readonly accessMs: number;
  readonly fileId: string;
  /** Of files. */
  readonly replication?: number;
  readonly blockSize?: string;
  /** Where it is not that of the directory above: its name. */
  readonly storagePolicy?: string;
  readonly ecPolicy?: string;
  readonly acl?: readonly string[];
  readonly xattrs?: Readonly<Record<string, string>>;
  /** Of directories that have one. */
  readonly quota?: { readonly names?: string; readonly bytes?: string };
}

/** Those that a listing does not tell: each costs the NameNode a call. */
export type AskedAttributes = Pick<EntryAttributes, 'acl' | 'xattrs' | 'quota'>;

export interface AttributeReader {
  /** `path`: where it is read, in a snapshot. */
  ask(path: string, status: FileStatus, signal: AbortSignal): Promise<AskedAttributes>;
  /** `above`: the status of the directory that it lies in; undefined for what was selected itself. */
  combine(status: FileStatus, above: FileStatus | undefined, asked: AskedAttributes): EntryAttributes;
}

/** Those that a superuser may read and set again. */
const NAMESPACES = /^(?:user|trusted)\./;

export function createAttributeReader(hdfs: WebHdfs, policies: ReadonlyMap<number, string>): AttributeReader {
  return {
    async ask(path, status, signal) {
      const [acl, xattrs, quota] = await Promise.all([
        status.hasAcl ? hdfs.acl(path, signal) : undefined,
        hdfs.xattrs(path, signal),
        status.type === 'directory' ? hdfs.quota(path, signal) : undefined,
      ]);
      const kept = Object.entries(xattrs).filter(([name]) => NAMESPACES.test(name));
      return {
        ...(acl !== undefined && acl.length > 0 && { acl }),
        ...(kept.length > 0 && { xattrs: Object.fromEntries(kept.map(([name, value]) => [name, value.toString('base64')])) }),
        ...((quota?.names !== undefined || quota?.bytes !== undefined) && {
          quota: {
            ...(quota.names !== undefined && { names: String(quota.names) }),
            ...(quota.bytes !== undefined && { bytes: String(quota.bytes) }),
          },
        }),
      };
    },

    combine(status, above, asked) {
      const policy = policies.get(status.storagePolicy);
      const ownPolicy = status.storagePolicy !== (above?.storagePolicy ?? 0) && policy !== undefined;
      const ownCoding = status.ecPolicy !== undefined && status.ecPolicy !== above?.ecPolicy;
      return {
        owner: status.owner,
        group: status.group,
        mode: status.mode,
        modifiedMs: status.modifiedMs,
        accessMs: status.accessMs,
        fileId: String(status.fileId),
        ...(status.type === 'file' && { replication: status.replication, blockSize: String(status.blockSize) }),
        ...(ownPolicy && { storagePolicy: policy }),
        ...(ownCoding && { ecPolicy: status.ecPolicy }),
        ...asked,
      };
    },
  };
}

/** For the index, whose attributes are JSON. */
export function asJson(attributes: EntryAttributes): Attributes {
  return attributes as unknown as Record<string, Json>;
}
