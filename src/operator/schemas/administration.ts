/**
 * What operators administer: the audit log, approvals, keys, tenants and policies.
 *
 * @module
 */
import { z } from "@hono/zod-openapi";
import { APPROVAL_STATUSES } from "@/approvals/approval.ts";
import { ROLES, SCOPES } from "@/identity/principal.ts";
import { TOOL_NAMES } from "@/tools/tool.ts";
import {
  anyObject,
  boundedText,
  idText,
  nextCursor,
  pageQuery,
  queryTime,
  time,
  timeOrNull,
} from "./kinds.ts";

/** Which entries of the audit log. */
export const AuditQuery = z.strictObject({
  since: queryTime("Of this time or later.").optional(),
  until: queryTime("Before this time.").optional(),
  kind: z.string().regex(
    /^[a-z][a-z_]{0,31}$/,
    "a kind has lower-case letters and _, for example decision",
  ).optional().openapi({ example: "decision" }),
  scan_id: idText.optional(),
  ...pageQuery,
});

/** A page of the audit log. */
export const AuditSchema = z.object({
  entries: z.array(anyObject).openapi({
    description:
      "As they stand in the log; seq, which counts the entries of all tenants, is told to the tenant default only.",
  }),
  next_cursor: nextCursor,
}).openapi("AuditEntries");

/** A request that waits, or waited, for a second person. */
export const ApprovalSchema = z.object({
  id: z.string(),
  tenant: z.string(),
  status: z.enum(APPROVAL_STATUSES),
  requester: z.object({
    kind: z.enum(["local", "key", "token"]),
    subject: z.string(),
    client: z.string(),
    roles: z.array(z.enum(ROLES)),
  }),
  tool: z.enum(TOOL_NAMES),
  target: z.string(),
  arguments: anyObject,
  policies: z.array(z.string()),
  by_client_user: z.boolean().openapi({
    description: "Whether the user of the MCP client may decide.",
  }),
  requested_at: time,
  expires_at: time,
  decided_at: timeOrNull,
  decided_by: z.string().nullable(),
  note: z.string().nullable(),
  scan_id: z.string().nullable().openapi({
    description: "The scan that came of it.",
  }),
}).openapi("Approval");

/** Which approvals. */
export const ApprovalsQuery = z.strictObject({
  status: z.enum(APPROVAL_STATUSES).optional(),
  ...pageQuery,
});

/** A page of approvals. */
export const ApprovalsSchema = z.object({
  approvals: z.array(ApprovalSchema),
  next_cursor: nextCursor,
}).openapi("Approvals");

/** What the second person says. */
export const DecisionBody = z.strictObject({
  decision: z.enum(["grant", "deny"]),
  note: boundedText("Why.", 500).optional(),
}).openapi("Decision");

/** A key without its secret. */
export const KeySchema = z.object({
  id: z.string(),
  name: z.string(),
  tenant: z.string(),
  roles: z.array(z.enum(ROLES)),
  scopes: z.array(z.enum(SCOPES)).nullable(),
  created_at: time,
  created_by: z.string(),
  expires_at: timeOrNull,
  last_used_at: timeOrNull,
  revoked_at: timeOrNull,
}).openapi("Key");

/** All keys. */
export const KeysSchema = z.object({ keys: z.array(KeySchema) })
  .openapi("Keys");

/** A key with its secret, which is shown this once. */
export const MadeKeySchema = z.object({
  key: KeySchema,
  secret: z.string().openapi({
    description: "Shown this once. It goes into Authorization: Bearer.",
  }),
}).openapi("MadeKey");

/** Ten years. */
const KEY_SECONDS_MAX = 315_360_000;

