/** The grants that open vaults to agents: for one vault, one agent, one attempt, one part, for a day. */
import type { KeyObject } from 'node:crypto';
import type { Clock } from '#common/clock.ts';
import { signGrant } from '#common/grant.ts';
import type { Verb } from '#common/grant.ts';
import type { VaultAccess } from '#common/gen/holdfast/v1/agent.ts';

/** Longer than the longest backup that is still a daily one. Vaults remember attempts for twice as long. */
const LIFETIME_MS = 24 * 3_600_000;

export interface GrantRequest {
  /** Who may use it. */
  readonly agent: string;
  /** The vault's node, and its address as other agents reach it. */
  readonly vault: string;
  readonly url: string;
  readonly active: boolean;
  /** The run, or the chore, that it is for. */
  readonly run: string;
  readonly attempt: number;
  readonly verbs: readonly Verb[];
  /** Each ends in '/'. */
  readonly prefixes: readonly string[];
}

export type Grants = (request: GrantRequest) => VaultAccess;

export function createGrants(key: KeyObject, clock: Clock): Grants {
  return ({ agent, vault, url, active, run, attempt, verbs, prefixes }) => ({
    node: vault,
    url,
    active,
    grant: signGrant(
      { agent, vault, run, attempt, verbs: [...verbs], prefixes: [...prefixes], expiresMs: clock.now() + LIFETIME_MS },
      key,
    ),
  });
}

/** The directory of a backup file, ending in '/', from the key of one of its parts. */
export function prefixOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/') + 1);
}
