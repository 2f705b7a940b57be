/**
 * The durable steps of each scenario, by the process that takes them: steps/<scenario>.txt, a line a step. The first test of each scenario
 * fails when the code takes another one. After a change of the code make the lists anew, and look at what has changed:
 *
 *   npx vitest run --project areas test/kill -t 'durable steps' -u
 *
 * Nothing else is to be done: the matrix is made of the lists. preload.ts says what a step is.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { DAEMONS } from './process-cluster.ts';
import type { Daemon, ProcessCluster } from './process-cluster.ts';
import { isLikeAnother } from './same-deaths.ts';

/** Also what only differs from another death in what nobody sees: an hour instead of minutes. */
export const LONG = process.env['HOLDFAST_KILL_LONG'] !== undefined;

export interface Step {
  readonly daemon: Daemon;
  readonly step: string;
}

export interface Kill extends Step {
  readonly moment: 'before' | 'after';
  /** At the how manieth of that name. */
  readonly count: number;
}

export function stepsFile(scenario: string): string {
  return resolve('test/kill/steps', `${scenario}.txt`);
}

/** As a text that a list holds. */
export async function takenSteps(cluster: ProcessCluster): Promise<string> {
  const lines: string[] = [];
  for (const daemon of DAEMONS) {
    for (const step of [...new Set(await cluster.stepsOf(daemon))].toSorted()) lines.push(`${daemon}: ${step}\n`);
  }
  return lines.join('');
}

/**
 * Two a step, but those that are like another one. `besides`: scenarios whose steps were done already; `again`: what of them is done all the
 * same.
 */
export function killsOf(scenario: string, besides: readonly string[] = [], again = /^$/): Kill[] {
  const done = new Set(besides.flatMap(listOf));
  return listOf(scenario)
    .filter((line) => !done.has(line) || again.test(line))
    .flatMap((line) => {
      const { daemon = '', step = '' } = /^(?<daemon>\w+): (?<step>.*)$/.exec(line)?.groups ?? {};
      return (['before', 'after'] as const).map((moment) => ({ daemon: daemon as Daemon, step, moment, count: 1 }));
    })
    .filter((kill) => LONG || !isLikeAnother(kill));
}

/** With a name each; vitest would cut the parts of it short. */
export function named(kills: readonly Kill[]): (readonly [string, Kill])[] {
  const time = ({ count }: Kill) => (count === 1 ? '' : `, time ${count}`);
  return kills.map((kill) => [`${kill.daemon} is killed ${kill.moment} "${kill.step}"${time(kill)}`, kill] as const);
}

function listOf(scenario: string): string[] {
  try {
    return readFileSync(stepsFile(scenario), 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  } catch {
    // It is being made.
    return [];
  }
}
