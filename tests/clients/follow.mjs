// Follow a thread with a client that is given, until a message says "the end", and print the texts as JSON.
//
// When it is cut off, the client comes back by itself, and its variables, which it then reads again, name the cursor
// that was told last.

const query = `subscription($threadId: ID!, $after: String) {
  messageAdded(threadId: $threadId, after: $after) { cursor node { text } }
}`;

export async function follow(makeClient) {
  const [baseURL, threadId] = process.argv.slice(2);
  const texts = [];
  let connections = 0;
  const variables = { threadId, after: "0" };
  // As often as it takes: graphql-sse drops events that it reads together with the end of their connection, which on a busy
  // machine may happen a hundred times.
  const client = makeClient(`${baseURL}/graphql`, { retryAttempts: Infinity, on: { connected: () => (connections += 1) } });

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
  await client.dispose();
  console.log(JSON.stringify({ texts, connections }));
}
