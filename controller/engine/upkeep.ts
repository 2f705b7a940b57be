/**
 * What the catalogue asks of the vaults: sets that go, leftovers of attempts given up, files that a vault lacks. Derived anew at each
 * pass, so nothing is lost when an agent or the controller dies; done by the agent of the vault itself.
 */
import { toAppError } from '#common/errors.ts';
import { ALARMS } from '#rules/alarms.ts';
import { graceOf } from '#rules/grace.ts';
import { retryAfterMs } from '#rules/retry.ts';
import { clear } from '../alarms/alarms.ts';
import { withCopy } from '../model.ts';
import type { BackupSet, Leftover } from '../model.ts';
import type { Page, PageRequest } from '../store/store.ts';
import { vaultAccess } from './assign.ts';
import type { EngineIo } from './engine-io.ts';
import { managementNodes, newId } from './engine-io.ts';
import { forgetLeftover, forgetSet, isAwaited } from './former-vaults.ts';
import { prefixOf } from './grants.ts';
import { leaveToClear } from './leftovers.ts';
import { fileMessage } from './messages.ts';
import { unwantedOf } from './tell-agents.ts';

export interface Upkeep {
  pass(): Promise<void>;
}

/** Given to an agent at once: it does two at a time, and grants should not grow old in its queue. */
const MOST_CHORES = 4;
/** A chore that is still wanted is tried again long before. */
const FORGET_MS = 3_600_000;
/** Looked at in one pass; the next one looks at those behind them, and after the last again at the first. */
const LOOK_AT = 100;

export function createUpkeep(io: EngineIo): Upkeep {
  /** Chores under way, and the node of each. */
  const busy = new Map<string, string>();
  /** Chores that failed, how often in a row, and when each is tried again. */
  const failed = new Map<string, { readonly times: number; readonly until: number }>();

  /** Not awaited: a copy of a terabyte must not hold up the engine. */
  function chore(node: string, name: string, work: () => Promise<void>): void {
    if (busy.has(name) || (failed.get(name)?.until ?? 0) > io.clock.monotonic()) return;
    if ([...busy.values()].filter((each) => each === node).length >= MOST_CHORES) return;
    busy.set(name, node);
    work()
      .then(
        () => void failed.delete(name),
        (caught: unknown) => {
          const error = toAppError(caught, name);
          const times = (failed.get(name)?.times ?? 0) + 1;
          const wait = retryAfterMs(times, error.code === 'UNAVAILABLE', io.config.lease);
          failed.set(name, { times, until: io.clock.monotonic() + wait });
          io.log.warn({ chore: name, reason: error.message, againInMs: wait }, 'a chore failed and is tried again');
        },
      )
      .finally(() => {
        busy.delete(name);
        io.hint();
      });
  }

  /** Its agent is there and holds a vault, and what was given up there has ended. */
  function ready(node: string): boolean {
    const facts = io.sessions.factsOf(node);
    return facts?.connected === true && facts.vault !== undefined && unwantedOf(io, node).length === 0;
  }

  const leftovers = inTurns((page) => io.store.leftovers(page));
  const going = inTurns((page) => io.store.setsToDelete(page));
  const lacking = inTurns((page) => io.store.setsLacking(managementNodes(io.config), page));

  return {
    // What makes room comes first.
    async pass() {
      // A chore that is asked for no more, since its set is gone, is forgotten.
      for (const [name, { until }] of failed) if (until + FORGET_MS < io.clock.monotonic()) failed.delete(name);
      for (const leftover of await leftovers()) {
        if (!leftover.nodes.every((node) => isAwaited(io, node))) await forgetLeftover(io, leftover);
        for (const node of leftover.nodes.filter(ready)) {
          const name = `clear ${leftover.prefix} on ${node}, attempt ${leftover.attempt}`;
          chore(node, name, () => clearFrom(io, leftover, node));
        }
      }
      const toDelete = await going();
      const inDoubt = toDelete.length > 0 && (await io.clockWatch.doubt(io.store)) !== undefined;
      for (const set of toDelete) {
        if (io.reading.has(set.id) || set.deleting === undefined) continue;
        const { sinceMs, unlisted } = set.deleting;
        const grace = graceOf({ sinceMs, graceMs: io.config.deletionGrace, now: io.clock.now(), inDoubt });
        if (grace === 'anew') await countAnew(io, set);
        const holders = [...new Set(set.files.flatMap(({ nodes }) => nodes))];
        if (!holders.some((node) => isAwaited(io, node))) await forgetSet(io, set, holders);
        for (const node of holders.filter(ready)) {
          if (!unlisted.includes(node)) chore(node, `unlist ${set.id} in the vault of ${node}`, () => unlist(io, set, node));
          else if (grace === 'over') chore(node, `delete ${set.id} from the vault of ${node}`, () => deleteFrom(io, set, node));
        }
      }
      const toCopy = await lacking();
      for (const node of managementNodes(io.config).filter(ready)) {
        for (const set of toCopy) {
          const from = lackedBy(set, node)
            .flatMap(({ nodes }) => nodes)
            .find(ready);
          if (from === undefined) continue;
          chore(node, `copy ${set.id} to the vault of ${node}`, () => mirrorTo(io, set, from, node));
        }
      }
    },
  };
}

