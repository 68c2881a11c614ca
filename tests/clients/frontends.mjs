// Use the files of docs/graphql.md, and print as JSON what came of it.
//
// `node frontends.mjs FOLDER SCENARIO …`: FOLDER holds the files; each scenario says what else it takes.

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const load = (file) => import(pathToFileURL(join(folder, file)));
const textsOf = (nodes) => nodes.map(({ text }) => text);

async function collect(found, isLast) {
  const taken = [];
  for await (const each of found) {
    taken.push(each);
    if (isLast?.(each)) return taken;
  }
  return taken;
}

const scenarios = {
  async pages(threadId) {
    const { oldestFirst, newestFirst } = await load("pages.js");
    const [forwards, backwards] = [await collect(oldestFirst(threadId)), await collect(newestFirst(threadId))];
    return { forwards: forwards.map(textsOf), backwards: backwards.map(textsOf) };
  },

  async create() {
    const [{ ask }, { createThread, say }] = [await load("ask.js"), await load("create.js")];
    const threadId = await createThread({ customer: "42" });
    const made = await say(threadId, "Hello");
    const { node } = await ask("query ($id: ID!) { node(id: $id) { ... on Message { role text threadId } } }", made);
    return { node, is_in_thread: node.threadId === threadId };
  },

  async sendOnce(threadId) {
    const [{ ask }, { outbox, SEND }] = [await load("ask.js"), await load("outbox.js")];
    await outbox(threadId, (input) => ask(SEND, { input }), () => {}).send("once");
    const { MESSAGES } = await load("queries.js");
    return textsOf((await ask(MESSAGES, { threadId, first: 10 })).thread.messages.edges.map(({ node }) => node));
  },

  async refused() {
    const [{ ask }, { say }] = [await load("ask.js"), await load("create.js")];
    const keep = ({ code, param, message }) => ({ code, param, message });
    const nobody = "thread_000000000000000000000000";
    const missing = await ask("query ($id: ID!) { thread(id: $id) { id } }", { id: nobody });
    return { ...missing, unknown: await say(nobody, "Hello").catch(keep), empty: await say("", "").catch(keep) };
  },

  async watch(file, threadId) {
    const { watch } = await load(file);
    return textsOf(await collect(watch(threadId, "0"), ({ text }) => text === "the end"));
  },

  async refusedToWatch(file) {
    const { watch } = await load(file);
    return collect(watch("thread_000000000000000000000000", "0")).catch((errors) => errors.map(({ extensions }) => extensions.code));
  },

  async refusedKey() {
    const { watch } = await load("watch-ws.js");
    return collect(watch("thread_000000000000000000000000", "0")).catch(({ code, reason }) => ({ code, reason }));
  },

  async threadList(remaining) {
    const [{ ask }, { followList }, { createThread, say }] = await Promise.all(
      ["ask.js", "thread-list.js", "create.js"].map(load),
    );
    const steps = [
      async () => createThread({ customer: "7" }),
      async (made) => (await say(made, "Hello"), made),
      async (made) => (await ask("mutation ($id: ID!) { deleteThread(input: { id: $id }) { deletedThreadId } }", { id: made }), made),
    ];
    const seen = [];
    let made;
    let pending = Promise.resolve();
    await followList((threads) => {
      const state = threads.map(({ id, messages }) => `${id === remaining ? "old" : "new"} ${messages.totalCount}`).sort();
      if (JSON.stringify(state) === JSON.stringify(seen.at(-1))) return true; // an event may come twice
      seen.push(state);
      const step = steps.shift();
      if (!step) return false;
      pending = pending.then(async () => (made = await step(made)));
      return true;
    });
    return seen;
  },

  // The first token ends when it was accepted; the second message is written when a second token was requested.
  async refresh() {
    const [{ ask }, { createThread, say }] = [await load("ask.js"), await load("create.js")];
    const [{ connect, askWith }, { ADDED }] = [await load("refresh.js"), await load("queries.js")];
    const threadId = await createThread({});
    const make = "mutation ($threadId: ID!) { createThreadToken(input: { threadId: $threadId }) { token } }";
    const end = "mutation ($threadId: ID!) { revokeThreadTokens(input: { threadId: $threadId }) { threadId } }";
    let tokens = 0;
    const freshToken = async () => {
      tokens += 1;
      return (await ask(make, { threadId })).createThreadToken.token;
    };
    await say(threadId, "before");
    const variables = { threadId, after: "0" };
    const payload = { query: ADDED, get variables() { return { ...variables }; } };
    const texts = [];
    for await (const { data } of connect(freshToken).iterate(payload)) {
      variables.after = data.messageAdded.cursor;
      texts.push(data.messageAdded.node.text);
      if (texts.length === 2) break;
      await ask(end, { threadId }); // a token that expires is refused alike, but may do so before it is accepted
      while (tokens < 2) await sleep(20);
      await say(threadId, "after");
    }
    const stale = ["stale", await freshToken()];
    const query = "query ($id: ID!) { node(id: $id) { id } }";
    const { data } = await askWith(async () => stale.shift(), query, { id: threadId });
    return { texts, tokens, asked: data.node.id.split("_")[0] };
  },

  async reply(threadId, ...pieces) {
    const [{ writeReply }, { follow }] = [await load("write-reply.js"), await load("draw-reply.js")];
    const seen = [];
    let written = "";
    async function* slowly() {
      for (const piece of pieces) {
        while (seen.at(-1)?.[1] !== written) await sleep(5); // until all before it is drawn
        written += piece;
        yield piece;
      }
    }
    const shown = ([message]) => {
      seen.push([message.status, message.content.map(({ text }) => text.value).join("")]);
      return message.status === "IN_PROGRESS";
    };
    const ofAnotherEpoch = "1-0-0123456789abcdef"; // it begins again
    await Promise.all([follow(threadId, ofAnotherEpoch, shown), writeReply(threadId, slowly())]);
    return seen;
  },

  async brokenReply(threadId) {
    const [{ ask }, { writeReply }] = [await load("ask.js"), await load("write-reply.js")];
    const failing = (async function* () {
      yield "half ";
      throw new Error("the model broke off");
    })();
    const error = await writeReply(threadId, failing).catch(({ message }) => message);
    const query = "query ($id: ID!) { thread(id: $id) { messages(first: 1) { nodes { text incompleteReason } } } }";
    return { error, ...(await ask(query, { id: threadId })).thread.messages.nodes[0] };
  },

  async draw(messageId) {
    const { draw } = await load("draw-reply.js");
    const messages = new Map();
    const delta = { __typename: "MessageDelta", messageId, partIndex: 0 };
    const told = [];
    for (const event of [
      { ...delta, offset: 3, text: "a message that is not held" },
      { ...delta, offset: 2, text: "text that is held" },
      { ...delta, offset: 5, text: ", grown" },
      { ...delta, offset: 99, text: "text behind a gap" },
      { __typename: "MessageDeleted", messageId },
    ]) {
      await draw(messages, event);
      told.push([...messages.values()].map(({ content }) => content[0].text.value));
    }
    return told;
  },

  async relayErrors(threadId) {
    const { fetchQuery, requestSubscription } = (await load("node_modules/relay-runtime/index.js")).default;
    const [{ environment }, { query, added }] = [await load("environment.js"), await load("anywhere.js")];
    const keep = ({ code, param, message }) => ({ code, param, message });
    const asked = await fetchQuery(environment, query, { threadId, first: 3, last: 3 }).toPromise().catch(keep);
    const nobody = { threadId: "thread_000000000000000000000000", after: "0", connections: [] };
    const watched = await new Promise((told) => {
      const onError = (error) => told(Array.isArray(error) ? error.map(({ extensions }) => extensions.code) : error.message);
      requestSubscription(environment, { subscription: added, variables: nobody, onError, onCompleted: told });
    });
    return { asked, watched };
  },

  async wholeMessages(threadId) {
    const warnings = [];
    console.warn = console.error = (...given) => warnings.push(given.join(" "));
    const { client } = await load("urql.js");
    const query = `query ($id: ID!) { thread(id: $id) { id messages(first: 5, order: ASC) { edges { cursor node {
      id
      attachments { fileId tools }
      content {
        ... on TextContent { type text { value annotations {
          ... on FileCitation { text fileId }
          ... on FilePath { text fileId }
        } } }
        ... on ImageFileContent { type imageFile { fileId } }
        ... on ImageUrlContent { type imageUrl { url } }
      }
    } } } } }`;
    const { data } = await client.query(query, { id: threadId });
    const [{ node }] = data.thread.messages.edges;
    return { kinds: node.content.map(({ type }) => type), files: node.attachments.length, warnings };
  },
};

const [folder, name, ...given] = process.argv.slice(2);
console.log(JSON.stringify(await scenarios[name](...given)));
process.exit();
