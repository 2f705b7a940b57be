/** The list calls of the API, as a person or a script makes them, and how long each takes at the caller. */
import type { ServiceError } from '@grpc/grpc-js';
import type { AdminServiceClient } from '#common/gen/holdfast/v1/admin.ts';

type Answer = { readonly nextPageToken: string };
type Done = (error: ServiceError | null, answer: Answer) => void;

/** One page of the default size each. */
export const LIST_CALLS = ['ListRuns', 'ListRuns deep', 'ListSets', 'ListTasks'] as const;
export type ListCall = (typeof LIST_CALLS)[number];

/** Milliseconds of each call; the clients in turn, so that what disturbs one disturbs the others as well. */
export async function timeCalls(
  targets: readonly { readonly client: AdminServiceClient; readonly runs: number }[],
  times: number,
): Promise<readonly Readonly<Record<ListCall, number[]>>[]> {
  const results = targets.map((): Record<ListCall, number[]> => ({
    ListRuns: [],
    'ListRuns deep': [],
    ListSets: [],
    ListTasks: [],
  }));
  // The first calls find nothing compiled and nothing cached: they are not counted.
  for (let turn = -5; turn < times; turn++) {
    for (const call of LIST_CALLS) {
      for (const [index, { client, runs }] of targets.entries()) {
        const began = performance.now();
        await list(client, call, runs);
        if (turn >= 0) results[index]?.[call].push(performance.now() - began);
      }
    }
  }
  return results;
}

/** One call as a promise. */
export function answerOf<T>(begin: (done: (error: ServiceError | null, answer: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    begin((error, answer) => (error === null ? resolve(answer) : reject(error)));
  });
}

function list(client: AdminServiceClient, call: ListCall, runs: number): Promise<Answer> {
  const first = { pageSize: 0, pageToken: '' };
  switch (call) {
    case 'ListRuns':
      return answerOf((done: Done) => client.listRuns({ ...first, task: '' }, done));
    case 'ListRuns deep':
      // A token is the number of the last run shown: this is the page that one comes to who turns half of them.
      return answerOf((done: Done) => client.listRuns({ ...first, task: '', pageToken: String(Math.round(runs / 2)) }, done));
    case 'ListSets':
      return answerOf((done: Done) => client.listSets({ ...first, task: '' }, done));
    case 'ListTasks':
      return answerOf((done: Done) => client.listTasks(first, done));
  }
}