/** Bounded, and yet all of it: what cannot be done now, however much that is, holds up nothing behind it. */
function inTurns<T>(ask: (page: PageRequest) => Promise<Page<T>>): () => Promise<readonly T[]> {
  let token = '';
  return async () => {
    const { items, next } = await ask({ size: LOOK_AT, token });
    token = next;
    return items;
  };
}

async function countAnew(io: EngineIo, set: BackupSet): Promise<void> {
  await io.change(async (change) => {
    const now = await change.set(set.id);
    if (now?.deleting === undefined) return;
    await change.putSet({ ...now, deleting: { ...now.deleting, sinceMs: io.clock.now() } });
  });
}

function lackedBy(set: BackupSet, node: string) {
  return set.files.filter(({ nodes }) => !nodes.includes(node));
}

/** The first phase: the manifests go, and nobody restores or imports the set from that vault any more. */
async function unlist(io: EngineIo, set: BackupSet, node: string): Promise<void> {
  if (!(await askToDelete(io, set, node, true))) return;
  await io.change(async (change) => {
    const now = await change.set(set.id);
    if (now?.deleting === undefined) return;
    await change.putSet({ ...now, deleting: { ...now.deleting, unlisted: [...now.deleting.unlisted, node] } });
    change.after(() => io.hint());
  });
}

/** The second: the bytes go; with the last of them the set. */
async function deleteFrom(io: EngineIo, set: BackupSet, node: string): Promise<void> {
  if (!(await askToDelete(io, set, node, false))) return;
  await io.change(async (change) => {
    const now = await change.set(set.id);
    if (now === undefined) return;
    const left = now.files.map((held) => ({ ...held, nodes: held.nodes.filter((each) => each !== node) }));
    if (left.some(({ nodes }) => nodes.length > 0)) return change.putSet({ ...now, files: left });
    await change.deleteSet(set.id);
    await clear(change, io, ALARMS.verificationFailed.id, set.id);
    change.after(() => io.log.info({ set: set.id, task: set.task }, 'set deleted'));
  });
}

async function askToDelete(io: EngineIo, set: BackupSet, node: string, manifestsOnly: boolean): Promise<boolean> {
  const files = set.files.filter(({ nodes }) => nodes.includes(node)).map(({ file }) => file);
  const id = newId('c', io.clock.now());
  const prefixes = files.map(({ manifest }) => prefixOf(manifest.key));
  const [vault] = vaultAccess(io, node, { agent: node, run: id, attempt: 1, verbs: ['delete', 'list'], prefixes });
  if (vault === undefined) return false;
  const value = { files: files.map(fileMessage), vault, incompletePrefixes: [], manifestsOnly };
  await io.errands.ask({ node, id, runId: id, attempt: 1, work: { $case: 'delete', value } });
  return true;
}

async function clearFrom(io: EngineIo, leftover: Leftover, node: string): Promise<void> {
  const { runId, attempt, prefix } = leftover;
  const id = newId('c', io.clock.now());
  const [vault] = vaultAccess(io, node, { agent: node, run: runId, attempt, verbs: ['delete', 'list'], prefixes: [prefix] });
  if (vault === undefined) return;
  const value = { files: [], vault, incompletePrefixes: [prefix], manifestsOnly: false };
  await io.errands.ask({ node, id, runId, attempt, work: { $case: 'delete', value } });
  await io.change((change) => leaveToClear(change, leftover, (each) => each !== node));
}

async function mirrorTo(io: EngineIo, set: BackupSet, holder: string, node: string): Promise<void> {
  const held = lackedBy(set, node)
    .filter(({ nodes }) => nodes.includes(holder))
    .map(({ file }) => file);
  // A set that is copied is not deleted meanwhile: the copy would outlive it.
  using _reading = io.reading.hold(set.id);
  const id = newId('c', io.clock.now());
  const grant = { agent: node, run: id, attempt: 1, prefixes: held.map(({ manifest }) => prefixOf(manifest.key)) };
  const [from] = vaultAccess(io, holder, { ...grant, verbs: ['get', 'list'] });
  const [to] = vaultAccess(io, node, { ...grant, verbs: ['put', 'list', 'delete', 'get'] });
  if (from === undefined || to === undefined) return;
  const work = { $case: 'mirror', value: { files: held.map(fileMessage), from, to } } as const;
  await io.errands.ask({ node, id, runId: id, attempt: 1, work });
  await io.change(async (change) => {
    const now = await change.set(set.id);
    if (now === undefined) return;
    const keys = new Set(held.map(({ manifest }) => manifest.key));
    await change.putSet({
      ...now,
      files: now.files.map((each) => (keys.has(each.file.manifest.key) ? withCopy(each, node) : each)),
    });
    change.after(() => io.log.info({ set: set.id, node, files: held.length }, 'vault back in step'));
  });
}
