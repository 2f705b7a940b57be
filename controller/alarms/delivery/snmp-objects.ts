/** A notice as the notifications of docs/mib/HOLDFAST-MIB.txt. Numbers here and there are the same (tested). */
import { ObjectType } from 'net-snmp';
import type { Varbind } from 'net-snmp';
import { assertNever } from '#common/assert-never.ts';
import { rfc3339 } from '#common/clock.ts';
import type { Notice } from './channel.ts';

/**
 * enterprises.32473 is nobody's: RFC 5612 keeps it for documentation, so no device has it. A number of our own would be asked for from IANA;
 * then this line and that of the MIB change.
 */
const HOLDFAST = '1.3.6.1.4.1.32473.4653';

const NOTIFICATIONS = { raised: `${HOLDFAST}.0.1`, cleared: `${HOLDFAST}.0.2`, test: `${HOLDFAST}.0.3` } as const;

/** HoldfastText of the MIB ends there; one datagram then holds the whole. */
const LONGEST_TEXT = 255;

export interface SnmpNotification {
  readonly oid: string;
  readonly varbinds: Varbind[];
}

export function snmpNotification(notice: Notice): SnmpNotification {
  const { id, alarm, subject, detail, next, origin, raisedMs } = notice;
  return {
    oid: NOTIFICATIONS[notice.kind],
    varbinds: [
      { oid: object(1), type: ObjectType.Unsigned32, value: alarm.id },
      text(2, alarm.name),
      { oid: object(3), type: ObjectType.Integer32, value: severityNumber(alarm.severity) },
      text(4, subject),
      text(5, detail),
      text(6, next),
      text(7, origin),
      text(8, rfc3339(raisedMs)),
      text(9, endOf(notice)),
      text(10, id),
    ],
  };
}

function object(number: number): string {
  return `${HOLDFAST}.1.${number}.0`;
}

function text(number: number, value: string): Varbind {
  return { oid: object(number), type: ObjectType.OctetString, value: cut(value) };
}

/** Cut between characters, never within one. */
function cut(value: string): string {
  const bytes = Buffer.from(value);
  if (bytes.length <= LONGEST_TEXT) return value;
  return new TextDecoder().decode(bytes.subarray(0, LONGEST_TEXT - 3), { stream: true }) + '…';
}

function endOf(notice: Notice): string {
  switch (notice.kind) {
    case 'cleared':
      return rfc3339(notice.clearedMs);
    case 'raised':
    case 'test':
      return '';
    default:
      return assertNever(notice);
  }
}

/** As HoldfastSeverity of the MIB. Whatever is new there is not less than a warning. */
function severityNumber(severity: string): number {
  switch (severity) {
    case 'critical':
      return 1;
    case 'major':
      return 2;
    case 'minor':
      return 3;
    case 'info':
      return 5;
    default:
      return 4;
  }
}
