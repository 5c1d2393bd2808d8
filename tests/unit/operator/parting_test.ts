import assert from "node:assert/strict";
import { PartingLine } from "@/operator/parting.ts";
import { verifies } from "../../requirements.ts";

/** A socket that tells how it was closed, and a clock that stands still. */
function parting() {
  const closed = Promise.withResolvers<[number, string]>();
  const closes: number[] = [];
  const socket = {
    bufferedAmount: 7,
    send: () => {},
    close: (code = 0, reason = "") => {
      closes.push(code);
      closed.resolve([code, reason]);
    },
  };
  const clock = { now: 0 };
  const line = new PartingLine(socket, () => clock.now);
  return { line, clock, closes, closed: closed.promise };
}

Deno.test("PartingLine closes at once where the client is silent", () => {
  const { line, clock, closes } = parting();
  line.heard("{}");
  clock.now = 50;
  line.close(1001, "the server stops");
  line.close(1008, "too late");
  assert.deepEqual(closes, [1001]);
  assert.equal(line.bufferedAmount, 7);
});

Deno.test("PartingLine lets what is on its way pass, for so long and so many bytes", async () => {
  verifies("http.socket.parting");
  for (
    const [name, then] of [
      ["the client is silent", ({ clock }) => clock.now = 50],
      ["it never is", ({ clock, line }) => {
        clock.now = 1_000;
        line.heard("{}");
      }],
      ["it says much", ({ line }) => line.heard("x".repeat(1_048_577))],
      ["in bytes", ({ line }) => line.heard(new Blob(["x".repeat(1_048_577)]))],
    ] as readonly (readonly [
      string,
      (made: ReturnType<typeof parting>) => void,
    ])[]
  ) {
    const made = parting();
    made.line.heard("{");
    made.line.close(1008, "too many");
    assert.deepEqual(made.closes, [], name);
    then(made);
    assert.deepEqual(await made.closed, [1008, "too many"], name);
  }
});

Deno.test("PartingLine has nothing left to close where the socket is gone", async () => {
  const { line, clock, closes } = parting();
  line.heard("{");
  line.close(1008, "too many");
  line[Symbol.dispose]();
  clock.now = 2_000;
  await new Promise((resolve) => setTimeout(resolve, 120));
  assert.deepEqual(closes, []);
});
