/** What the ends of its sources make of a run. */
export type End = 'successful' | 'failed' | 'stopped';

export interface SourceEnd {
  readonly source: string;
  readonly state: string;
  readonly reason: string | undefined;
}

export type RunOutcome =
  | { readonly kind: 'open' }
  | { readonly kind: 'ended'; readonly state: End; readonly reason: string | undefined };

/** One source failing leaves the others good; the run as a whole is failed, and says which. */
export function outcomeOf(sources: readonly SourceEnd[]): RunOutcome {
  if (sources.some(({ state }) => state === 'waiting' || state === 'running')) return { kind: 'open' };
  const of = (state: string) => sources.filter((source) => source.state === state);
  const failed = of('failed');
  const because = (ends: readonly SourceEnd[]) =>
    ends.map(({ source, reason }) => `${source}: ${reason ?? 'no reason given'}`).join('; ');
  if (failed.length > 0) return { kind: 'ended', state: 'failed', reason: because(failed) };
  const stopped = of('stopped');
  if (stopped.length > 0) return { kind: 'ended', state: 'stopped', reason: because(stopped) };
  return { kind: 'ended', state: 'successful', reason: undefined };
}

/** The order in which sources are restored: the cluster manager first, HDFS last. */
export const RESTORE_ORDER: readonly string[] = ['OMS', 'LdapServer', 'DBService', 'NameNode'];
