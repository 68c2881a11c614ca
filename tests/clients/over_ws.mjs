// Follow a thread by graphql-ws, unchanged: `node over_ws.mjs http://127.0.0.1:8000 thread_…`.

import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { follow } from "./follow.mjs";

await follow((url, options) =>
  createClient({
    url: url.replace("http", "ws"),
    webSocketImpl: WebSocket,
    retryWait: async () => {},
    shouldRetry: () => true,
    ...options,
  }),
);
