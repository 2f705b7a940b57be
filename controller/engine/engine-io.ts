/** What the parts of the engine work with. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '#common/clock.ts';
import { diskTime } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import type { Logger } from '#common/log.ts';
import type { SourceName } from '#common/names.ts';
import type { Limits } from '#rules/limits.ts';
import { mayBecome } from '#rules/run-state.ts';
import type { Notices } from '../alarms/notices.ts';
import type { ControllerConfig } from '../config.ts';
import type { Run } from '../model.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Store, StoreView } from '../store/store.ts';
import type { Errands } from './errands.ts';
import type { Grants } from './grants.ts';
import type { Listening } from './listening.ts';
import type { ProgressBoard } from './progress.ts';
import type { ClockWatch } from './clock-watch.ts';
import type { Reading } from './reading.ts';
import { createSerial } from './serial.ts';
import type { Watchers } from './watchers.ts';

/** A change of the catalogue under way: one transaction, and what is to happen once it is durable. */
export interface Change extends StoreView {
  /** A run of long ago, that ended before this catalogue knew of it. */
  recordPast(run: Run): Promise<void>;
  after(effect: () => void): void;
}

export interface EngineIo {
  readonly config: ControllerConfig;
  /** The numbers of the rules, from the configuration. */
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Logger;
  /** For reading only, and never inside a change. */
  readonly store: Store;
  readonly sessions: Sessions;
  readonly grants: Grants;
  readonly errands: Errands;
  readonly board: ProgressBoard;
  readonly watchers: Watchers;
  readonly notices: Notices;
  /** Assignments given out and not ended: whose words count, and for what. */
  readonly given: Map<string, Given>;
  /** Sets that are being read, which nothing may delete. */
  readonly reading: Reading;
  readonly clockWatch: ClockWatch;
  /** When the controller's own certificate, or its CA's, ends: the earlier. */
  readonly certificateEndsMs: number;
  /** When each task was last started by this controller, on the monotonic clock. */
  readonly startedTasks: Map<string, number>;
  readonly listening: Listening;
  /** Changes happen one after another, each in one transaction; its effects follow when it is durable. */
  change<T>(work: (change: Change) => Promise<T>): Promise<T>;
  /** Whether this controller leads at this moment: what is done outside the catalogue must not be done on an old view of it. */
  leads(): Promise<boolean>;
  /** Something happened that the next tick should not wait for. */
  hint(): void;
}

export interface Given {
  readonly runId: string;
  readonly source: SourceName;
  readonly node: string;
  readonly attempt: number;
  /** What the last backup of this source held: the best guess of what this one will. */
  readonly expectedBytes: bigint;
  /** Log lines it has sent. */
  lines: number;
}

export function createChange(store: Store, watchers: Watchers, log: Logger): EngineIo['change'] {
  const serial = createSerial();
  return (work) =>
    serial(async () => {
      let effects: (() => void)[] = [];
      const result = await store.transaction((view) => {
        // What an attempt that was not written wanted must not happen.
        effects = [];
        return work({
          ...view,
          async putRun(run: Run) {
            const before = await view.run(run.id);
            if (!mayBecome(before?.state, run.state)) {
              throw new AppError('BUG', `the run ${run.id} is ${before?.state ?? 'new'}, and cannot become ${run.state}`);
            }
            await view.putRun(run);
            effects.push(() => watchers.changed(run.id));
          },
          recordPast: (run) => view.putRun(run),
          after: (effect) => void effects.push(effect),
        });
      });
      // What is durable is durable: an effect that fails must not look like a failed change, nor keep the others from happening.
      for (const effect of effects) {
        try {
          effect();
        } catch (error) {
          log.error({ err: toAppError(error, 'follow up a change') }, 'what followed from a change failed');
        }
      }
      return result;
    });
}

/** Sorted by time, readable, unique: "r20261124140501-3fa9c2". */
export function newId(letter: 'r' | 's' | 'a' | 'c', now: number): string {
  return `${letter}${diskTime(now)}-${randomBytes(4).toString('hex')}`;
}

/** Nodes that hold vaults, active first. */
export function managementNodes({ managementNodes: { active, standby } }: ControllerConfig): string[] {
  return standby === undefined ? [active] : [active, standby];
}

/** "node: source, source" a line, of every agent known. */
export function topologyOf(sessions: Sessions): string[] {
  return sessions.facts().map(({ node, sources }) => `${node}: ${[...sources].toSorted().join(', ')}`);
}

/** After a start or a pause of the controller agents need a moment to come back: what is missing then is not yet a fault. */
export function agentsMayStillCome(io: EngineIo): boolean {
  return io.clock.monotonic() - io.listening.since < io.config.lease;
}

/** It need not be, for a backup to start: the set is degraded then, which is no way to begin when it comes in a second. */
export function standbyIsThere(io: EngineIo): boolean {
  const { standby } = io.config.managementNodes;
  return standby === undefined || io.sessions.factsOf(standby)?.connected === true;
}

export async function note(
  change: Change,
  io: EngineIo,
  runId: string,
  source: string,
  level: string,
  message: string,
): Promise<void> {
  await change.addLog({ runId, source, level, message, timeMs: io.clock.now() });
}
