// Create by the Node SDK, with its own retries and with keys, and append through the SDK's own `post`.
//
// `node lost_answers.mjs http://127.0.0.1:8000` prints as JSON what the SDK returned.

import OpenAI from "openai";

const address = process.argv[2];
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "any" });
client.idempotencyHeader = "Idempotency-Key";
const { threads } = client.beta;

const thread = await threads.create({ metadata: { made: "thread" } });
const full = await threads.create({
  messages: [{ role: "user", content: "one" }, { role: "user", content: "two" }],
  metadata: { made: "thread with messages" },
});
const message = await threads.messages.create(thread.id, { role: "user", content: "message" });

const root = new OpenAI({ baseURL: address, apiKey: "any" });
async function ask(query, input) {
  const { data } = await root.post("/graphql", { body: { query, variables: { input } } });
  return Object.values(data)[0].message;
}
const begin = "mutation ($input: CreateMessageInput!) { createMessage(input: $input) { message { id } } }";
const append = "mutation ($input: AppendMessageTextInput!) { appendMessageText(input: $input) { message { text } } }";
const key = crypto.randomUUID();
const reply = { threadId: thread.id, role: "ASSISTANT", content: { parts: [] }, status: "IN_PROGRESS", idempotencyKey: key };
const begun = await ask(begin, reply);
await ask(append, { messageId: begun.id, text: "Hello ", offset: 0 });
const grown = await ask(append, { messageId: begun.id, text: "Hello ", offset: 6 });

console.log(JSON.stringify({ thread: thread.id, full: full.id, message: message.id, begun: begun.id, text: grown.text }));
