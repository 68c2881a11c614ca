// Read threads in both directions through a client's cache, and print as JSON what it held behind each step.
//
// `node turns.mjs FOLDER apollo|urql|relay WALKS`: FOLDER holds the files of docs/graphql.md; WALKS is JSON: name to
// { said, page, steps }. Each begins with a thread in which so much was said, and opens a page of it, whose `after` or
// `before` is what a message says. A step is what is done, and what shall be held after it, waited for.

import { setTimeout as sleep } from "node:timers/promises";
import { lists, texts } from "./lists.mjs";

const PATIENCE_MS = 20_000;
const [folder, client, walks] = process.argv.slice(2);
const warnings = [];
console.warn = console.error = (...given) => warnings.push(given.join(" "));

async function shortly(isSo) {
  const end = Date.now() + PATIENCE_MS;
  while (!isSo() && Date.now() < end) await sleep(5);
}

async function walk({ said, page, steps }) {
  const { open, load } = lists(folder, client);
  const { createThread, say } = await load("create.js");
  const threadId = await createThread({});
  const ids = {};
  for (const text of said) ids[text] = (await say(threadId, text)).id;
  const placed = Object.entries(page).map(([name, value]) => [name, ids[value] ?? value]);
  const list = await open(threadId, Object.fromEntries(placed));
  const seen = [];
  for (const [action, wanted] of steps) {
    if (action.startsWith("say ")) await say(threadId, action.slice(4));
    else if (action !== "open") await list[action]();
    await shortly(() => texts(list.held()).join() === wanted.join());
    seen.push([action, texts(list.held())]);
  }
  // What subscriptions tell Relay changes no `pageInfo` of it; Apollo shows what it has merged a moment later.
  if (client !== "relay") await shortly(() => !list.held().pageInfo.hasNextPage);
  const { edges, pageInfo } = list.held();
  return { seen, endsAtLast: pageInfo.endCursor === edges.at(-1).cursor, hasNextPage: pageInfo.hasNextPage };
}

const told = {};
for (const [name, each] of Object.entries(JSON.parse(walks))) told[name] = await walk(each);
console.log(JSON.stringify({ walks: told, warnings }));
process.exit();
