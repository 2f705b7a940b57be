import * as api from '#common/gen/holdfast/v1/admin.ts';
import type { EngineIo } from '../engine/engine-io.ts';
import { managementNodes } from '../engine/engine-io.ts';
import { strangerOf } from '../sessions/agent-facts.ts';
import type { AgentFacts } from '../sessions/agent-facts.ts';
import { adminCall } from './answer.ts';
import { forgetAgent } from './forget-agent.ts';
import { pageByName, pageRequest } from './from-proto.ts';
import { mutate } from './mutate.ts';
import { notFound } from './not-found.ts';
import { settingsOf } from './settings.ts';
import { agentMessage, spaceMessage } from './to-proto.ts';

type Names = 'getAgent' | 'listAgents' | 'forgetAgent' | 'getSpace' | 'getConfig';

export function nodeCalls(io: EngineIo): Pick<api.AdminServiceServer, Names> {
  const { log, sessions, config } = io;
  const roleOf = (node: string) => {
    if (node === config.managementNodes.active) return 'active';
    return node === config.managementNodes.standby ? 'standby' : '';
  };
  /** A management node whose agent was never heard of is missed, not unknown. */
  const agents = (): AgentFacts[] => {
    const heard = sessions.facts();
    const missed = managementNodes(config).filter((node) => !heard.some((facts) => facts.node === node));
    return [...heard, ...missed.map(strangerOf)].toSorted((a, b) => (a.node < b.node ? -1 : 1));
  };

  return {
    getAgent: adminCall(log, async ({ node }: api.GetAgentRequest) => {
      const facts = agents().find((each) => each.node === node);
      if (facts === undefined) throw notFound('agent', `no agent of a node ${JSON.stringify(node)} was heard of`);
      return { agent: agentMessage(facts, roleOf(node)) };
    }),

    listAgents: adminCall(log, async (request: api.ListAgentsRequest) => {
      const { items, next } = pageByName(agents(), ({ node }) => node, pageRequest(request));
      return { agents: items.map((facts) => agentMessage(facts, roleOf(facts.node))), nextPageToken: next };
    }),

    forgetAgent: adminCall(log, async (request: api.ForgetAgentRequest, peer) => {
      const codecs = { requestCodec: api.ForgetAgentRequest, responseCodec: api.ForgetAgentResponse };
      return mutate(io, peer, { method: 'ForgetAgent', request, subject: request.node, ...codecs }, async (change) => {
        await forgetAgent(change, io, request.node);
        return {};
      });
    }),

    getSpace: adminCall(log, async (_request: api.GetSpaceRequest) => ({
      nodes: agents().map((facts) => spaceMessage(facts, roleOf(facts.node))),
    })),

    getConfig: adminCall(log, async (_request: api.GetConfigRequest) => ({ settings: settingsOf(config) })),
  };
}
