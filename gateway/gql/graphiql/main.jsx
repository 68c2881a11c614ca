/** GraphiQL for this server: what a browser sees at `/graphql`. */
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import "graphiql/style.css";
import { createRoot } from "react-dom/client";
import addMessage from "./examples/add-message.graphql";
import addMessageVariables from "./examples/add-message.variables.json";
import followThread from "./examples/follow-thread.graphql";
import followThreadVariables from "./examples/follow-thread.variables.json";
import makeThread from "./examples/make-thread.graphql";
import makeThreadVariables from "./examples/make-thread.variables.json";
import newestThreads from "./examples/newest-threads.graphql";
import readMessages from "./examples/read-messages.graphql";
import readMessagesVariables from "./examples/read-messages.variables.json";
import "./main.css";

// `WORKERS` is filled in by bundle.mjs: Monaco's name of a worker to its file.
globalThis.MonacoEnvironment = {
  getWorker: (_id, label) => new Worker(new URL(WORKERS[label] ?? WORKERS.editor, import.meta.url)),
};

const endpoint = new URL(location.pathname, location.href);
const live = new URL(endpoint);
live.protocol = location.protocol === "https:" ? "wss:" : "ws:";

const fetcher = createGraphiQLFetcher({
  url: endpoint.href,
  subscriptionUrl: live.href, // graphql-transport-ws; what the header editor holds goes into `connection_init`
  enableIncrementalDelivery: false,
});

// What JSON a scalar of ours takes, for the editor of variables: without it, an object would be marked as wrong.
const scalars = {
  DateTime: { type: "string", format: "date-time" },
  JSON: { type: ["object", "null"] },
  Metadata: { type: ["object", "null"], additionalProperties: { type: ["string", "null"] } },
};

const tabs = [
  { query: newestThreads },
  { query: makeThread, variables: makeThreadVariables },
  { query: readMessages, variables: readMessagesVariables },
  { query: addMessage, variables: addMessageVariables },
  { query: followThread, variables: followThreadVariables },
];

createRoot(document.getElementById("graphiql")).render(
  <GraphiQL
    fetcher={fetcher}
    customScalarSchemas={scalars}
    defaultTabs={tabs}
    defaultEditorToolsVisibility="variables"
  >
    <GraphiQL.Logo>Threads</GraphiQL.Logo>
  </GraphiQL>,
);
