/** `npm run bench [-- NAME…]`: runs the named cases, or all; prints a table, or with --json one line a case. */
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
import { wholeCases } from './whole.ts';

const CASES = [...bytePathCases, ...archiveCases, ...wholeCases];
const names = CASES.map(({ name }) => name);

const program = new Command('bench')
  .description(`Ours and the peer side by side, medians of interleaved rounds. Cases: ${names.join(', ')}.`)
  .argument('[name...]', 'which cases; default: all')
  .option('--json', 'one line of JSON a case')
  .parse();
const chosen = program.args.length === 0 ? names : program.args;
const unknown = chosen.filter((name) => !names.includes(name));
if (unknown.length > 0) program.error(`error: unknown case ${unknown.join(', ')}; known: ${names.join(', ')}`);
const { json } = program.opts<{ json?: boolean }>();

const results: Result[] = [];
for (const one of CASES.filter(({ name }) => chosen.includes(name))) {
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-bench-'));
  try {
    results.push(await measure(one, directory, (text) => process.stderr.write(`${text}\n`)));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  const { notes: _notes, ...line } = results.at(-1)!;
  if (json === true) console.log(JSON.stringify(line));
}

if (json !== true) {
  const table = new Table({ head: ['case', 'unit', 'ours', 'peer', 'ratio', 'goal', 'holds'], style: { head: [], border: [] } });
  for (const { name, unit, ours, peer, ratio, goal, holds } of results) {
    const bound = unit === 's' ? `≤ ${goal}` : `≥ ${goal}`;
    table.push([name, unit, show(ours), show(peer), ratio.toFixed(2), bound, holds ? 'yes' : 'no']);
  }
  console.log(table.toString());
  for (const { name, notes } of results) for (const note of notes) console.log(`${name}: ${note}`);
  console.log(
    `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${formatSize(BigInt(totalmem()))} of memory, Node ${process.version}`,
  );
}
