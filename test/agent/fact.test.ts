import { pino } from 'pino';
import { expect, test } from 'vitest';
import { createFact } from '../../agent/session/fact.ts';

test('a fact that hangs is left out, is not asked for again meanwhile, and is there when it has come', async () => {
  const said: string[] = [];
  const log = pino({}, { write: (line: string) => void said.push(line) });
  const answers = [Promise.withResolvers<number>(), Promise.withResolvers<number>()] as const;
  let asked = 0;
  const fact = createFact('the space', log, () => answers[asked++]!.promise, 10);
  expect([await fact(), await fact()]).toEqual([undefined, undefined]);
  expect(asked).toBe(1);
  expect(said.join('')).toContain('the space cannot be read');
  answers[0].resolve(1);
  expect(await fact()).toBe(1);
  answers[1].resolve(2);
  expect(await fact()).toBe(2);
});

test('a fact that fails is left out, and asked for again', async () => {
  let asked = 0;
  const read = () => (asked++ === 0 ? Promise.reject(new Error('no disk')) : Promise.resolve(1));
  const fact = createFact('the space', pino({ level: 'silent' }), read);
  expect([await fact(), await fact()]).toEqual([undefined, 1]);
});
