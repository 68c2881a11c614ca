// Send messages through an outbox over a client's cache, and print as JSON all that was shown, frame by frame.
//
// `node frames.mjs FOLDER apollo|urql|relay THREAD`: the first answer to each creation with a key gets lost;
// another one writes to the same thread; and the subscription is cut off in the middle.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { lists, texts, until } from "./lists.mjs";

const [folder, client, threadId] = process.argv.slice(2);
const sockets = [];
const lost = new Set();
const plainFetch = globalThis.fetch;
globalThis.fetch = async (place, options) => {
  const answer = await plainFetch(place, options);
  const key = JSON.parse(options?.body ?? "{}").variables?.input?.idempotencyKey; // urql queries by GET
  if (!key || lost.has(key)) return answer;
  lost.add(key);
  throw new TypeError("the answer got lost");
};
globalThis.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    sockets.push(this);
  }
};

const { outbox } = await import(pathToFileURL(join(folder, "outbox.js")));
const { open, load } = lists(folder, client);
const { say } = await load("create.js");
const list = await open(threadId, { last: 50 });
const frames = [];
const box = outbox(threadId, list.mutate, draw);
function draw() {
  const frame = box.shown(list.held().edges).map(({ text, isPending }) => (isPending ? `${text}…` : text));
  if (frame.join() !== frames.at(-1)?.join()) frames.push(frame);
}

draw();
list.changed(draw);
list.watch();
await Promise.all([box.send("mine"), say(threadId, "theirs")]);
await until(() => texts(list.held()).length === 2);
sockets[0].close(4000);
await Promise.all([box.send("mine"), box.send("again")]);
await until(() => texts(list.held()).length === 4);
draw();

console.log(JSON.stringify({ frames, lost: lost.size, held: texts(list.held()) }));
process.exit();
