/** What must be true of backup sets: what they hold, which of them stay, and how they go. */
import type { BackupSet, Run } from '../../controller/model.ts';
import { openRuns } from './catalogue.ts';
import { ended, writtenSets } from './transition.ts';
import type { Rules, Transition } from './transition.ts';

/** A clock that differs by more is in doubt. */
const CLOCK_TOLERANCE_MS = 300_000;
/** Between a decision and its transaction. */
const MEANWHILE_MS = 1000;

export const SET_RULES: Rules = {
  'a set is what its run yielded': (change) => [
    ...ended(change).flatMap((run) => wrongSet(run, change)),
    ...[...change.after.sets.values()]
      .filter(
        ({ id, runId }) => !change.before.sets.has(id) && !ended(change).some((run) => run.id === runId && run.setId === id),
      )
      .map(({ id }) => `the set ${id} comes from nowhere`),
  ],

  'a listed set lies whole in the vaults that are named': (change) =>
    writtenSets(change)
      .filter(({ deleting }) => !deleting)
      .flatMap((set) => change.facts.damage(set)),

  'a set goes by retention or by request, and the newest good ones stay': (change) => {
    const asked = change.audits.filter(({ method }) => method === 'DeleteSet').map(({ subject }) => subject);
    const marked = writtenSets(change).filter(
      ({ id, deleting }) => deleting !== undefined && isListed(change.before.sets.get(id)),
    );
    const byRetention = marked.filter(({ id }) => !asked.includes(id)).map(({ id }) => id);
    const doubt = clockDoubt(change);
    const beyond = ended(change).flatMap((run) =>
      run.kind === 'backup' && run.state === 'successful' ? beyondCopies(run, change) : [],
    );
    // A clock that may be wrong deletes nothing: what is beyond the copies then stays until a later run.
    const wanted = doubt === 'yes' ? [] : beyond;
    return [
      ...byRetention.filter((id) => !wanted.includes(id)).map((id) => `${id} goes and should stay`),
      ...wanted
        .filter((id) => !byRetention.includes(id) && doubt === 'no' && !mayBeRead(id, change))
        .map((id) => `${id} stays and should go`),
    ];
  },

  'a set that goes is unlisted before its bytes go': ({ before, after, written, facts }) =>
    written.flatMap((one) => {
      const id = one.kind === 'set' ? one.set.id : one.kind === 'setDeleted' ? one.id : '';
      const was = before.sets.get(id);
      const now = after.sets.get(id);
      if (was === undefined) return [];
      const [had, has] = [nodesOf(was), now === undefined ? [] : nodesOf(now)];
      const listed = (now?.deleting?.unlisted ?? []).flatMap((node) =>
        was.files.flatMap(({ file: { manifest } }) =>
          facts.lies(manifest.key, node) ? [`${manifest.key} is in the vault of ${node}, which let go of it`] : [],
        ),
      );
      return [
        ...had
          .filter((node) => !has.includes(node) && was.deleting?.unlisted.includes(node) !== true)
          .map((node) => `the bytes of ${id} went from ${node} first`),
        ...listed,
      ];
    }),

  'a set is forgotten when no vault holds it any more': ({ before, after, written, facts }) =>
    written.flatMap((one) => {
      const set = one.kind === 'setDeleted' ? before.sets.get(one.id) : undefined;
      if (set === undefined) return [];
      return [
        ...(set.deleting ? [] : [`${set.id} was not to go`]),
        ...facts.remains(set, after).map((key) => `${key} of ${set.id} is left`),
      ];
    }),
};

function wrongSet(run: Run, { after, facts, nodes }: Transition): string[] {
  if (run.kind !== 'backup') return [];
  const good = run.sources.filter(({ state }) => state === 'successful').map(({ source }) => source);
  const set = after.sets.get(run.setId);
  if (set === undefined) return good.length === 0 ? [] : [`${run.id} yielded ${good.join()}, and there is no set of it`];
  // Who writes may be cut off from a vault, too.
  const writers = run.sources.map(({ node }) => node);
  const left = [nodes.active, nodes.standby].filter((node) => set.files.some((file) => !file.nodes.includes(node)));
  return [
    ...(set.files.map(({ file }) => file.source).join() === good.join()
      ? []
      : [`the set of ${run.id} does not hold ${good.join()}`]),
    ...(set.missingSources.length === run.sources.length - good.length
      ? []
      : [`the set of ${run.id} misses ${set.missingSources.join()}`]),
    ...left
      .filter((node) => facts.troubles(run, [node, ...writers]).length === 0)
      .map((node) => `the set of ${run.id} is not on ${node}, without a cause`),
  ];
}

/**
 * Neither one of the newest `copies` good ones, by the order they were made in or by their times, nor an incomplete one that fewer good ones
 * are newer than; a task made anew under a name does not count the sets of the one before.
 */
function beyondCopies(run: Run, { before, after, nodes, wishes }: Transition): string[] {
  const directory = directoryOf(after.sets.get(run.setId));
  const newestFirst = [...after.sets.values()]
    .filter((set) => directoryOf(set) === directory && before.sets.get(set.id)?.deleting === undefined)
    .toReversed();
  const good = newestFirst.filter(
    (set) => set.missingSources.length === 0 && set.files.every((file) => file.nodes.includes(nodes.active)),
  );
  const copies = wishes.get(run.task)?.copies ?? Infinity;
  const byTime = good.toSorted((a, b) => b.createdMs - a.createdMs);
  const kept = new Set([...good.slice(0, copies), ...byTime.slice(0, copies)]);
  const goes = (set: BackupSet, at: number) => {
    if (good.includes(set)) return !kept.has(set);
    return newestFirst.slice(0, at).filter((newer) => good.includes(newer)).length >= copies;
  };
  return newestFirst.filter(goes).map(({ id }) => id);
}

const isListed = (set: BackupSet | undefined) => set !== undefined && set.deleting === undefined;

const nodesOf = ({ files }: BackupSet) => [...new Set(files.flatMap(({ nodes }) => nodes))];

/** The catalogue knows a time in the future, or no vault has confirmed the time since it was set. */
function clockDoubt({ after, facts }: Transition): 'yes' | 'no' | 'perhaps' {
  const [run, set] = [[...after.runs.values()].at(-1), [...after.sets.values()].at(-1)];
  const latest = Math.max(run?.createdMs ?? 0, run?.endedMs ?? 0, set?.createdMs ?? 0);
  const ahead = facts.readings().map((now) => latest - now - CLOCK_TOLERANCE_MS);
  if (ahead.every((ms) => ms > MEANWHILE_MS)) return 'yes';
  return ahead.some((ms) => ms > -MEANWHILE_MS) || facts.vaultsMayNotHaveConfirmed() ? 'perhaps' : 'no';
}

const directoryOf = (set: BackupSet | undefined) => set?.files[0]?.file.manifest.key.split('/')[0];

function mayBeRead(id: string, { after, facts, nodes }: Transition): boolean {
  const copied = [nodes.active, nodes.standby].some((node) =>
    after.sets.get(id)?.files.some((file) => !file.nodes.includes(node)),
  );
  return facts.beingRead(id) || copied || openRuns(after).some(({ kind, setId }) => kind === 'restore' && setId === id);
}
