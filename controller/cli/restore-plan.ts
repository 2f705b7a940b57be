/** A restore's plan in words. */
import type { RestorePlan } from '#common/gen/holdfast/v1/admin.ts';
import { AppError } from '#common/errors.ts';
import { size } from './output.ts';

export function refusalsOf(plan: RestorePlan): string[] {
  return [
    ...plan.refusals,
    ...plan.sources.flatMap(({ source, refusals }) => refusals.map((refusal) => `${source}: ${refusal}`)),
  ];
}

/** @throws AppError REFUSED naming what stands in its way */
export function requireStartable(plan: RestorePlan): void {
  const refusals = refusalsOf(plan);
  if (refusals.length === 0) return;
  throw new AppError('REFUSED', `a restore of the set ${plan.setId} cannot be started: ${refusals.join('; ')}`, {
    hint: 'Change what each refusal names, then plan again.',
  });
}

export function printPlan(to: NodeJS.WritableStream, plan: RestorePlan): void {
  const list = (title: string, items: readonly string[], indent: string) =>
    items.length === 0 ? [] : [`${indent}${title}:`, ...items.map((item) => `${indent}  - ${item}`)];
  const lines = [
    `Restore of the set ${plan.setId}`,
    ...list('REFUSED', plan.refusals, '  '),
    ...list('warnings', plan.warnings, '  '),
    ...plan.sources.flatMap((source) => [
      `${source.source} on ${source.node}: needs ${size(source.neededBytes)}, ${size(source.freeBytes)} free`,
      ...list('REFUSED', source.refusals, '  '),
      ...list('warnings', source.warnings, '  '),
      ...list('overwrites', source.overwrites, '  '),
      ...list('must be stopped', source.mustBeStopped, '  '),
      ...list('steps', source.steps, '  '),
    ]),
  ];
  to.write(`${lines.join('\n')}\n`);
}
