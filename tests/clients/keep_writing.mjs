// Write to a thread by the Node SDK with its own retries, and list what is new, until the thread is told to be over.
//
// `node keep_writing.mjs http://127.0.0.1:8000 sk-… thread_…` ends when the thread's metadata has `over`, and prints
// the acknowledged messages, text to id, as JSON; it fails with the first error that the SDK raises.

import OpenAI from "openai";

const [address, apiKey, threadId] = process.argv.slice(2);
const { threads } = new OpenAI({ baseURL: `${address}/v1`, apiKey }).beta;

const made = {};
let last;
while (!(await threads.retrieve(threadId)).metadata.over) {
  const text = `node ${Object.keys(made).length}`;
  const { id } = await threads.messages.create(threadId, { role: "user", content: text });
  const listed = [];
  for await (const each of threads.messages.list(threadId, { order: "asc", limit: 100, after: last })) {
    listed.push(each.id);
  }
  if (!listed.includes(id)) throw new Error(`${id} is acknowledged, but not listed behind ${last}`);
  made[text] = last = id;
}
console.log(JSON.stringify(made));
