/** The channels that the configuration asks for. Making them opens nothing. */
import type { Channel } from './channel.ts';
import type { AlarmsConfig } from './config.ts';
import { emailChannels } from './email.ts';
import { snmpChannel } from './snmp.ts';
import { webhookChannel } from './webhook.ts';

export function createChannels(config: AlarmsConfig): Channel[] {
  return [...config.webhooks.map(webhookChannel), ...config.email.flatMap(emailChannels), ...config.snmp.map(snmpChannel)];
}
