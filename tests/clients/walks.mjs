// Walk a thread both ways through a client's cache, watch it there, and print as JSON what the cache held.
//
// `node walks.mjs FOLDER apollo|urql|relay THREAD`: FOLDER holds the files of docs/graphql.md, which make the clients.

import { lists, texts, until } from "./lists.mjs";

const [folder, client, threadId] = process.argv.slice(2);
const told = { requests: 0, events: 0 };
const sockets = [];

const warnings = [];
console.warn = console.error = (...given) => warnings.push(given.join(" "));
const plainFetch = globalThis.fetch;
globalThis.fetch = (...given) => {
  told.requests += 1;
  return plainFetch(...given);
};
globalThis.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    sockets.push(this);
    this.addEventListener("message", ({ data }) => (told.events += JSON.parse(data).type === "next"));
  }
};

async function walk(direction, page, hasMore) {
  told.requests = 0;
  const list = await lists(folder, client).open(threadId, page);
  while (list.held().pageInfo[hasMore]) {
    const { length } = list.held().edges;
    await (direction === "forwards" ? list.newer() : list.older());
    await until(() => list.held().edges.length > length); // Apollo shows what it has merged a moment later
  }
  return { list, told: { texts: texts(list.held()), requests: told.requests } };
}

const forwards = await walk("forwards", { first: 50 }, "hasNextPage");
const backwards = await walk("backwards", { last: 50 }, "hasPreviousPage");

const { say } = await lists(folder, client).load("create.js");
backwards.list.watch();
await say(threadId, "said meanwhile");
await until(() => told.events === 1);
const again = client === "relay" ? 0 : 1; // Relay resumes; the others begin where they began, and hear the same again
sockets[0].close(4000);
await until(() => told.events === 1 + again);
await say(threadId, "said at last");
await until(() => told.events === 2 + again);
await until(() => texts(backwards.list.held()).includes("said at last"));
const watched = texts(backwards.list.held());

console.log(JSON.stringify({ forwards: forwards.told, backwards: backwards.told, watched, warnings }));
process.exit();
