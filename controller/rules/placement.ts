/** On which node a data source is backed up or restored. */
export interface PlacedAgent {
  readonly node: string;
  readonly connected: boolean;
  readonly sources: readonly string[];
}

/** The first connected agent, by name, that offers the source: the same one each time. */
export function placeOf(source: string, agents: readonly PlacedAgent[]): string | undefined {
  return agents
    .filter((agent) => agent.connected && agent.sources.includes(source))
    .map(({ node }) => node)
    .sort()
    .at(0);
}
