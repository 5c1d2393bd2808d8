/**
 * The connections to PostgreSQL against a driver whose server never answers: nobody waits for ever.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  BoundedPool,
  type DriverClient,
  type DriverPool,
} from "@/store/bounded_pool.ts";

const TIMES = { query: 40, vacuum: 400, close: 60 };

/** A driver whose queries hang until their connection is ended. */
function silentDriver(): {
  readonly pool: DriverPool;
  readonly ended: string[];
  readonly released: (boolean | undefined)[];
  lose(): void;
} {
  const ended: string[] = [];
  const released: (boolean | undefined)[] = [];
  const listeners: ((error: unknown) => void)[] = [];
  const client: DriverClient = {
    query: <R>(sql: string) => {
      const { promise, reject } = Promise.withResolvers<R>();
      client.end = () => {
        ended.push(sql);
        reject(new Error("Connection terminated"));
        return Promise.resolve();
      };
      return promise as never;
    },
    release: (destroy) => void released.push(destroy),
    end: () => Promise.resolve(),
    on: (_, listener) => void listeners.push(listener),
  };
  const never = Promise.withResolvers<void>();
  return {
    ended,
    released,
    lose: () => listeners.forEach((listener) => listener(new Error("gone"))),
    pool: {
      connect: () => Promise.resolve(client),
      end: () => never.promise,
      on: () => {},
    },
  };
}

Deno.test("query() ends when its time is up, and nobody gets that connection again", async () => {
  const { pool, ended, released } = silentDriver();
  const client = await new BoundedPool(pool, () => {}, TIMES).connect();
  await assert.rejects(
    client.query("select 1"),
    /timeout exceeded: no answer within 0\.04 s/,
  );
  assert.deepEqual(ended, ["select 1"]);
  client.release();
  client.release();
  assert.deepEqual(released, [true]);
});

Deno.test("query() lets vacuum take longer than anything else", async () => {
  const { pool, ended } = silentDriver();
  const client = await new BoundedPool(pool, () => {}, TIMES).connect();
  const start = performance.now();
  await assert.rejects(client.query("vacuum (analyze) texts"), /no answer/);
  assert.ok(performance.now() - start >= 390);
  assert.deepEqual(ended, ["vacuum (analyze) texts"]);
});

Deno.test("end() waits so long for what is at work and then ends it", async () => {
  const { pool, ended } = silentDriver();
  const bounded = new BoundedPool(pool, () => {}, { ...TIMES, query: 5_000 });
  const client = await bounded.connect();
  const asked = client.query("select 1").catch((thrown) => String(thrown));
  await bounded.end();
  assert.deepEqual(ended, ["select 1"]);
  assert.equal(await asked, "Error: Connection terminated");
});

Deno.test("onLost() is told of a loss once, and not of one after release()", async () => {
  const { pool, released, lose } = silentDriver();
  const bounded = new BoundedPool(pool, () => {}, TIMES);
  const client = await bounded.connect();
  let heard = 0;
  client.onLost(() => heard++);
  lose();
  lose();
  assert.equal(heard, 1);
  client.release();
  assert.deepEqual(released, [true], "what is lost is thrown away");
  const other = silentDriver();
  const second = await new BoundedPool(other.pool, () => {}, TIMES).connect();
  second.onLost(() => heard++);
  second.release();
  other.lose();
  assert.equal(heard, 1);
});
