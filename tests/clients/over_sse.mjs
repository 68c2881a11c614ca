// Follow a thread by graphql-sse, unchanged, until a message says "the end"; prints the texts that it was told as JSON.
//
// `node over_sse.mjs http://127.0.0.1:8000 thread_…`: when it is cut off, the client comes back by itself, and its
// variables, which it then reads again, name the cursor that was told last.

import { createClient } from "graphql-sse";

const [baseURL, threadId] = process.argv.slice(2);
const query = `subscription($threadId: ID!, $after: String) {
  messageAdded(threadId: $threadId, after: $after) { cursor node { text } }
}`;

const texts = [];
let connections = 0;
const variables = { threadId, after: "0" };
const client = createClient({
  url: `${baseURL}/graphql`,
  retryAttempts: 100,
  retry: async () => {},
  on: { connected: () => (connections += 1) },
});

await new Promise((resolve, reject) => {
  const stop = client.subscribe(
    { query, variables },
    {
      next: ({ data, errors }) => {
        if (errors) return reject(new Error(JSON.stringify(errors)));
        variables.after = data.messageAdded.cursor;
        texts.push(data.messageAdded.node.text);
        if (texts.at(-1) === "the end") stop();
      },
      error: reject,
      complete: resolve,
    },
  );
});
client.dispose();
console.log(JSON.stringify({ texts, connections }));
