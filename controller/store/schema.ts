/** The rows of the catalogue. A record stands whole in `body`; what is asked for has a column. Text, whole numbers and bytes only. */
import type { Generated } from 'kysely';

export interface Schema {
  tasks: { name: string; body: string };
  runs: { seq: Generated<number>; id: string; task: string; state: string; body: string };
  log: { seq: Generated<number>; run: string; body: string };
  sets: { seq: Generated<number>; id: string; task: string; deleting: number; held_by: string; body: string };
  restores: { name: string; body: string };
  alarms: { seq: Generated<number>; id: number; subject: string; detail: string; raised_ms: number; cleared_ms: number | null };
  alarm_delivery: {
    seq: Generated<number>;
    notice: string;
    channel: string;
    state: string;
    ended_ms: number | null;
    body: string;
  };
  agents: { node: string; body: string };
  space_samples: { node: string; time_ms: number; body: string };
  leftovers: { run: string; prefix: string; body: string };
  answers: { request: string; method: string; digest: string; response: Uint8Array; answered_ms: number };
  audit: { seq: Generated<number>; time_ms: number; who: string; method: string; subject: string; detail: string };
  /** What a run that is running holds alone: a slot, and each of its sources. */
  claims: { name: string; run: string };
  /** One row: who may change the catalogue. Every change locks it. */
  leadership: { one: number; holder: string; address: string; term: number; expires_ms: number };
}
