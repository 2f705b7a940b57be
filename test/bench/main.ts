/** `npm run bench [-- NAME…]`: runs the named cases, or all; prints a table, or with --json one line a figure. */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import Table from 'cli-table3';
import { Command } from 'commander';
import { formatSize } from '#common/bytes.ts';
import { archiveCases } from './archive.ts';
import { bytePathCases } from './byte-path.ts';
import { measure, show } from './case.ts';
import type { Result } from './case.ts';
import { controllerCases } from './controller.ts';
import { wholeCases } from './whole.ts';

const CASES = [...bytePathCases, ...archiveCases, ...controllerCases, ...wholeCases];
const names = CASES.map(({ name }) => name);

const program = new Command('bench')
  .description(
    `Ours and the peer side by side, medians of interleaved rounds; or ours against a goal, where there is no peer. Cases: ${names.join(', ')}.`,
  )
  .argument('[name...]', 'which cases; default: all')
  .option('--json', 'one line of JSON a figure')
  .parse();
const chosen = program.args.length === 0 ? names : program.args;
const unknown = chosen.filter((name) => !names.includes(name));
if (unknown.length > 0) program.error(`error: unknown case ${unknown.join(', ')}; known: ${names.join(', ')}`);
const { json } = program.opts<{ json?: boolean }>();

const results: Result[] = [];
for (const one of CASES.filter(({ name }) => chosen.includes(name))) {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  try {
    const measured = await measure(one, directory, (text) => process.stderr.write(`${text}\n`));
    results.push(...measured);
    if (json === true) for (const { notes: _notes, ...line } of measured) console.log(JSON.stringify(line));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

if (json !== true) {
  const table = new Table({ head: ['case', 'unit', 'ours', 'peer', 'ratio', 'goal', 'holds'], style: { head: [], border: [] } });
  for (const { name, unit, ours, peer, ratio, goal, holds } of results) {
    const bound = goal === null ? '-' : `${unit === 'MB/s' ? '≥' : '≤'} ${goal}`;
    table.push([name, unit, show(ours), show(peer), ratio?.toFixed(2) ?? '-', bound, held(holds)]);
  }
  console.log(table.toString());
  for (const { name, notes } of results) for (const note of notes) console.log(`${name}: ${note}`);
  console.log(
    `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${formatSize(BigInt(totalmem()))} of memory, Node ${process.version}`,
  );
}

function held(holds: boolean | null): string {
  if (holds === null) return '-';
  return holds ? 'yes' : 'no';
}
