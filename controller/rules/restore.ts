/** Whether a set may be restored, as far as it can be told without the sources: what is refused, and what is warned of. */
export interface RestoreQuestion {
  readonly set: {
    readonly id: string;
    readonly deleting: boolean;
    readonly productVersion: string;
    readonly topology: readonly string[];
    readonly sources: readonly string[];
  };
  readonly sources: readonly string[];
  readonly options: { readonly directory: string; readonly otherVersion: boolean; readonly otherTopology: boolean };
  readonly productVersion: string;
  readonly topology: readonly string[];
}

export interface Judgement {
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
}

export function judgeRestore(of: RestoreQuestion): Judgement {
  const { set, sources, options } = of;
  const refusals: string[] = [];
  const warnings: string[] = [];
  if (set.deleting) refusals.push(`the set ${set.id} is being deleted`);
  for (const source of sources) {
    if (!set.sources.includes(source)) refusals.push(`the set ${set.id} holds no backup file of ${source}`);
  }

  // Rule: same product version as at backup, or refused, with an override that is recorded. Documented.
  if (set.productVersion !== of.productVersion) {
    const text = `the set was made by version ${set.productVersion}, and this is ${of.productVersion}`;
    (options.otherVersion ? warnings : refusals).push(text);
  }

  // Rule: OMS goes back only to the same hosts and services. Into another directory it touches nothing that runs.
  const differences = sources.includes('OMS') && options.directory === '' ? topologyDifferences(set.topology, of.topology) : [];
  (options.otherTopology ? warnings : refusals).push(...differences.map((text) => `the topology differs: ${text}`));

  if (sources.includes('OMS') !== sources.includes('LdapServer')) {
    warnings.push('OMS and LdapServer belong together: restored from different times, logins may fail');
  }
  return { refusals, warnings };
}

function topologyDifferences(then: readonly string[], now: readonly string[]): string[] {
  return [
    ...then.filter((line) => !now.includes(line)).map((line) => `at backup there was "${line}"`),
    ...now.filter((line) => !then.includes(line)).map((line) => `now there is "${line}"`),
  ];
}
