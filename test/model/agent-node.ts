/** A node of a history: its agent lives, is killed and lives again on the same disk; its cable to the controller can be cut. */
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { startAgent } from '../../agent/agent.ts';
import type { Agent } from '../../agent/agent.ts';
import { agentConfigSchema } from '../../agent/config.ts';
import type { Target } from '../../agent/targets/target.ts';
import type { VaultAccess } from '../../agent/run/job.ts';
import { layCable } from './cable.ts';
import type { Cable, CableState } from './cable.ts';
import type { ModelClock } from './clock.ts';
import { spaceOf } from './memory-vault.ts';
import type { VaultDisk } from './memory-vault.ts';
import type { Service } from './service.ts';

export interface NodeOptions {
  readonly node: string;
  readonly directory: string;
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string };
  readonly clock: ModelClock;
  readonly disk: VaultDisk | undefined;
  readonly services: readonly Service[];
  /** host:port; undefined: there is none. */
  controller(): string | undefined;
  openVault(access: VaultAccess, dead: AbortSignal): Target & AsyncDisposable;
}

export interface AgentNode extends AsyncDisposable {
  readonly node: string;
  alive(): boolean;
  cable(): CableState;
  setCable(state: CableState): void;
  /** Every connection breaks; the agent dials again. */
  reset(): void;
  start(): Promise<void>;
  /** SIGKILL, as far as anybody else can tell: the next life begins with the disk as it is at this moment. */
  kill(): void;
  /** What its journal still has to tell. */
  untold(): string[];
}

interface Life {
  readonly agent: Agent;
  readonly dead: AbortController;
  readonly cable: Cable;
  readonly stateDirectory: string;
}

export async function createNode(options: NodeOptions): Promise<AgentNode> {
  const { node, directory, clock, disk, services, tls } = options;
  const log = pino({ name: node, level: process.env['HOLDFAST_LOG'] ?? 'silent' }, pino.destination(2));
  const buried: Promise<unknown>[] = [];
  let lives = 1;
  let stateDirectory = join(directory, `${node}-1`);
  let cableState: CableState = 'whole';
  let life: Life | undefined;

  async function start(): Promise<void> {
    if (life !== undefined) return;
    const dead = new AbortController();
    const cable = await layCable(() => options.controller());
    cable.set(cableState);
    const config = agentConfigSchema.parse({ node, controller: { address: cable.address }, tls, stateDirectory, sources: {} });
    const agent = await startAgent(config, clock.of(dead.signal, node), log, {
      sources: new Map(services.map((service) => [service.name, service.source(clock, dead.signal)])),
      startVault: async () =>
        disk && { url: `https://${node}:1`, space: async () => spaceOf(disk), stop: () => Promise.resolve() },
      openVault: async (access) => options.openVault(access, dead.signal),
    });
    life = { agent, dead, cable, stateDirectory };
    // Meanwhile it may have been cut, or healed.
    if (cable.state() !== cableState) cable.set(cableState);
  }

  function kill(): void {
    if (life === undefined) return;
    const { agent, dead, cable, stateDirectory: left } = life;
    life = undefined;
    stateDirectory = join(directory, `${node}-${++lives}`);
    // What the dead one still writes, it writes where nobody looks.
    cpSync(left, stateDirectory, { recursive: true });
    dead.abort(new Error('this agent is dead'));
    buried.push(Promise.resolve(cable[Symbol.asyncDispose]()), agent.stop());
  }

  await start();
  return {
    node,
    start,
    kill,
    alive: () => life !== undefined,
    cable: () => cableState,
    setCable(state) {
      cableState = state;
      life?.cable.set(state);
    },
    reset: () => life?.cable.reset(),
    untold: () => readdirSync(join(stateDirectory, 'journal')).filter((name) => !name.endsWith('.undo')),
    async [Symbol.asyncDispose]() {
      kill();
      await Promise.all(buried);
    },
  };
}
