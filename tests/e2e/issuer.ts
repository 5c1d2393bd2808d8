/**
 * An OpenID Connect issuer on loopback, as far as a client of the protocol needs one to let its user
 * sign in: metadata, dynamic registration, authorization with PKCE, and tokens that this project's
 * server takes.
 *
 * @module
 */
import { base64url, SignJWT } from "jose";
import { makePair } from "../unit/identity/issuer.ts";

/** An issuer that listens. */
export interface ServedIssuer extends AsyncDisposable {
  /** Its name, which is where it listens. */
  readonly url: string;
  /** The paths that were asked for, in order. */
  readonly asked: readonly string[];
}

/** An authorization that waits for its token. */
interface Code {
  readonly challenge: string;
  readonly resource: string;
  readonly redirect: string;
  /** What the user agreed to; null where tokens say nothing of scopes. */
  readonly scope: string | null;
}

/**
 * Starts one; its user agrees to everything. Needs `--allow-net=127.0.0.1`.
 *
 * @param claims What tokens say besides issuer, audience, subject and expiry.
 * @param grant What the user agrees to of the scopes that are asked for. Left out, tokens have none.
 * @returns The issuer.
 */
export async function serveIssuer(
  claims: Readonly<Record<string, unknown>>,
  grant: ((asked: string) => string) | null = null,
): Promise<ServedIssuer> {
  const pair = await makePair("e2e");
  const asked: string[] = [];
  const codes = new Map<string, Code>();
  const server: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request): Promise<Response> => {
      const { pathname, searchParams } = new URL(request.url);
      asked.push(pathname);
      switch (pathname) {
        case "/.well-known/oauth-authorization-server":
        case "/.well-known/openid-configuration":
          return Response.json(metadataOf(url));
        case "/certs":
          return Response.json({ keys: [pair.jwk] });
        case "/register":
          return Response.json(
            { ...await request.json(), client_id: "e2e-client" },
            { status: 201 },
          );
        case "/authorize":
          return agree(
            searchParams,
            grant?.(searchParams.get("scope") ?? "") ?? null,
            codes,
          );
        case "/token": {
          const code = await redeem(await request.formData(), codes);
          if (code === null) {
            return Response.json({ error: "invalid_grant" }, { status: 400 });
          }
          const { scope } = code;
          const scoped = scope === null ? {} : { scope };
          const named = { ...claims, ...scoped, client_id: "e2e-client" };
          const token = new SignJWT(named)
            .setProtectedHeader({ alg: "ES256", kid: "e2e" })
            .setIssuer(url)
            .setSubject("alice")
            .setAudience(code.resource)
            .setIssuedAt()
            .setExpirationTime("5m");
          return Response.json({
            access_token: await token.sign(pair.privateKey),
            token_type: "Bearer",
            expires_in: 300,
            ...scoped,
          });
        }
        default:
          return new Response(null, { status: 404 });
      }
    },
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  return {
    url,
    asked,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function metadataOf(url: string): object {
  return {
    issuer: url,
    authorization_endpoint: `${url}/authorize`,
    token_endpoint: `${url}/token`,
    registration_endpoint: `${url}/register`,
    jwks_uri: `${url}/certs`,
    response_types_supported: ["code"],
    grant_types_supported: ["authorization_code"],
    code_challenge_methods_supported: ["S256"],
    token_endpoint_auth_methods_supported: ["none"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["ES256"],
  };
}

/** Sends the user back to the client with a code. */
function agree(
  asked: URLSearchParams,
  scope: string | null,
  codes: Map<string, Code>,
): Response {
  const code = crypto.randomUUID();
  const redirect = asked.get("redirect_uri") ?? "";
  codes.set(code, {
    challenge: asked.get("code_challenge") ?? "",
    resource: asked.get("resource") ?? "",
    redirect,
    scope,
  });
  const back = new URL(redirect);
  back.searchParams.set("code", code);
  back.searchParams.set("state", asked.get("state") ?? "");
  return new Response(null, { status: 302, headers: { location: back.href } });
}

/** Takes a code once, from whoever has what its challenge was made of, for the same resource. */
async function redeem(
  form: FormData,
  codes: Map<string, Code>,
): Promise<Code | null> {
  const code = codes.get(String(form.get("code")));
  codes.delete(String(form.get("code")));
  const verifier = new TextEncoder().encode(String(form.get("code_verifier")));
  const challenge = base64url.encode(
    new Uint8Array(await crypto.subtle.digest("SHA-256", verifier)),
  );
  const fits = code?.challenge === challenge &&
    code.resource === form.get("resource") &&
    code.redirect === form.get("redirect_uri");
  return fits ? code : null;
}
