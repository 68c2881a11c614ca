// Follow a thread by graphql-sse, unchanged: `node over_sse.mjs http://127.0.0.1:8000 thread_…`.

import { createClient } from "graphql-sse";
import { follow } from "./follow.mjs";

await follow((url, options) => createClient({ url, retry: async () => {}, ...options }));
