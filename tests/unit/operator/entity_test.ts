import assert from "node:assert/strict";
import { dressed, TAGGED_BYTES_MAX } from "@/operator/entity.ts";
import { verifies } from "../../requirements.ts";

const JSON_TYPE = { "content-type": "application/json" };
const LONG = JSON.stringify({ text: "a".repeat(2_000) });

function wanted(
  acceptEncoding: string | null = null,
  ifNoneMatch: string | null = null,
) {
  return { taggable: true, acceptEncoding, ifNoneMatch };
}

async function unpacked(answer: Response): Promise<string> {
  const stream = answer.body?.pipeThrough(new DecompressionStream("gzip"));
  return await new Response(stream).text();
}

Deno.test("dressed() tags JSON by its bytes and answers 304 to who has it", async () => {
  verifies("http.entity");
  const one = await dressed(
    new Response("{}", { headers: JSON_TYPE }),
    wanted(),
  );
  const tag = one.headers.get("etag") ?? "";
  assert.match(tag, /^"[\w-]{27}"$/);
  assert.equal(await one.text(), "{}");
  for (
    const [header, status] of [
      [tag, 304],
      [`W/${tag}`, 304],
      [`"x", ${tag}`, 304],
      ["*", 304],
      ['"x"', 200],
      [tag.slice(1, -1), 200],
    ] as const
  ) {
    const again = await dressed(
      new Response("{}", { headers: JSON_TYPE }),
      wanted(null, header),
    );
    assert.equal(again.status, status, header);
    assert.equal(again.headers.get("etag"), tag);
    assert.equal(await again.text(), status === 304 ? "" : "{}");
  }
});

Deno.test("dressed() leaves failures, streams and what may not be tagged alone", async () => {
  const table: readonly (readonly [string, Response, boolean])[] = [
    ["failure", new Response("{}", { status: 404, headers: JSON_TYPE }), true],
    [
      "events",
      new Response("data: 1\n\n", {
        headers: { "content-type": "text/event-stream" },
      }),
      true,
    ],
    ["written", new Response("{}", { headers: JSON_TYPE }), false],
    ["empty", new Response(null, { status: 204 }), true],
  ];
  for (const [name, answer, taggable] of table) {
    const same = await dressed(answer, {
      taggable,
      acceptEncoding: null,
      ifNoneMatch: "*",
    });
    assert.equal(same, answer, name);
    assert.equal(same.headers.get("etag"), null, name);
  }
});

Deno.test("dressed() compresses what is long and of a kind that shrinks", async () => {
  verifies("http.entity");
  for (
    const [type, body, encoding, packed] of [
      ["application/json", LONG, "gzip", true],
      ["application/json", LONG, "br, gzip;q=0.5", true],
      ["application/json", LONG, "*", true],
      ["application/problem+json", LONG, "gzip", true],
      ["text/html; charset=utf-8", LONG, "gzip", true],
      ["application/sarif+json", LONG, "gzip", true],
      ["application/json", LONG, "br", false],
      ["application/json", LONG, "gzip;q=0", false],
      ["application/json", LONG, "*, gzip;q=0", false],
      ["application/json", LONG, "gzipped", false],
      ["application/json", '{"short":1}', "gzip", false],
      ["text/event-stream", LONG, "gzip", false],
      ["application/octet-stream", LONG, "gzip", false],
    ] as const
  ) {
    const answer = await dressed(
      new Response(body, { headers: { "content-type": type } }),
      wanted(encoding),
    );
    const name = `${type} ${encoding}`;
    assert.equal(
      answer.headers.get("content-encoding"),
      packed ? "gzip" : null,
      name,
    );
    assert.equal(packed ? await unpacked(answer) : await answer.text(), body);
  }
});

Deno.test("dressed() gives each encoding a tag of its own", async () => {
  verifies("http.entity");
  const plain = await dressed(
    new Response(LONG, { headers: JSON_TYPE }),
    wanted(),
  );
  const packed = await dressed(
    new Response(LONG, { headers: JSON_TYPE }),
    wanted("gzip"),
  );
  await Promise.all([plain.text(), packed.arrayBuffer()]);
  const tag = packed.headers.get("etag");
  assert.notEqual(tag, plain.headers.get("etag"));
  const again = await dressed(
    new Response(LONG, { headers: JSON_TYPE }),
    wanted("gzip", tag),
  );
  assert.equal(again.status, 304);
  assert.equal(again.headers.get("content-encoding"), null);
});

Deno.test("dressed() passes on what is too long to hold, whole and untagged", async () => {
  const chunk = new Uint8Array(1_024 * 1_024).fill(0x20);
  const count = TAGGED_BYTES_MAX / chunk.byteLength + 3;
  const stream = () => {
    let left = count;
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: (controller) => {
        if (left-- > 0) controller.enqueue(chunk.slice());
        else controller.close();
      },
    });
  };
  for (const encoding of [null, "gzip"]) {
    const answer = await dressed(
      new Response(stream(), { headers: JSON_TYPE }),
      wanted(encoding),
    );
    assert.equal(answer.headers.get("etag"), null);
    const text = encoding === null
      ? await answer.text()
      : await unpacked(answer);
    assert.equal(text.length, count * chunk.byteLength);
  }
});

Deno.test("dressed() ends the stream below when its reader goes", async () => {
  let ended = false;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: (controller) => controller.enqueue(new Uint8Array(1_024 * 1_024)),
    cancel: () => {
      ended = true;
    },
  });
  const answer = await dressed(
    new Response(stream, { headers: JSON_TYPE }),
    wanted(),
  );
  await answer.body?.cancel();
  assert.ok(ended);
});
