/** Calls that take as long as a backup: asked again, with one request id, when the controller restarts in between. */
import { newRequestId } from './connect.ts';
import type { Context } from './context.ts';
import { Patience } from './follow.ts';
import { say } from './terminal.ts';

/** The controller must have answered before, or a wrong address would be tried for minutes. */
export async function callThrough<Response>(
  { terminal }: Context,
  call: (requestId: string) => Promise<Response>,
): Promise<Response> {
  const requestId = newRequestId();
  const again = new Patience(terminal, { note: (text) => say(terminal, text) }, true);
  for (;;) {
    try {
      return await call(requestId);
    } catch (error) {
      await again.wait(error);
    }
  }
}
