import { pino } from 'pino';
import { describe, expect, test, vi } from 'vitest';
import { systemClock } from '#common/clock.ts';
import { AppError } from '#common/errors.ts';
import { holdLead } from '../../controller/lead/held-lead.ts';
import type { HeldLead } from '../../controller/lead/held-lead.ts';
import type { Lead } from '../../controller/store/store.ts';
import { movableClock } from './cluster.ts';

const OURS: Lead = { kind: 'leading', term: 7 };
const THEIRS: Lead = { kind: 'following', leader: 'b:1', holder: 'b', leftMs: 1 };

function held(renewLead: () => Promise<Lead>, leaseMs: number, clock = movableClock()): HeldLead & AsyncDisposable {
  const store = { renewLead, takeLead: () => Promise.reject(new Error('it has it')) };
  const lead = holdLead({ term: 7, since: clock.monotonic() }, { store, clock, log: pino({ enabled: false }), leaseMs });
  return { ...lead, [Symbol.asyncDispose]: () => lead.letGo() };
}

const lost = (lead: HeldLead) =>
  vi.waitUntil(() => lead.lost.aborted && (lead.lost.reason as AppError), { timeout: 20_000, interval: 5 });

describe('a lead', () => {
  test('is renewed, well before its lease ends', async () => {
    const asked: number[] = [systemClock.monotonic()];
    await using lead = held(async () => {
      asked.push(systemClock.monotonic());
      return OURS;
    }, 600);
    await vi.waitUntil(() => asked.length > 4, { timeout: 20_000, interval: 5 });
    expect(lead.lost.aborted).toBe(false);
    expect((asked.at(-1) ?? 0) - (asked[0] ?? 0)).toBeGreaterThan(600);
  });

  test('that another has taken is lost, naming that one', async () => {
    await using lead = held(() => Promise.resolve(THEIRS), 60);
    expect(await lost(lead)).toMatchObject({ code: 'NOT_LEADER', details: { leader: 'b:1' } });
    expect(await lead.confirm()).toBe(false);
  });

  test('is lost when the database hangs for as long as the lease', async () => {
    await using lead = held(() => new Promise(() => undefined), 100);
    expect(await lost(lead)).toMatchObject({ code: 'TIMEOUT' });
  });

  test('is lost when the database is away for as long as the lease, and not before', async () => {
    const gone = new AppError('UNAVAILABLE', 'gone');
    const from = systemClock.monotonic();
    await using lead = held(() => Promise.reject(gone), 300);
    expect(await lost(lead)).toBe(gone);
    expect(systemClock.monotonic() - from).toBeGreaterThanOrEqual(295);
  });

  test('outlives a database that is back in time', async () => {
    const answers: (() => Promise<Lead>)[] = [() => Promise.reject(new Error('away')), () => Promise.reject(new Error('away'))];
    let asked = 0;
    await using lead = held(() => {
      asked += 1;
      return answers.shift()?.() ?? Promise.resolve(OURS);
    }, 2000);
    await vi.waitUntil(() => asked > 2, { timeout: 20_000, interval: 5 });
    expect(await lead.confirm()).toBe(true);
    expect(lead.lost.aborted).toBe(false);
  });

  test.each([
    ['kept when nobody took it', OURS, true],
    ['lost when another did', THEIRS, false],
  ])('of a process that was paused is %s, and asked for before anything is done', async (_how, answer, kept) => {
    const clock = movableClock();
    let asked = 0;
    await using lead = held(
      async () => {
        asked += 1;
        return answer;
      },
      600_000,
      clock,
    );
    expect(await lead.confirm(), 'nothing is asked while it stands').toBe(true);
    expect(asked).toBe(0);
    clock.advance(700_000);
    expect(await lead.confirm()).toBe(kept);
    expect([asked, lead.lost.aborted]).toEqual([1, !kept]);
  });
});
