import type { VaultFacts } from '#common/gen/holdfast/v1/agent.ts';
import type { HostFacts } from '#common/gen/holdfast/v1/types.ts';

/** What an agent last said of itself. */
export interface AgentFacts {
  readonly node: string;
  readonly connected: boolean;
  readonly version: string;
  readonly sources: readonly string[];
  readonly host: HostFacts | undefined;
  readonly vault: VaultFacts | undefined;
  /** undefined: an older agent does not tell. */
  readonly certificateEndsMs: number | undefined;
  readonly lastSeenMs: number;
  /** The same on the monotonic clock, for the lease. */
  readonly lastHeard: number;
  /** When `host` was heard, by the wall clock and by the steady one. */
  readonly lastHeardHostMs: number;
  readonly lastHeardHost: number;
}

/** One that this controller has not heard. */
export function strangerOf(node: string): AgentFacts {
  return {
    node,
    connected: false,
    version: '',
    sources: [],
    host: undefined,
    vault: undefined,
    certificateEndsMs: undefined,
    lastSeenMs: 0,
    lastHeard: 0,
    lastHeardHostMs: 0,
    lastHeardHost: 0,
  };
}
