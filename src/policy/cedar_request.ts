/**
 * Writes a request in Cedar's form. Untrusted text goes in as values of JSON and nowhere else: there is
 * no text of a policy or an entity that it could break out of.
 *
 * @module
 */
import { blockText, parseAddress } from "@/scope/block.ts";
import { type CedarRequest, uid } from "./cedar.ts";
import type { PolicyRequest } from "./request.ts";
import { momentOf } from "./time.ts";

/** What of a request is judged at once. */
export interface Subject {
  /** A network, or null where no address is contacted. */
  readonly network: string | null;
  readonly inScope: boolean;
}

/**
 * Writes a request.
 *
 * @param request The request.
 * @param subject The network that is judged.
 * @param approved Whether it counts as approved.
 * @returns The request for Cedar.
 */
export function cedarRequest(
  request: PolicyRequest,
  subject: Subject,
  approved: boolean,
): CedarRequest {
  const { principal, tool, mode } = request;
  const client = uid("Client", sound(principal.subject));
  const tenant = uid("Tenant", sound(principal.tenant));
  const target = uid(
    "Target",
    subject.network ?? sound(request.names.join(",")),
  );
  return {
    principal: client,
    action: uid("Action", `${tool}:${mode}`),
    resource: target,
    context: contextOf(request, approved),
    entities: [
      { uid: tenant, attrs: {}, parents: [] },
      {
        uid: client,
        attrs: {
          client: sound(principal.client),
          roles: principal.roles.map(sound),
          tenant: sound(principal.tenant),
        },
        parents: [tenant],
      },
      {
        uid: target,
        attrs: {
          ...(subject.network === null ? {} : { network: ip(subject.network) }),
          names: request.names.map(sound),
          ...(request.engagement === null
            ? {}
            : { engagement: sound(request.engagement) }),
          tags: request.tags.map(sound),
          in_scope: subject.inScope,
        },
        parents: [],
      },
    ],
  };
}

function contextOf(
  request: PolicyRequest,
  approved: boolean,
): CedarRequest["context"] {
  const moment = momentOf(request.at);
  const source = addressOf(request.source);
  return {
    intrusive: request.intrusive,
    intrusive_allowed: request.intrusiveAllowed,
    addresses: whole(request.addresses),
    ports: whole(request.ports),
    rate: whole(request.rate),
    transport: request.transport,
    ...(source === null ? {} : { source: ip(source) }),
    time: {
      hour: moment.hour,
      minute: moment.minute,
      day_of_week: moment.dayOfWeek,
      date: moment.date,
      epoch_seconds: moment.epochSeconds,
      now: { __extn: { fn: "datetime", arg: moment.iso } },
    },
    approved,
  };
}

function ip(text: string): { __extn: { fn: string; arg: string } } {
  return { __extn: { fn: "ip", arg: text } };
}

/** A policy that wants an address has none where there is only something like it. */
function addressOf(text: string | null): string | null {
  if (text === null) return null;
  const plain = text.replace(/^::ffff:(?=[0-9.]+$)/i, "");
  const block = parseAddress(plain);
  return block === null ? null : blockText(block);
}

/** Cedar counts in whole numbers; what is larger than any bound stays so. */
function whole(value: number): number {
  return value <= Number.MAX_SAFE_INTEGER
    ? Math.ceil(value)
    : Number.MAX_SAFE_INTEGER;
}

/** Half of a pair of code units is a text of JavaScript that no other program takes. */
function sound(text: string): string {
  return text.toWellFormed();
}
