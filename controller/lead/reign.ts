/** A controller that leads: engine, lines of the agents, answers to administrators. Ends with the lead, and leaves nothing under way. */
import type { KeyObject } from 'node:crypto';
import type { Clock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import type { Logger } from '#common/log.ts';
import { certificateEnds } from '#common/tls.ts';
import type { TlsFiles } from '#common/tls.ts';
import { createNotices } from '../alarms/notices.ts';
import { createAdminService } from '../api/admin.ts';
import { limitsOf } from '../config.ts';
import type { ControllerConfig } from '../config.ts';
import { createClockWatch } from '../engine/clock-watch.ts';
import { startEngine } from '../engine/engine.ts';
import type { Engine } from '../engine/engine.ts';
import { createChange, managementNodes } from '../engine/engine-io.ts';
import type { EngineIo } from '../engine/engine-io.ts';
import { createErrands } from '../engine/errands.ts';
import { createGrants } from '../engine/grants.ts';
import { createHearing } from '../engine/hear.ts';
import { createListening } from '../engine/listening.ts';
import { createProgressBoard } from '../engine/progress.ts';
import { createReading } from '../engine/reading.ts';
import { createSystemTask } from '../engine/system-task.ts';
import { createWatchers } from '../engine/watchers.ts';
import { createSessions } from '../sessions/sessions.ts';
import type { Store } from '../store/store.ts';
import type { Services } from './front.ts';
import type { HeldLead } from './held-lead.ts';

export interface Realm {
  readonly config: ControllerConfig;
  readonly tls: TlsFiles;
  readonly grantKey: KeyObject;
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Reign {
  readonly services: Services;
  /** Takes nothing new, leaves to the agents what they do; from its end on this reign does not touch the catalogue. */
  end(why: AppError): Promise<void>;
}

export async function startReign({ config, tls, grantKey, store, clock, log }: Realm, lead: HeldLead): Promise<Reign> {
  const limits = limitsOf(config);
  const watchers = createWatchers();
  const sessions = createSessions(
    createHearing(() => io),
    clock,
    log,
  );
  const change = createChange(store, watchers, log);
  let engine: Engine | undefined;
  const io: EngineIo = {
    config,
    limits,
    clock,
    log,
    store,
    sessions,
    grants: createGrants(grantKey, clock),
    errands: createErrands(clock, () => io.hint()),
    board: createProgressBoard(),
    watchers,
    notices: createNotices(config),
    given: new Map(),
    reading: createReading(),
    clockWatch: createClockWatch(clock, sessions, managementNodes(config), limits),
    startedTasks: new Map(),
    certificateEndsMs: Math.min(certificateEnds(tls.cert), certificateEnds(tls.ca)),
    listening: createListening(clock, config.lease),
    leads: () => lead.confirm(),
    change: (work) => change(work).catch((error: unknown) => yieldLead(error, lead)),
    hint: () => engine?.hint(),
  };
  await createSystemTask(io);
  engine = startEngine(io);
  return {
    services: { admin: createAdminService(io), agent: sessions.service },
    async end(why) {
      sessions.stop(why);
      io.errands.stop(why);
      watchers.stop(why);
      await engine?.stop();
      // Whatever change is under way ends first: it waits in the same line. If the store has failed, that was said already.
      await change(async () => undefined).catch(() => undefined);
    },
  };
}

/** Whoever hears first that another leads, tells it to all. */
function yieldLead(error: unknown, lead: HeldLead): never {
  if (error instanceof AppError && error.code === 'NOT_LEADER') lead.lose(error);
  throw error;
}
