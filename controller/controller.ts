/**
 * The controller: serves from its start on, follows whoever leads, and reigns when the lead is its own: catalogue, lines of the agents,
 * engine, API. It may be killed at any line of it.
 */
import { createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from '#common/clock.ts';
import { AppError, toAppError } from '#common/errors.ts';
import type { Logger } from '#common/log.ts';
import { readPrivateFile } from '#common/secrets.ts';
import { loadCredentials } from '#common/tls.ts';
import { startServer } from './api/server.ts';
import type { ControllerConfig } from './config.ts';
import { cutOff, follow } from './lead/follow.ts';
import { createFront } from './lead/front.ts';
import type { Stand } from './lead/front.ts';
import { holdLead } from './lead/held-lead.ts';
import type { HeldLead, LeadIo } from './lead/held-lead.ts';
import { startReign } from './lead/reign.ts';
import type { Realm } from './lead/reign.ts';
import type { Candidate, Store } from './store/store.ts';

export interface Controller {
  /** host:port */
  readonly address: string;
  /** Rejects when it cannot go on, by a fault of ours. */
  readonly ended: Promise<void>;
  /** Takes nothing new, leaves to the agents what they do, and the lead to another; from its end on the catalogue is not touched. */
  stop(): Promise<void>;
}

/** Resolves when it serves, and leads or knows who does. The store is the caller's, who closes it after `stop`. */
export async function startController(config: ControllerConfig, store: Store, clock: Clock, log: Logger): Promise<Controller> {
  const tls = await loadCredentials(config.tls);
  const realm: Realm = { config, tls, grantKey: await loadGrantKey(config.grantSigningKey), store, clock, log };
  const front = createFront(log);
  const server = await startServer({ listen: config.listen, tls, ...front });
  const stands = Promise.withResolvers<void>();
  const stand = onlyNews(log, (now) => {
    front.stand(now);
    server.serving(now.kind === 'reigning');
    stands.resolve();
  });
  const stopping = new AbortController();
  const ended = live(realm, { holder: hostname(), address: addressOf(config, server.address) }, stand, stopping.signal);
  try {
    await Promise.race([stands.promise, ended]);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    address: server.address,
    ended,
    async stop() {
      stopping.abort();
      try {
        await ended;
      } finally {
        await server.stop();
      }
    },
  };
}

/** Follows until it leads, reigns until it does not, and again, until it is stopped. */
async function live(realm: Realm, self: Candidate, stand: (now: Stand) => void, stopping: AbortSignal): Promise<void> {
  const io: LeadIo = { ...realm, leaseMs: realm.config.leaderLease };
  while (!stopping.aborted) {
    const taken = await follow(self, io, stand, stopping);
    if (taken !== undefined) await reign(realm, holdLead(taken, io), stand, stopping);
  }
  stand({ kind: 'refusing', why: stoppingError() });
}

/** Until the lead is lost, or a stop, which leaves it to the next one at once. */
async function reign(realm: Realm, lead: HeldLead, stand: (now: Stand) => void, stopping: AbortSignal): Promise<void> {
  const { store, clock, log, config } = realm;
  try {
    const reigning = await startReign(realm, lead);
    stand({ kind: 'reigning', services: reigning.services });
    const why = await untilOver(lead, stopping);
    stand({ kind: 'refusing', why });
    await reigning.end(why);
  } catch (caught) {
    const error = toAppError(caught, 'begin to lead');
    log.error({ err: error }, 'this controller has the lead and cannot reign; it leaves the lead and tries again');
    stand({ kind: 'refusing', why: cutOff(error) });
    await clock.sleep(config.leaderLease / 6, stopping).catch(() => undefined);
  } finally {
    await lead.letGo();
    if (!lead.lost.aborted) {
      await store
        .resign(lead.term)
        .catch((error: unknown) => log.warn({ err: error }, 'the lead could not be left; its lease ends'));
    }
  }
}

async function untilOver({ lost }: HeldLead, stopping: AbortSignal): Promise<AppError> {
  const over = AbortSignal.any([lost, stopping]);
  if (!over.aborted) await new Promise((resolve) => over.addEventListener('abort', resolve, { once: true }));
  if (!lost.aborted) return stoppingError();
  return cutOff(toAppError(lost.reason, 'lead'));
}

/** A follower that asks every second says the same thing each time. */
function onlyNews(log: Logger, stand: (now: Stand) => void): (now: Stand) => void {
  let last: string | undefined;
  return (now) => {
    const news = now.kind === 'reigning' ? 'this controller leads' : now.why.message;
    if (news === last) return;
    last = news;
    if (now.kind === 'reigning') log.info(news);
    else log.info({ why: news }, 'this controller follows');
    stand(now);
  };
}

function stoppingError(): AppError {
  return new AppError('NOT_LEADER', 'the controller is stopping; what runs goes on', {
    hint: 'Ask another controller, or this one when it is back.',
  });
}

/** As others reach it. */
function addressOf({ address, listen }: ControllerConfig, bound: string): string {
  if (address !== undefined) return address;
  const everywhere = listen.host === '0.0.0.0' || listen.host === '::';
  return everywhere ? `${hostname()}:${bound.slice(bound.lastIndexOf(':') + 1)}` : bound;
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
