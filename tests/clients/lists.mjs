// Lists of messages in the caches of Apollo Client, urql and Relay, by the files of docs/graphql.md.
//
// `lists(FOLDER, CLIENT)` makes a client with an empty cache. Its `open(threadId, page)` gives a list: what is held of
// it, the next page on either side, following it, as the page tells, and creating a message; `changed(draw)` calls a
// function at each change of it.

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

let made = 0;

export const texts = ({ edges }) => edges.map(({ node }) => node.text);

export async function until(isSo) {
  while (!isSo()) await sleep(5);
}

export function lists(folder, client) {
  made += 1;
  const number = made;
  const load = (file) => import(pathToFileURL(join(folder, file)));
  const anew = (file) => import(`${pathToFileURL(join(folder, file))}?${number}`);
  return { load, open: (...given) => openers[client](load, anew, ...given) };
}

const openers = {
  async apollo(_load, anew, threadId, page) {
    const { openThread, mutate } = await anew("apollo.js");
    const { list, older, newer, watch } = openThread(threadId, page);
    list.subscribe(() => {});
    await until(() => list.getCurrentResult().dataState === "complete");
    const changed = (draw) => list.subscribe(draw);
    return { held: () => list.getCurrentResult().data.thread.messages, older, newer, watch, changed, mutate };
  },

  async urql(load, anew, threadId, page) {
    const [{ client, messages, mutate }, queries] = [await anew("urql.js"), await load("queries.js")];
    let held = await messages(threadId, page);
    let drawn = () => {};
    client.query(queries.MESSAGES, { threadId, ...page }).subscribe(({ data }) => {
      held = data.thread.messages;
      drawn();
    });
    const more = async (next) => (held = await messages(threadId, next));
    return {
      held: () => held,
      older: () => more({ last: page.first ?? page.last, before: held.pageInfo.startCursor }),
      newer: () => more({ first: page.first ?? page.last, after: held.pageInfo.endCursor }),
      watch: () => {
        const after = held.pageInfo.endCursor ?? "0";
        client.subscription(queries.ADDED, { threadId, after }).subscribe(() => {});
      },
      changed: (draw) => (drawn = draw),
      mutate,
    };
  },

  async relay(load, anew, threadId, page) {
    const { fetchQuery, getRequest, createOperationDescriptor, getSingularSelector, requestSubscription } = (
      await load("node_modules/relay-runtime/index.js")
    ).default;
    const [{ environment, mutate }, list] = [await anew("environment.js"), await load("anywhere.js")];
    const opened = createOperationDescriptor(getRequest(list.query), { threadId, ...page });
    environment.retain(opened);
    await fetchQuery(environment, list.query, { threadId, ...page }).toPromise();
    const { thread } = environment.lookup(opened.fragment).data;
    const held = () => environment.lookup(getSingularSelector(list.thread, thread)).data.messages;
    // What usePaginationFragment does: its variables are those of the fragment, with null for the other direction.
    const more = (next) => {
      const variables = { ...page, first: null, after: null, last: null, before: null, ...next, id: threadId };
      return fetchQuery(environment, list.thread.metadata.refetch.operation, variables).toPromise();
    };
    const count = page.first ?? page.last;
    return {
      held,
      older: () => more({ last: count, before: held().pageInfo.startCursor }),
      newer: () => more({ first: count, after: held().pageInfo.endCursor }),
      watch: () => {
        const variables = { threadId, after: held().pageInfo.endCursor ?? "0", connections: [held().__id] };
        requestSubscription(environment, { subscription: list.added, variables });
      },
      changed: (draw) => environment.subscribe(environment.lookup(getSingularSelector(list.thread, thread)), draw),
      mutate: mutate(list.sent),
    };
  },
};