/** What a new key is made of. */
export const NewKeyBody = z.strictObject({
  name: boundedText("What lists and the audit log call it.", 64),
  tenant: boundedText("The caller's own if left out.", 64).optional(),
  roles: z.array(z.enum(ROLES)).min(1).max(ROLES.length),
  scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length).nullable()
    .optional().openapi({
      description:
        "What the key is narrowed to; null or left out for all that the roles allow.",
    }),
  expires_in_seconds: z.int().min(1).max(KEY_SECONDS_MAX).nullable()
    .optional().openapi({ description: "null or left out for never." }),
}).openapi("NewKey");

/** Seconds that a secret outlives its successor where the request does not say. */
export const OVERLAP_DEFAULT = 3_600;

/** How a key's secret is changed. */
export const RotationBody = z.strictObject({
  overlap_seconds: z.int().min(0).max(604_800).optional().openapi({
    description:
      `Seconds that the old secret stays good, ${OVERLAP_DEFAULT} if left out.`,
  }),
}).openapi("Rotation");

/** All tenants that the caller sees. */
export const TenantsSchema = z.object({
  tenants: z.array(z.object({
    name: z.string(),
    subnets: z.array(z.string()),
    quotas: z.array(z.object({
      name: z.string(),
      limit: z.number().nullable().openapi({
        description: "null has no bound.",
      }),
      used: z.number(),
      reset_seconds: z.number(),
    })),
  })),
}).openapi("Tenants");

/** The policies in force. */
export const PoliciesSchema = z.object({
  hash: z.string().openapi({ description: "As the audit log names them." }),
  policies: z.array(z.object({
    id: z.string(),
    effect: z.enum(["permit", "forbid"]),
    file: z.string(),
    annotations: z.record(z.string(), z.string()),
    text: z.string(),
  })),
}).openapi("Policies");

/** A policy to look at. */
export const PolicyTextBody = z.strictObject({
  text: boundedText("Policies in Cedar's language.", 262_144),
}).openapi("PolicyText");

/** What is wrong with a policy. */
export const PolicyCheckSchema = z.object({
  ok: z.boolean(),
  problems: z.array(z.string()),
}).openapi("PolicyCheck");

/** Requests to be judged. */
export const PolicyTestBody = z.strictObject({
  cases: z.array(z.strictObject({
    name: boundedText("What the case is called.", 200),
    request: anyObject.openapi({
      description: "What a policy is asked, as in the project's policy tests.",
    }),
    expect: z.enum(["allow", "deny", "approval"]).optional(),
  })).min(1).max(1_000),
}).openapi("PolicyTest");

/** A request to be explained. */
export const PolicyExplainBody = z.strictObject({
  request: anyObject.openapi({
    description: "What a policy is asked, as in a case of /v1/policies/test.",
  }),
}).openapi("PolicyExplain");

const decided = {
  decision: z.enum(["allow", "deny", "approval"]),
  policies: z.array(z.string()).openapi({
    description: "The policies that decided; none where none permits.",
  }),
  by_client_user: z.boolean().optional().openapi({
    description:
      "With approval: whether the user of the MCP client may give it.",
  }),
};

/** What policies decide of a request, and why. */
export const PolicyExplanationSchema = z.object({
  ...decided,
  networks: z.array(z.object({
    network: z.string().nullable().openapi({
      description: "null where no address is contacted.",
    }),
    in_scope: z.boolean(),
    ...decided,
    applies: z.array(z.string()).openapi({
      description: "Every policy that applies, whether it decided or not.",
    }),
  })).openapi({ description: "Each is judged by itself; each must pass." }),
}).openapi("PolicyExplanation");

/** What came of each. */
export const PolicyVerdictsSchema = z.object({
  verdicts: z.array(z.object({
    name: z.string(),
    decision: z.enum(["allow", "deny", "approval"]),
    policies: z.array(z.string()).openapi({
      description: "The policies that decided; none where none permits.",
    }),
    ok: z.boolean().nullable().openapi({
      description: "null where nothing was expected.",
    }),
  })),
  passed: z.int(),
  failed: z.int(),
}).openapi("PolicyVerdicts");
