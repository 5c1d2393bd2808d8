/**
 * A client that knows nothing but the server's address signs its user in, by the SDKs' own code: 401,
 * the metadata of the protected resource, the issuer's metadata, registration, authorization, token.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  Client,
  type OAuthClientProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from "@modelcontextprotocol/client";
import { UnauthorizedError as UnauthorizedV1 } from "@modelcontextprotocol/sdk/client/auth.js";
// @ts-types="npm:@modelcontextprotocol/sdk@1.32.2/client"
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as HttpV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { verifies } from "../requirements.ts";
import { HttpServer } from "../support/http.ts";
import { type ServedIssuer, serveIssuer } from "./issuer.ts";
import { freePort } from "../support/network.ts";
import type { PeerName } from "./peer.ts";

const CLIENT = { name: "e2e", version: "1.0.0" };

/** A call that sends nothing to anybody, and needs the scope of a scan. */
const PLAN = {
  name: "nmap",
  arguments: { target: "127.0.0.1", ports: "22", plan: true },
};

const GENERATIONS = [
  "v1 at 2025-11-25",
  "v2 at 2025-11-25",
  "v2 at 2026-07-28",
] as const;

/** The SDKs' HTTP clients leave requests behind when they close. */
const OPTIONS = { sanitizeOps: false, sanitizeResources: false } as const;

/** What clients ask for, in order, before they are let in. */
const WAY_IN = [
  "POST server/mcp 401",
  "GET server/.well-known/oauth-protected-resource/mcp 200",
  "GET issuer/.well-known/oauth-authorization-server 200",
  "POST issuer/register 201",
  "POST issuer/token 200",
  "POST server/mcp 200",
];

/**
 * A server and the issuer that it trusts.
 *
 * @param grant What the user agrees to of the scopes that are asked for.
 */
async function start(grant?: (asked: string) => string): Promise<
  AsyncDisposable & {
    readonly server: HttpServer;
    readonly issuer: ServedIssuer;
  }
