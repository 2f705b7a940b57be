/** What the world sees of a controller: both services, answered by the reign when it leads, else by who does. */
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { toAppError } from '#common/errors.ts';
import type { AppError } from '#common/errors.ts';
import { AdminServiceService } from '#common/gen/holdfast/v1/admin.ts';
import type { AdminServiceServer } from '#common/gen/holdfast/v1/admin.ts';
import type { AgentServiceServer } from '#common/gen/holdfast/v1/agent.ts';
import type { Logger } from '#common/log.ts';
import { adminCall, adminStream, requirePeer, statusOf } from '../api/answer.ts';
import { notLeader } from '../store/leadership.ts';

export interface Services {
  readonly admin: AdminServiceServer;
  readonly agent: AgentServiceServer;
}

/** How a controller stands to the lead. */
export type Stand =
  | { readonly kind: 'reigning'; readonly services: Services }
  /** `why`: what all who ask are told: who leads instead, that nobody does, that it is stopping. */
  | { readonly kind: 'refusing'; readonly why: AppError };

export interface Front {
  readonly admin: UntypedServiceImplementation;
  readonly agent: AgentServiceServer;
  /** From now on. */
  stand(stand: Stand): void;
}

type Handler = (...given: unknown[]) => void;

export function createFront(log: Logger): Front {
  let services = refusingServices(log, notLeader({ leader: '', holder: '' }));
  const admin = Object.keys(AdminServiceService).map((name): [string, Handler] => [
    name,
    (...given) => (services.admin[name] as Handler)(...given),
  ]);
  return {
    admin: Object.fromEntries(admin),
    agent: { session: (stream) => services.agent.session(stream) },
    stand: (stand) => void (services = stand.kind === 'reigning' ? stand.services : refusingServices(log, stand.why)),
  };
}

/** Who may not ask is told that, and not who leads. */
function refusingServices(log: Logger, why: AppError): Services {
  const refuse = () => Promise.reject(why);
  const admin = Object.entries(AdminServiceService).map(([name, { responseStream }]) => [
    name,
    responseStream ? adminStream(log, refuse) : adminCall(log, refuse),
  ]);
  return {
    admin: Object.fromEntries(admin) as AdminServiceServer,
    agent: {
      session(stream) {
        let error = why;
        try {
          requirePeer(stream, 'agent', 'AgentService');
        } catch (caught) {
          error = toAppError(caught, 'session of an agent');
        }
        stream.emit('error', statusOf(error));
      },
    },
  };
}
