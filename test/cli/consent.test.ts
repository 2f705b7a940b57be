/** What a person agrees to is what is done. The person is a stand-in that answers at once. */
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { cli, startFake } from './fake-controller.ts';
import type { FakeController } from './fake-controller.ts';
import { AT } from './samples.ts';

const person = vi.hoisted(() => ({ answers: [] as boolean[], asked: [] as string[] }));
vi.mock('@clack/prompts', () => ({
  isCancel: () => false,
  confirm: ({ message }: { message: string }) => {
    person.asked.push(message);
    return Promise.resolve(person.answers.shift() ?? false);
  },
}));

let fake: FakeController;
beforeAll(async () => {
  fake = await startFake();
});
afterAll(() => fake[Symbol.asyncDispose]());
beforeEach(() => {
  fake.requests.clear();
  Object.assign(person, { answers: [], asked: [] });
});

const prune = () => cli(['set', 'prune'], { HOLDFAST_CONFIG: fake.config }, undefined, true);
const plan = (...going: string[]) => ({
  verdicts: ['s9', ...going].map((setId) => ({ setId, task: 'nightly', createdMs: AT, stays: setId === 's9', reasons: ['why'] })),
});
/** One answer after another, the last again and again. */
const inTurn = (...plans: unknown[]) => ({ pruneSets: () => (plans.length > 1 ? plans.shift() : plans[0]) });
const deleted = () => fake.requests.get('pruneSets')?.filter((request) => !(request as { dryRun: boolean }).dryRun).length;

test('set prune deletes what was shown, or less', async () => {
  fake.answers = inTurn(plan('s1', 's2'), plan('s1'));
  person.answers = [true];
  const { status, err } = await prune();
  expect([status, deleted(), person.asked]).toEqual([0, 1, [expect.stringMatching(/delete these 2 backup file sets/)]]);
  expect(err).toMatch(/^s2 +nightly .* goes /m);
});

test('set prune asks again when more would go than was shown', async () => {
  fake.answers = inTurn(plan('s1'), plan('s1', 's2'));
  person.answers = [true, true];
  const { status, err } = await prune();
  expect([status, deleted(), person.asked.length]).toEqual([0, 1, 2]);
  expect(err).toMatch(/more sets would go; nothing was deleted yet\n[^]*^s2 .* goes /m);
});

test('set prune deletes nothing when the second answer is no', async () => {
  fake.answers = inTurn(plan('s1'), plan('s1', 's2'));
  person.answers = [true, false];
  expect([(await prune()).status, deleted()]).toEqual([5, 0]);
});
