/** A message of gRPC holds 4 MiB. A Hello that does not fit is refused at every connection: its agent would be shut out for good. */
import { Finished } from '#common/gen/holdfast/v1/agent.ts';

const ROOM_BYTES = 1024 * 1024;

/** The ends that a Hello has room for, and the ids of the others, which are told one by one after the Welcome. */
export function endsInHello(ends: readonly Finished[]): { readonly told: Finished[]; readonly untold: string[] } {
  const told: Finished[] = [];
  const untold: string[] = [];
  let room = ROOM_BYTES;
  for (const end of ends) {
    room -= Finished.encode(end).finish().length;
    if (room >= 0) told.push(end);
    else untold.push(end.assignmentId);
  }
  return { told, untold };
}
