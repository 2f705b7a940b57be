/**
 * The controller under the load it is made for: agents by the hundred, 200 tasks, and a history of 100,000 runs with 1,000,000 source
 * results. Nothing else does what it does, so its figures are held against goals. All processes share this machine.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority } from '#common/certificates.ts';
import type { KeyAndCertificate } from '#common/certificates.ts';
import { systemClock } from '#common/clock.ts';
import type { AgentsSaid, AgentsWanted } from './controller-agents.ts';
import { LIST_CALLS, timeCalls } from './controller-calls.ts';
import { driverOf } from './controller-database.ts';
import type { Catalogue } from './controller-database.ts';
import { measureDue } from './controller-due.ts';
import type { Wanted } from './controller-history.ts';
import { runController } from './controller-process.ts';
import { median, percentile } from './case.ts';
import type { BenchCase, Figure } from './case.ts';

const SHORT = 1000;
const LONG = 100_000;
const AGENTS = [10, 100, 1000];
const MOST_AGENTS = AGENTS.at(-1);
const CALLS = 100;
const IDLE_MS = 10_000;

const GOALS = { assignMs: 250, listMs: 50, ratio: 1.5, memoryMiB: 400, idlePercent: 10 };

export const controllerCases: readonly BenchCase[] = [
  { name: 'controller', figures: (directory, say) => controllerFigures(directory, 'sqlite', say) },
  { name: 'controller-postgres', figures: (directory, say) => controllerFigures(directory, 'postgres', say) },
];

interface World {
  readonly directory: string;
  readonly authority: KeyAndCertificate;
  /** Until when the histories go. */
  readonly now: number;
  readonly say: (text: string) => void;
}

async function controllerFigures(directory: string, kind: Catalogue['kind'], say: World['say']): Promise<readonly Figure[]> {
  const now = systemClock.now();
  const authority = await createAuthority({ commonName: 'bench', days: 1, now });
  const world: World = { directory, authority, now, say };
  await using maker = await driverOf(kind).begin(directory);
  const short = { kind, at: await maker.make('short') };
  const long = { kind, at: await maker.make('long') };
  await fill(world, short, { runs: SHORT, made: 0 });
  const seconds = await fill(world, long, { runs: LONG, made: 0 });

  const figures: Figure[] = [{ name: `fill the history of ${LONG} runs`, unit: 's', ours: seconds }];
  figures.push(...(await flatness(world, short, long)));
  for (const count of AGENTS) figures.push(...(await underLoad(world, long, count)));
  return figures;
}

/** Both histories at once, call by call in turn: what disturbs the machine disturbs both. */
async function flatness(world: World, short: Catalogue, long: Catalogue): Promise<readonly Figure[]> {
  await using few = await start(world, short, 'few');
  await using many = await start(world, long, 'many');
  const [at, against] = await timeCalls(
    [
      { client: few.client, runs: SHORT },
      { client: many.client, runs: LONG },
    ],
    CALLS,
  );
  if (at === undefined || against === undefined) return [];
  return LIST_CALLS.flatMap((call): Figure[] => {
    world.say(
      `${call}: p50 ${median(at[call]).toFixed(1)} ms at ${SHORT} runs, ${median(against[call]).toFixed(1)} ms at ${LONG}`,
    );
    return [
      {
        name: `${call}, ${LONG} ÷ ${SHORT} runs, p50`,
        unit: '×',
        ours: median(against[call]) / median(at[call]),
        goal: GOALS.ratio,
      },
      {
        name: `${call}, ${LONG} ÷ ${SHORT} runs, p99`,
        unit: '×',
        ours: percentile(against[call], 99) / percentile(at[call], 99),
      },
    ];
  });
}

async function underLoad(world: World, catalogue: Catalogue, count: number): Promise<readonly Figure[]> {
  await fill(world, catalogue, { runs: LONG, made: LONG });
  const controller = await start(world, catalogue, `with-${count}`);
  await using _controller = controller;
  await using agents = await connect(world, controller.address, count);
  const name = (what: string) => `${count} agents, ${what}`;
  // Held where the load is that the goal speaks of; below it, the figures tell of the growth.
  const goal = (bound: number) => (count === MOST_AGENTS ? { goal: bound } : {});

  const before = await controller.cpuSeconds();
  await systemClock.sleep(IDLE_MS, new AbortController().signal);
  const idle = (((await controller.cpuSeconds()) - before) / (IDLE_MS / 1000)) * 100;
  const [calls] = await timeCalls([{ client: controller.client, runs: LONG }], CALLS);
  const delays = await measureDue(controller.client, agents.process);
  const figures: Figure[] = [
    { name: name('until all are welcomed'), unit: 's', ours: agents.seconds },
    { name: name('CPU of a core when idle'), unit: '%', ours: idle, ...goal(GOALS.idlePercent) },
    ...LIST_CALLS.flatMap((call): Figure[] => [
      { name: name(`${call} p50`), unit: 'ms', ours: median(calls?.[call] ?? []) },
      { name: name(`${call} p99`), unit: 'ms', ours: percentile(calls?.[call] ?? [], 99), ...goal(GOALS.listMs) },
    ]),
    { name: name('due → Assign p50'), unit: 'ms', ours: median(delays) },
    { name: name('due → Assign p99'), unit: 'ms', ours: percentile(delays, 99), ...goal(GOALS.assignMs) },
    { name: name('peak memory'), unit: 'MiB', ours: await controller.peakMemory(), ...goal(GOALS.memoryMiB) },
  ];
  for (const { name: what, ours, unit } of figures) world.say(`${what}: ${ours.toFixed(1)} ${unit}`);
  return figures;
}

/** Seconds that it took. */
async function fill(world: World, catalogue: Catalogue, { runs, made }: Pick<Wanted, 'runs' | 'made'>): Promise<number> {
  const child = fork(new URL('./controller-history.ts', import.meta.url), { stdio: 'inherit' });
  const wanted: Wanted = { catalogue, runs, made, now: world.now };
  child.send(wanted);
  const ended = once(child, 'exit');
  const [seconds] = (await once(child, 'message')) as [number];
  await ended;
  if (made < runs) world.say(`a history of ${runs} runs was made in ${seconds.toFixed(1)} s`);
  return seconds;
}

async function start({ directory, authority }: World, catalogue: Catalogue, name: string) {
  const own = join(directory, name);
  await mkdir(own);
  return runController(own, authority, catalogue);
}

async function connect({ authority }: World, address: string, count: number) {
  const child = fork(new URL('./controller-agents.ts', import.meta.url), { stdio: 'inherit' });
  const wanted: AgentsWanted = { address, count, authority };
  child.send(wanted);
  await once(child, 'message');
  child.send('connect');
  const [said] = (await once(child, 'message')) as [AgentsSaid];
  return {
    process: child,
    seconds: said.kind === 'welcomed' ? said.seconds : Number.NaN,
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
