import { describe, expect, test } from 'vitest';
import { AppError } from '#common/errors.ts';
import { planItinerary } from '../../agent/session/itinerary.ts';
import type { End } from '../../agent/session/itinerary.ts';

const refused: End = { welcomed: false, error: new AppError('UNAVAILABLE', 'refused') };
const cut: End = { welcomed: true, error: new AppError('UNAVAILABLE', 'cut') };
const told = (leader: string): End => ({
  welcomed: false,
  error: new AppError('NOT_LEADER', 'follows', { details: { leader } }),
});

function travel(addresses: readonly string[], ends: readonly End[]): { dialled: string[]; pauses: number[] } {
  const itinerary = planItinerary(addresses);
  const [dialled, pauses]: [string[], number[]] = [[], []];
  for (const end of ends) {
    dialled.push(itinerary.next());
    pauses.push(itinerary.pauseAfter(end));
  }
  return { dialled: [...dialled, itinerary.next()], pauses };
}

describe('an agent', () => {
  test('of one controller dials it again and again, ever more rarely', () => {
    const { dialled, pauses } = travel(['a:1'], [refused, refused, refused, refused, refused, refused, cut, refused]);
    expect(new Set(dialled)).toEqual(new Set(['a:1']));
    expect(pauses).toEqual([400, 800, 1600, 3200, 5000, 5000, 200, 400]);
  });

  test('of two dials them in turn, and finds whoever takes over within seconds', () => {
    const { dialled, pauses } = travel(['a:1', 'b:1'], [cut, refused, refused, refused, refused]);
    expect(dialled).toEqual(['a:1', 'b:1', 'a:1', 'b:1', 'a:1', 'b:1']);
    expect(Math.max(...pauses)).toBe(1000);
  });

  test('goes where it is told that the leader is, also when no list names it', () => {
    expect(travel(['a:1', 'b:1'], [told('c:1'), refused]).dialled).toEqual(['a:1', 'c:1', 'b:1']);
  });

  test('asks the others when the leader that it is told is dead', () => {
    const { dialled } = travel(['a:1', 'b:1'], [cut, told('a:1'), refused, refused, told('a:1')]);
    expect(dialled).toEqual(['a:1', 'b:1', 'a:1', 'a:1', 'b:1', 'a:1']);
  });

  test('believes no controller that names itself, and none that names nobody', () => {
    expect(travel(['a:1', 'b:1'], [told('a:1'), told('')]).dialled).toEqual(['a:1', 'b:1', 'a:1']);
  });
});
