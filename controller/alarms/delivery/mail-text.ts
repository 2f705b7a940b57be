/** What a person reads who is woken by it: plain text, the answer to what, about what, since when and what now, in that order. */
import { createHash } from 'node:crypto';
import { assertNever } from '#common/assert-never.ts';
import { rfc3339 } from '#common/clock.ts';
import type { Notice } from './channel.ts';

export interface MailText {
  readonly subject: string;
  readonly text: string;
  /** Repeated when the mail is: mail programs show one of the two. */
  readonly messageId: string;
  /** The mail that raised the alarm: the one that clears it stands below it. */
  readonly inReplyTo: string | undefined;
}

export function mailText(notice: Notice): MailText {
  return {
    subject: subjectOf(notice),
    text: bodyOf(notice),
    messageId: messageId(notice, notice.kind),
    inReplyTo: notice.kind === 'cleared' ? messageId(notice, 'raised') : undefined,
  };
}

function subjectOf({ kind, alarm, subject, origin }: Notice): string {
  switch (kind) {
    case 'raised':
      return `[${alarm.severity.toUpperCase()}] Holdfast ${origin}: ${alarm.name}: ${subject}`;
    case 'cleared':
      return `[cleared] Holdfast ${origin}: ${alarm.name}: ${subject}`;
    case 'test':
      return `[TEST] Holdfast ${origin}: ${alarm.name}`;
    default:
      return assertNever(kind);
  }
}

function bodyOf(notice: Notice): string {
  const { alarm, subject, detail, next, origin, raisedMs } = notice;
  return `${headline(notice)}

What:   ${alarm.name}
About:  ${subject}
${times(notice)}

${detail}

What to do next:
  ${notice.kind === 'cleared' ? 'Nothing: it is over. The history is in: holdfast alarm list --history' : next}

--
Sent by Holdfast on ${origin}. Alarm ${alarm.id}, ${alarm.severity}, raised ${rfc3339(raisedMs)}, notice ${notice.id}.
All that is up now: holdfast alarm list
`;
}

function headline({ kind, alarm }: Notice): string {
  switch (kind) {
    case 'raised':
      return `ALARM ${alarm.id} (${alarm.severity}) is up.`;
    case 'cleared':
      return `Alarm ${alarm.id} (${alarm.severity}) is cleared.`;
    case 'test':
      return 'This is a TEST. No alarm is up because of it.';
    default:
      return assertNever(kind);
  }
}

function times(notice: Notice): string {
  switch (notice.kind) {
    case 'raised':
      return `Since:  ${readable(notice.raisedMs)}`;
    case 'cleared':
      return `From:   ${readable(notice.raisedMs)}\nUntil:  ${readable(notice.clearedMs)}`;
    case 'test':
      return `Sent:   ${readable(notice.raisedMs)}`;
    default:
      return assertNever(notice);
  }
}

/** `2026-11-24 02:13:05 UTC` */
function readable(ms: number): string {
  return `${rfc3339(ms)
    .replace('T', ' ')
    .replace(/(\.\d+)?Z$/, '')} UTC`;
}

/** From what the alarm is, not from the notice: so the clearing mail knows the id of the raising one. */
function messageId({ id, alarm, subject, origin, raisedMs }: Notice, kind: Notice['kind']): string {
  const what = kind === 'test' ? id : createHash('sha256').update(`${origin}\n${subject}`).digest('hex').slice(0, 16);
  return `<${alarm.id}.${raisedMs}.${kind}.${what}@holdfast.invalid>`;
}