> {
  await using stack = new AsyncDisposableStack();
  const issuer = stack.use(
    await serveIssuer({ tenant: "default", roles: ["operator"] }, grant),
  );
  const port = String(freePort());
  const server = stack.use(
    await HttpServer.start({
      env: {
        MCP_SERVER_PORT: port,
        MCP_IDENTITY_ISSUER: issuer.url,
        // Clients ask for a token for the resource that the metadata names.
        MCP_IDENTITY_AUDIENCE: `http://127.0.0.1:${port}/mcp`,
        MCP_LOG_LEVEL: "error",
      },
    }),
  );
  const owned = stack.move();
  return { server, issuer, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** What a client keeps, and a user who agrees. */
class User {
  /** Where the issuer sent the user back to. */
  back: URL | null = null;
  /** The scopes that were asked for, each time. */
  readonly asked: string[] = [];
  #kept = new Map<string, unknown>();

  /** The client's side of it; the generations differ in their types alone. */
  get provider(): OAuthClientProvider {
    const kept = this.#kept;
    const redirectUrl = "http://127.0.0.1/callback";
    return {
      redirectUrl,
      clientMetadata: {
        redirect_uris: [redirectUrl],
        client_name: "e2e",
        token_endpoint_auth_method: "none",
        grant_types: ["authorization_code"],
        response_types: ["code"],
      },
      clientInformation: () => kept.get("client") as undefined,
      saveClientInformation: (client) => void kept.set("client", client),
      tokens: () => kept.get("tokens") as undefined,
      saveTokens: (tokens) => void kept.set("tokens", tokens),
      codeVerifier: () => String(kept.get("verifier")),
      saveCodeVerifier: (verifier) => void kept.set("verifier", verifier),
      discoveryState: () => kept.get("discovery") as undefined,
      saveDiscoveryState: (state) => void kept.set("discovery", state),
      redirectToAuthorization: async (url) => {
        this.asked.push(url.searchParams.get("scope") ?? "");
        const answer = await fetch(url, { redirect: "manual" });
        await answer.body?.cancel();
        this.back = new URL(answer.headers.get("location") ?? "");
      },
    };
  }
}

const NOTHING = new URLSearchParams();

function isUnauthorized(error: unknown): boolean {
  return error instanceof UnauthorizedError || error instanceof UnauthorizedV1;
}

interface Attempt {
  connect(): Promise<unknown>;
  finishAuth(back: URLSearchParams): Promise<void>;
  tools(): Promise<readonly { readonly name: string }[]>;
  /** Whether a plan of a scan came. */
  plan(): Promise<boolean>;
  close(): Promise<void>;
}

/** A client of a generation and its way to the server. */
function attempt(
  name: PeerName,
  url: URL,
  options: { authProvider: OAuthClientProvider; fetch: typeof fetch },
): Attempt {
  if (name.startsWith("v1")) {
    const transport = new HttpV1(url, options as never);
    const client = new ClientV1(CLIENT);
    return {
      connect: () => client.connect(transport),
      finishAuth: (back) => transport.finishAuth(back.get("code") ?? ""),
      tools: async () => (await client.listTools()).tools,
      plan: async () => (await client.callTool(PLAN)).isError !== true,
      close: () => client.close(),
    };
  }
  const transport = new StreamableHTTPClientTransport(url, options);
  const client = new Client(
    CLIENT,
    name === "v2 at 2026-07-28"
      ? { versionNegotiation: { mode: { pin: "2026-07-28" } } }
      : {},
  );
  return {
    connect: () => client.connect(transport),
    finishAuth: (back) => transport.finishAuth(back),
    tools: async () => (await client.listTools()).tools,
    plan: async () => (await client.callTool(PLAN)).isError !== true,
    close: () => client.close(),
  };
}

Deno.test(
  "a client without credentials finds the issuer, signs in and calls",
  OPTIONS,
  async (t) => {
    await using running = await start();
    const { server, issuer } = running;
    const url = new URL(`${server.url}/mcp`);
    for (const name of GENERATIONS) {
      await t.step({
        name,
        ...OPTIONS,
        fn: async () => {
          const steps: string[] = [];
          const user = new User();
          const options = {
            authProvider: user.provider,
            fetch: async (input: URL | RequestInfo, init?: RequestInit) => {
              const answer = await fetch(input, init);
              const asked = new URL(
                input instanceof Request ? input.url : input,
              );
              const whose = asked.origin === issuer.url ? "issuer" : "server";
              const method = init?.method ?? "GET";
              steps.push(
                `${method} ${whose}${asked.pathname} ${answer.status}`,
              );
              return answer;
            },
          };
          const first = attempt(name, url, options);
          await assert.rejects(first.connect(), isUnauthorized);
          assert.equal(user.back?.pathname, "/callback");
          await first.finishAuth(user.back.searchParams);
          await first.close();
          const second = attempt(name, url, options);
          await second.connect();
          assert.deepEqual(steps.slice(0, WAY_IN.length), WAY_IN);
          const tools = await second.tools();
          assert.deepEqual(tools[0]?.name, "nmap");
          await second.close();
        },
      });
    }
  },
);

Deno.test(
  "a client whose token lacks a scope asks for it, and makes its call again",
  OPTIONS,
  async (t) => {
    verifies("mcp.scope_challenge");
    let first = true;
    // The first time the user lets it read and no more.
    await using running = await start((asked) => first ? "read" : asked);
    const url = new URL(`${running.server.url}/mcp`);
    for (const name of GENERATIONS) {
      await t.step({
        name,
        ...OPTIONS,
        fn: async () => {
          first = true;
          const user = new User();
          const options = { authProvider: user.provider, fetch };
          const stranger = attempt(name, url, options);
          await assert.rejects(stranger.connect(), isUnauthorized);
          await stranger.finishAuth(user.back?.searchParams ?? NOTHING);
          await stranger.close();

          const reader = attempt(name, url, options);
          await reader.connect();
          const shown = await reader.tools();
          assert.ok(!shown.some((tool) => tool.name === "nmap"));
          first = false;
          // The user is asked again, and has to come back.
          await assert.rejects(reader.plan(), isUnauthorized);
          assert.ok(user.asked.at(-1)?.split(" ").includes("scan:nmap"));
          await reader.finishAuth(user.back?.searchParams ?? NOTHING);
          assert.equal(await reader.plan(), true);
          await reader.close();
        },
      });
    }
  },
);

Deno.test(
  "whoever has no token, or a bad one, is told where to get one",
  OPTIONS,
  async () => {
    await using running = await start();
    const { server, issuer } = running;
    const metadata =
      `resource_metadata="${server.url}/.well-known/oauth-protected-resource/mcp"`;
    const body = { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} };
    const cases = [
      [null, `Bearer ${metadata}`],
      ["eyJhbGciOiJub25lIn0.e30.", `Bearer error="invalid_token", ${metadata}`],
    ] as const;
    for (const [key, challenge] of cases) {
      const { status, headers } = await server.ask("/mcp", { key, body });
      assert.equal(status, 401);
      assert.equal(headers.get("www-authenticate"), challenge);
    }
    const paths = [
      ["/.well-known/oauth-protected-resource", ""],
      ["/.well-known/oauth-protected-resource/mcp", "/mcp"],
    ] as const;
    for (const [path, resource] of paths) {
      const { json } = await server.ask(path);
      assert.equal(json.resource, `${server.url}${resource}`);
      assert.deepEqual(json.authorization_servers, [issuer.url]);
    }
  },
);
