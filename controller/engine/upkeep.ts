/**
 * What the catalogue asks of the vaults: sets that go, leftovers of attempts given up, files that a vault lacks. Derived anew at each
 * pass, so nothing is lost when an agent or the controller dies; done by the agent of the vault itself.
 */
import { toAppError } from '#common/errors.ts';
import type { BackupSet, Leftover } from '../model.ts';
import { vaultAccess } from './assign.ts';
import type { EngineIo } from './engine-io.ts';
import { managementNodes, newId } from './engine-io.ts';
import { prefixOf } from './grants.ts';
import { fileMessage } from './messages.ts';
import { lackingNodes } from './set-state.ts';

export interface Upkeep {
  pass(): Promise<void>;
}

/** A chore that failed is tried again after this: soon enough for an operator who watches, rare enough for a log. */
const RETRY_MS = 10_000;

export function createUpkeep(io: EngineIo): Upkeep {
  const busy = new Set<string>();
  const notBefore = new Map<string, number>();

  /** Not awaited: a copy of a terabyte must not hold up the engine. */
  function chore(name: string, work: () => Promise<void>): void {
    if (busy.has(name) || (notBefore.get(name) ?? 0) > io.clock.monotonic()) return;
    busy.add(name);
    work()
      .then(
        () => void notBefore.delete(name),
        (caught: unknown) => {
          notBefore.set(name, io.clock.monotonic() + Math.min(RETRY_MS, io.config.lease));
          io.log.warn({ chore: name, reason: toAppError(caught, name).message }, 'a chore failed and is tried again');
        },
      )
      .finally(() => {
        busy.delete(name);
        io.hint();
      });
  }

  return {
    async pass() {
      const connected = (node: string) => io.sessions.factsOf(node)?.connected === true;
      for (const set of await io.store.deletingSets()) {
        if (io.reading.has(set.id)) continue;
        const holders = [...new Set(set.files.flatMap(({ nodes }) => nodes))];
        for (const node of holders.filter(connected)) {
          chore(`delete ${set.id} from the vault of ${node}`, () => deleteFrom(io, set, node));
        }
      }
      for (const set of await io.store.lackingSets(managementNodes(io.config))) {
        for (const node of lackingNodes(set, io.config).filter(connected)) {
          chore(`copy ${set.id} to the vault of ${node}`, () => mirrorTo(io, set, node));
        }
      }
      for (const leftover of await io.store.leftovers()) {
        for (const node of leftover.nodes.filter(connected)) {
          chore(`clear ${leftover.prefix} on ${node}, attempt ${leftover.attempt}`, () => clearFrom(io, leftover, node));
        }
      }
    },
  };
}

async function deleteFrom(io: EngineIo, set: BackupSet, node: string): Promise<void> {
  const files = set.files.filter(({ nodes }) => nodes.includes(node)).map(({ file }) => file);
  const id = newId('c', io.clock.now());
  const prefixes = files.map(({ manifest }) => prefixOf(manifest.key));
  const [vault] = vaultAccess(io, node, { agent: node, run: id, attempt: 1, verbs: ['delete', 'list'], prefixes });
  if (vault === undefined) return;
  const value = { files: files.map(fileMessage), vault, incompletePrefixes: [] };
  await io.errands.ask({ node, id, runId: id, attempt: 1, work: { $case: 'delete', value } });
  await io.change(async (change) => {
    const now = await change.set(set.id);
    if (now === undefined) return;
    const left = now.files.map((held) => ({ ...held, nodes: held.nodes.filter((each) => each !== node) }));
    if (left.some(({ nodes }) => nodes.length > 0)) return change.putSet({ ...now, files: left });
    await change.deleteSet(set.id);
    change.after(() => io.log.info({ set: set.id, task: set.task }, 'set deleted'));
  });
}

async function clearFrom(io: EngineIo, leftover: Leftover, node: string): Promise<void> {
  const { runId, attempt, prefix } = leftover;
  const id = newId('c', io.clock.now());
  const [vault] = vaultAccess(io, node, { agent: node, run: runId, attempt, verbs: ['delete', 'list'], prefixes: [prefix] });
  if (vault === undefined) return;
  const value = { files: [], vault, incompletePrefixes: [prefix] };
  await io.errands.ask({ node, id, runId, attempt, work: { $case: 'delete', value } });
  await io.change(async (change) => {
    const now = (await change.leftovers()).find((each) => each.runId === runId && each.prefix === prefix);
    if (now === undefined) return;
    const nodes = now.nodes.filter((each) => each !== node);
    if (nodes.length > 0) return change.putLeftover({ ...now, nodes });
    await change.deleteLeftover(now);
  });
}

async function mirrorTo(io: EngineIo, set: BackupSet, node: string): Promise<void> {
  const lacking = set.files.filter(({ nodes }) => !nodes.includes(node));
  const holder = lacking[0]?.nodes.find((each) => io.sessions.factsOf(each)?.connected === true);
  if (holder === undefined) return;
  const held = lacking.filter(({ nodes }) => nodes.includes(holder)).map(({ file }) => file);
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
      files: now.files.map((each) =>
        keys.has(each.file.manifest.key) ? { ...each, nodes: [...new Set([...each.nodes, node])] } : each,
      ),
    });
    change.after(() => io.log.info({ set: set.id, node, files: held.length }, 'vault back in step'));
  });
}
