/** A leader that is really paused, wherever it happens to be, and continued after another has taken over. */
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startServer } from '../sources/postgres/server.ts';
import type { TestServer } from '../sources/postgres/server.ts';
import { LEASE_MS } from './home.ts';
import { postgresHome } from './homes.ts';
import { taskOf } from './samples.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

test.each([1, 2, 3, 4, 5])('changes nothing more, and says who leads (pause %i)', async (pause) => {
  await using place = await postgresHome(server);
  const next = await place.follow();
  const program = ['test/store/leading-process.ts', String(server.port), place.database, server.passwordFile];
  const child = execa(process.execPath, program, { reject: false, buffer: false });
  try {
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    // Each time at another moment of its work.
    for (let written = 0; written < pause * 7; written++) await lines.next();
    child.kill('SIGSTOP');
    await vi.waitFor(
      async () => {
        const lead = await next.takeLead({ holder: 'new', address: 'new:1' }, LEASE_MS);
        if (lead.kind !== 'leading') throw new Error('not yet');
      },
      { timeout: 15_000, interval: 20 },
    );
    const before = (await next.tasks()).map(({ name }) => name);
    await next.transaction((view) => view.putTask(taskOf('new')));
    child.kill('SIGCONT');
    const last: string[] = [];
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) last.push(line.value);
    expect(JSON.parse(last.at(-1) ?? '{}')).toEqual({ code: 'NOT_LEADER', hint: expect.stringContaining('new:1') as string });
    expect((await child).exitCode).toBe(0);
    expect((await next.tasks()).map(({ name }) => name)).toEqual([...before, 'new'].toSorted());
    expect(before.length % 2, 'no half of a change').toBe(0);
  } finally {
    child.kill('SIGKILL');
    await child;
  }
});
