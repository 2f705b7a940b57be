/**
 * The webhook format, version 4: what Alertmanager itself posts to its receivers, so whatever takes Alertmanager's webhooks (chat and pager
 * bridges, ticket systems) takes ours as well. Not its v2 API (`/api/v2/alerts`): that forgets an alert after five minutes unless it is sent
 * again and again, while ours is told once when it is raised and once when it is cleared.
 */
import { createHash } from 'node:crypto';
import { rfc3339 } from '#common/clock.ts';
import type { Notice } from './channel.ts';

/** Alertmanager's word for "has not ended": the zero time of Go. */
const NOT_ENDED = '0001-01-01T00:00:00Z';

export interface AlertmanagerAlert {
  readonly status: 'firing' | 'resolved';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL: string;
  readonly fingerprint: string;
}

export interface AlertmanagerWebhook {
  readonly version: '4';
  readonly groupKey: string;
  readonly truncatedAlerts: number;
  readonly status: 'firing' | 'resolved';
  readonly receiver: string;
  readonly groupLabels: Readonly<Record<string, string>>;
  readonly commonLabels: Readonly<Record<string, string>>;
  readonly commonAnnotations: Readonly<Record<string, string>>;
  readonly externalURL: string;
  readonly alerts: readonly AlertmanagerAlert[];
}

/** One notice is a group of one alert: labels say which alarm it is and stay the same until it is cleared, annotations tell of it. */
export function alertmanagerWebhook(notice: Notice, receiver: string): AlertmanagerWebhook {
  const status = notice.kind === 'cleared' ? 'resolved' : 'firing';
  const labels = labelsOf(notice);
  const annotations = {
    summary: `${notice.alarm.name}: ${notice.subject}`,
    description: notice.detail,
    next: notice.next,
    notice: notice.id,
  };
  const groupLabels = { alertname: labels.alertname, origin: labels.origin, subject: labels.subject };
  return {
    version: '4',
    groupKey: `{}:{${Object.entries(groupLabels)
      .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
      .join(', ')}}`,
    truncatedAlerts: 0,
    status,
    receiver,
    groupLabels,
    commonLabels: labels,
    commonAnnotations: annotations,
    // There is no page to link to: an empty string is what the format has for that.
    externalURL: '',
    alerts: [
      {
        status,
        labels,
        annotations,
        startsAt: rfc3339(notice.raisedMs),
        endsAt: notice.kind === 'cleared' ? rfc3339(notice.clearedMs) : NOT_ENDED,
        generatorURL: '',
        fingerprint: createHash('sha256')
          .update(JSON.stringify(Object.entries(labels)))
          .digest('hex')
          .slice(0, 16),
      },
    ],
  };
}

function labelsOf({ alarm, subject, origin, kind }: Notice) {
  return {
    alertname: alarm.name,
    alarm_id: String(alarm.id),
    origin,
    service: 'holdfast',
    severity: alarm.severity,
    subject,
    ...(kind === 'test' ? { test: 'true' } : {}),
  };
}
