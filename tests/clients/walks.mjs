// Walk a thread both ways through a client's cache, watch it there, and print as JSON what the cache held.
//
// `node walks.mjs FOLDER apollo|urql|relay THREAD`: FOLDER holds the files of docs/frontends.md, which make the clients.

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const [folder, client, threadId] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(join(folder, file)));
const anew = async (file, direction) => import(`${pathToFileURL(join(folder, file))}?${direction}`);
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

async function until(isSo) {
  while (!isSo()) await sleep(5);
}

// Each opens a list of its own cache: what is held of it, the next page, and following it twice over.
const lists = {
  async apollo(direction, page) {
    const { openThread } = await anew("apollo.js", direction);
    const { list, older, newer, watch } = openThread(threadId, page);
    list.subscribe(() => {});
    await until(() => list.getCurrentResult().dataState === "complete");
    const held = () => list.getCurrentResult().data.thread.messages;
    return { held, more: direction === "forwards" ? newer : older, watch };
  },

  async urql(direction, page) {
    const [{ client, messages }, queries] = [await anew("urql.js", direction), await load("queries.js")];
    let held = await messages(threadId, page);
    const more = async () => {
      const { startCursor: before, endCursor: after } = held.pageInfo;
      held = await messages(threadId, direction === "forwards" ? { ...page, after } : { ...page, before });
    };
    client.query(queries.MESSAGES, { threadId, ...page }).subscribe(({ data }) => (held = data.thread.messages));
    const variables = { threadId, after: held.pageInfo.endCursor };
    const watch = () => client.subscription(queries.ADDED, variables).subscribe(() => {});
    return { held: () => held, more, watch };
  },

  async relay(direction) {
    const { fetchQuery, getRequest, createOperationDescriptor, getSingularSelector, requestSubscription } = (
      await load("node_modules/relay-runtime/index.js")
    ).default;
    const { environment } = await anew("environment.js", direction);
    const list = await load(direction === "forwards" ? "oldest.js" : "history.js");
    const opened = createOperationDescriptor(getRequest(list.query), { threadId });
    environment.retain(opened);
    await fetchQuery(environment, list.query, { threadId }).toPromise();
    const { thread } = environment.lookup(opened.fragment).data;
    const held = () => environment.lookup(getSingularSelector(list.thread, thread)).data.messages;
    const more = () => {
      const { startCursor: before, endCursor: after } = held().pageInfo;
      const next = direction === "forwards" ? { first: 50, after } : { last: 50, before };
      // What usePaginationFragment does.
      return fetchQuery(environment, list.thread.metadata.refetch.operation, { id: threadId, ...next }).toPromise();
    };
    const watch = () => {
      const variables = { threadId, after: held().edges.at(-1).cursor, connections: [held().__id] };
      requestSubscription(environment, { subscription: list.added, variables });
    };
    return { held, more, watch };
  },
};

const texts = ({ edges }) => edges.map(({ node }) => node.text);

async function walk(direction, page, hasMore) {
  told.requests = 0;
  const list = await lists[client](direction, page);
  while (list.held().pageInfo[hasMore]) {
    const { length } = list.held().edges;
    await list.more();
    await until(() => list.held().edges.length > length); // Apollo shows what it has merged a moment later
  }
  return { list, told: { texts: texts(list.held()), requests: told.requests } };
}

const forwards = await walk("forwards", { first: 50 }, "hasNextPage");
const backwards = await walk("backwards", { last: 50 }, "hasPreviousPage");

const { say } = await load("create.js");
backwards.list.watch();
await say(threadId, "said meanwhile");
await until(() => told.events === 1);
sockets[0].close(4000); // after which the client begins where it began, and hears the same again
await until(() => told.events === 2);
await say(threadId, "said at last");
await until(() => told.events === 3);
await until(() => texts(backwards.list.held()).includes("said at last"));
const watched = texts(backwards.list.held());

console.log(JSON.stringify({ forwards: forwards.told, backwards: backwards.told, watched, warnings }));
process.exit();
