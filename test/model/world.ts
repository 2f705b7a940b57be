/** Everything of a history: a real controller on a real catalogue, real agents, vaults in memory, services whose content is known. */
import { mkdtemp, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { createHostFacts } from '../../agent/session/host-facts.ts';
import type { Run, SourceRun } from '../../controller/model.ts';
import { createNode } from './agent-node.ts';
import type { AgentNode } from './agent-node.ts';
import { damageOf, remainsOf } from './artefacts.ts';
import type { Certificates } from './certificates.ts';
import { modelClock } from './clock.ts';
import type { ModelClock } from './clock.ts';
import { HEARTBEAT_MS, createControllerNode } from './controller-node.ts';
import type { ControllerNode } from './controller-node.ts';
import { emptyDisk, openMemoryVault } from './memory-vault.ts';
import type { VaultDisk } from './memory-vault.ts';
import { createModel } from './model.ts';
import type { Model } from './model.ts';
import { createService } from './service.ts';
import type { Service } from './service.ts';
import { createTroubles } from './troubles.ts';
import type { Troubles } from './troubles.ts';

export const NODES = ['mn1', 'mn2', 'dn1'] as const;
export type NodeName = (typeof NODES)[number];
const MANAGEMENT = { active: 'mn1', standby: 'mn2' } as const;
/** An agent dials again after 5 s at most, and is a moment about it. */
export const COME_BACK_MS = 9000;
const CONFIRMED_AFTER_MS = 3 * HEARTBEAT_MS;

export interface World extends AsyncDisposable {
  readonly clock: ModelClock;
  readonly model: Model;
  readonly disks: ReadonlyMap<string, VaultDisk>;
  readonly services: ReadonlyMap<string, Service>;
  readonly nodes: ReadonlyMap<string, AgentNode>;
  readonly controller: ControllerNode;
  readonly troubles: Troubles;
  /** Sets being verified. */
  readonly reading: Map<string, number>;
  readonly restores: string[];
  /** A request id or a name that was not used before. */
  next(prefix: string): string;
  /** Something that goes on beside the next actions, such as a cut that heals. */
  meanwhile(work: () => Promise<unknown>): void;
  /** All of it has ended. */
  calm(): Promise<void>;
  pass(ms: number): Promise<void>;
}

const never = new AbortController().signal;

export async function createWorld(certificates: Certificates): Promise<World> {
  // In memory where there is such a place: a history flushes thousands of small files.
  const directory = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'holdfast-model-'));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  const clock = opened.use(modelClock());
  const troubles = createTroubles(() => clock.monotonic());
  const disks = new Map(Object.values(MANAGEMENT).map((node) => [node as string, emptyDisk(node)]));
  const services = new Map([
    ['OMS', createService('OMS')],
    ['LdapServer', createService('LdapServer')],
  ]);
  const nodes = new Map<string, AgentNode>();
  const reading = new Map<string, number>();
  const serviceOf = ({ source }: SourceRun) => services.get(source);

  const model = createModel(
    {
      readings: () => clock.readings(),
      troubles: (run, of) => troubles.between(model.begunAt(run) ?? clock.monotonic(), unknownPlace(run, of) ? NODES : of),
      faultsOf: (share) => serviceOf(share)?.faultsOf(share.assignmentId) ?? [],
      handed: (share) => serviceOf(share)?.handed(share.assignmentId),
      stayed: (share) => serviceOf(share)?.stayed(share.assignmentId) ?? false,
      beingRead: (id) => (reading.get(id) ?? 0) > 0,
      damage: (set) => damageOf(set, disks),
      remains: (set, after) => remainsOf(set, after, disks),
      lies: (key, node) => disks.get(node)?.files.has(key) ?? false,
      vaultsMayNotHaveConfirmed: () => mayBeUnconfirmed(clock, troubles),
    },
    MANAGEMENT,
    () => clock.monotonic(),
  );

  let downSince = 0;
  const controller = opened.use(
    createControllerNode({
      directory,
      certificates,
      clock,
      onWritten: (written) => model.follow(written),
      onDeath() {
        downSince = clock.monotonic();
        for (const node of nodes.values()) node.reset();
      },
      onBirth: () => model.controllerBegins(),
      onStart: () => troubles.controllerCameBack(downSince, COME_BACK_MS),
    }),
  );
  // What an agent reads of its host at its first Hello starts a process, which takes long by this clock.
  await createHostFacts(clock, directory, pino({ level: 'silent' }))();
  await controller.start();

  const lives = (node: string) => nodes.get(node)?.alive() === true;
  const wired = (node: string) => nodes.get(node)?.cable() === 'whole';
  for (const node of NODES) {
    const made = await createNode({
      node,
      directory,
      tls: certificates.paths(node),
      clock,
      disk: disks.get(node),
      services: [...services.values()].filter(({ name }) => HOMES[name] === node),
      controller: () => controller.address(),
      openVault: (access, dead) =>
        openMemoryVault({
          disk: disks.get(access.node) ?? emptyDisk(access.node),
          agent: node,
          access,
          grantPublicKey: certificates.grantPublicKey,
          clock,
          reachable: () => !dead.aborted && (access.node === node || (lives(access.node) && wired(node) && wired(access.node))),
        }),
    });
    nodes.set(node, opened.use(made));
  }

  const connected = async () => {
    const answer = await controller.call((api) => api.listAgents({ pageSize: 0, pageToken: '' }));
    return !(answer instanceof Error) && answer.agents.filter((agent) => agent.connected).length === NODES.length;
  };
  while (!(await connected())) await clock.sleep(200, never);

  const under = new Set<Promise<unknown>>();
  let names = 0;
  opened.defer(async () => void (await Promise.allSettled(under)));
  const held = opened.move();
  return {
    clock,
    model,
    disks,
    services,
    nodes,
    controller,
    troubles,
    reading,
    restores: [],
    next: (prefix) => `${prefix}${++names}`,
    meanwhile(work) {
      const going = work().finally(() => under.delete(going));
      under.add(going);
    },
    async calm() {
      while (under.size > 0) await Promise.all(under);
    },
    pass: (ms) => clock.sleep(ms, never),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/**
 * Since the clock was set by much no vault may have been heard: until a heartbeat of one, which takes longer when a vault is away. A heartbeat
 * from before it may be heard after it, too.
 */
function mayBeUnconfirmed(clock: ModelClock, troubles: Troubles): boolean {
  const since = clock.monotonic() - clock.leaptAt();
  if (since < CONFIRMED_AFTER_MS) return true;
  const vaults = Object.values(MANAGEMENT);
  return since < Infinity && troubles.between(clock.monotonic() - CONFIRMED_AFTER_MS, vaults).length > 0;
}

/** It never got to a node, or a share of it found none. */
function unknownPlace(run: Run, nodes: readonly string[]): boolean {
  return run.sources.length === 0 || nodes.includes('');
}

/** Which node offers which source: one has a vault too, one has none. */
const HOMES: Readonly<Record<string, NodeName>> = { OMS: 'dn1', LdapServer: 'mn1' };
