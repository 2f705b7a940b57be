/** The controller: catalogue, lines of the agents, engine, API. It may be killed at any line of it. */
import { createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { Clock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import type { Logger } from '#common/log.ts';
import { readPrivateFile } from '#common/secrets.ts';
import { certificateEnds, loadCredentials } from '#common/tls.ts';
import { createNotices } from './alarms/notices.ts';
import { createAdminService } from './api/admin.ts';
import { startServer } from './api/server.ts';
import { limitsOf } from './config.ts';
import type { ControllerConfig } from './config.ts';
import { createClockWatch } from './engine/clock-watch.ts';
import { createSystemTask } from './engine/system-task.ts';
import { startEngine } from './engine/engine.ts';
import type { Engine } from './engine/engine.ts';
import { createChange } from './engine/engine-io.ts';
import type { EngineIo } from './engine/engine-io.ts';
import { createErrands } from './engine/errands.ts';
import { createGrants } from './engine/grants.ts';
import { createHearing } from './engine/hear.ts';
import { createProgressBoard } from './engine/progress.ts';
import { createReading } from './engine/reading.ts';
import { createWatchers } from './engine/watchers.ts';
import { createSessions } from './sessions/sessions.ts';
import type { Store } from './store/store.ts';

export interface Controller {
  /** host:port */
  readonly address: string;
  /** Takes nothing new, leaves to the agents what they do; from its end on the catalogue is not touched. */
  stop(): Promise<void>;
}

/** The store is the caller's, who closes it after `stop`. */
export async function startController(config: ControllerConfig, store: Store, clock: Clock, log: Logger): Promise<Controller> {
  const tls = await loadCredentials(config.tls);
  const grantKey = await loadGrantKey(config.grantSigningKey);

  const limits = limitsOf(config);
  const watchers = createWatchers();
  const sessions = createSessions(
    createHearing(() => io),
    clock,
    log,
  );
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
    clockWatch: createClockWatch(clock, sessions, limits),
    startedTasks: new Map(),
    certificateEndsMs: Math.min(certificateEnds(tls.cert), certificateEnds(tls.ca)),
    listening: { since: clock.monotonic() },
    change: createChange(store, watchers, log),
    hint: () => engine?.hint(),
  };
  let engine: Engine | undefined;
  try {
    await createSystemTask(io);
    engine = startEngine(io);
    const server = await startServer({ listen: config.listen, tls, admin: createAdminService(io), agent: sessions.service });
    return {
      address: server.address,
      async stop() {
        sessions.stop();
        io.errands.stop('the controller is stopping');
        watchers.stop();
        await server.stop();
        await engine?.stop();
        // Whatever change is under way ends first: it waits in the same line. If the store has failed, that was said already.
        await io.change(async () => undefined).catch(() => undefined);
      },
    };
  } catch (error) {
    await engine?.stop();
    throw error;
  }
}

async function loadGrantKey(path: string): Promise<KeyObject> {
  const pem = await readPrivateFile(path);
  const refuse = (cause?: unknown) =>
    new AppError('INVALID', `the grant signing key ${path} is not a private Ed25519 key`, {
      cause,
      hint: 'Use the file that `holdfast init` made for the controller; the vaults hold its public half.',
    });
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (error) {
    throw refuse(error);
  }
  if (key.asymmetricKeyType !== 'ed25519') throw refuse();
  return key;
}
