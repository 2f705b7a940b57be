/** A store whose controller is killed at one of its writes: from then on nothing reaches the catalogue, nothing is followed up. */
import type { Changes, Store, StoreView } from '../../controller/store/store.ts';

export interface Death {
  /** At which writing transaction, from 1. */
  readonly write: number;
  /** Whether that one is still durable. */
  readonly durable: boolean;
  /** False once the flow has ended that it is to come in. */
  armed: boolean;
}

const WRITES: readonly (keyof Changes)[] = [
  'putTask',
  'deleteTask',
  'putRun',
  'addLog',
  'putSet',
  'deleteSet',
  'putRestore',
  'deleteRestore',
  'raiseAlarm',
  'clearAlarm',
  'addDelivery',
  'changeDelivery',
  'putAgent',
  'deleteAgent',
  'putLeftover',
  'deleteLeftover',
  'putAnswer',
  'audit',
];

export function dyingStore(store: Store, death: Death, onDeath: () => void): Store {
  let writes = 0;
  let dead = false;
  const killed = new Error('the controller was killed');
  const reads = Object.entries(store).map(([name, ask]) => [
    name,
    (...given: never[]) => (dead ? Promise.reject(killed) : (ask as (...args: never[]) => unknown)(...given)),
  ]);
  return {
    ...(Object.fromEntries(reads) as Store),
    close: () => store.close(),
    async transaction(work) {
      if (dead) throw killed;
      let wrote = false;
      const result = await store.transaction(async (view) => {
        const watched = Object.fromEntries(
          WRITES.map((name) => [
            name,
            (...given: never[]) => {
              wrote = true;
              return (view[name] as (...args: never[]) => unknown)(...given);
            },
          ]),
        );
        const value = await work(Object.assign({ ...view }, watched) as StoreView);
        if (wrote) writes += 1;
        if (wrote && death.armed && writes === death.write) {
          dead = true;
          onDeath();
          if (!death.durable) throw killed;
        }
        return value;
      });
      if (dead) throw killed;
      return result;
    },
  };
}
