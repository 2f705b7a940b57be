/**
 * The catalogue as a history sees it: what each transaction wrote is told, in order, once it is durable; and its controller can be killed, at
 * once or at one of its next writes: from then on nothing reaches the catalogue.
 */
import type { Alarm, BackupSet, Leftover, Restore, Run, Task } from '../../controller/model.ts';
import type { AuditLine, Changes, Store, StoreView } from '../../controller/store/store.ts';

export type Written =
  | { readonly kind: 'task'; readonly task: Task }
  | { readonly kind: 'taskDeleted'; readonly name: string }
  | { readonly kind: 'run'; readonly run: Run }
  | { readonly kind: 'set'; readonly set: BackupSet }
  | { readonly kind: 'setDeleted'; readonly id: string }
  | { readonly kind: 'restore'; readonly restore: Restore }
  | { readonly kind: 'leftover'; readonly leftover: Leftover }
  | { readonly kind: 'leftoverDeleted'; readonly leftover: Leftover }
  | { readonly kind: 'alarm'; readonly alarm: Pick<Alarm, 'id' | 'subject'>; readonly up: boolean }
  | { readonly kind: 'audit'; readonly line: AuditLine };

export interface WatchedStore {
  readonly store: Store;
  dead(): boolean;
  kill(): void;
  /** At the n-th writing transaction from now, which is durable or not. */
  killAt(write: number, durable: boolean): void;
}

export function watchStore(inner: Store, onWritten: (written: readonly Written[]) => void, onDeath: () => void): WatchedStore {
  let dead = false;
  let death: { left: number; readonly durable: boolean } | undefined;
  const killed = new Error('the controller was killed');
  const kill = () => {
    if (dead) return;
    dead = true;
    onDeath();
  };
  const reads = Object.entries(inner).map(([name, ask]) => [
    name,
    (...given: never[]) => (dead ? Promise.reject(killed) : (ask as (...args: never[]) => unknown)(...given)),
  ]);
  const store: Store = {
    ...(Object.fromEntries(reads) as Store),
    close: () => inner.close(),
    async transaction(work) {
      if (dead) throw killed;
      const written: Written[] = [];
      const result = await inner.transaction(async (view) => {
        // It may be run again from its start.
        written.length = 0;
        const value = await work({ ...view, ...writing(view, written) });
        if (dead) throw killed;
        if (written.length > 0 && death !== undefined && --death.left === 0) {
          kill();
          if (!death.durable) throw killed;
        }
        return value;
      });
      onWritten(written);
      if (dead) throw killed;
      return result;
    },
  };
  return { store, dead: () => dead, kill, killAt: (left, durable) => void (death = { left, durable }) };
}

/** What the model knows of is noted; the log and the answers are not. */
function writing(view: StoreView, written: Written[]) {
  const note = (one: Written) => void written.push(one);
  return {
    putTask: (task) => view.putTask(task).then(() => note({ kind: 'task', task })),
    deleteTask: (name) => view.deleteTask(name).then(() => note({ kind: 'taskDeleted', name })),
    putRun: (run) => view.putRun(run).then(() => note({ kind: 'run', run })),
    putSet: (set) => view.putSet(set).then(() => note({ kind: 'set', set })),
    deleteSet: (id) => view.deleteSet(id).then(() => note({ kind: 'setDeleted', id })),
    putRestore: (restore) => view.putRestore(restore).then(() => note({ kind: 'restore', restore })),
    putLeftover: (leftover) => view.putLeftover(leftover).then(() => note({ kind: 'leftover', leftover })),
    deleteLeftover: (leftover) => view.deleteLeftover(leftover).then(() => note({ kind: 'leftoverDeleted', leftover })),
    async raiseAlarm(alarm) {
      const raised = await view.raiseAlarm(alarm);
      if (raised) note({ kind: 'alarm', alarm, up: true });
      return raised;
    },
    async clearAlarm(id, subject, clearedMs) {
      const cleared = await view.clearAlarm(id, subject, clearedMs);
      if (cleared) note({ kind: 'alarm', alarm: { id, subject }, up: false });
      return cleared;
    },
    audit: (line) => view.audit(line).then(() => note({ kind: 'audit', line })),
  } satisfies Partial<Changes>;
}
