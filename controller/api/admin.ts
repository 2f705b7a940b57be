/** AdminService: what people and scripts ask of the controller, by subject. */
import type { AdminServiceServer } from '#common/gen/holdfast/v1/admin.ts';
import type { EngineIo } from '../engine/engine-io.ts';
import { alarmCalls } from './alarms.ts';
import { nodeCalls } from './nodes.ts';
import { restoreCalls } from './restores.ts';
import { runCalls } from './runs.ts';
import { setCalls } from './sets.ts';
import { taskCalls } from './tasks.ts';

export function createAdminService(io: EngineIo): AdminServiceServer {
  return { ...taskCalls(io), ...runCalls(io), ...setCalls(io), ...restoreCalls(io), ...nodeCalls(io), ...alarmCalls(io) };
}
