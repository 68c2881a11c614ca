/** GraphiQL for this server: what a browser sees at `/graphql`. */
import { useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import "graphiql/style.css";
import { getOperationAST, parse } from "graphql";
import { createClient } from "graphql-ws";
import { useEffect } from "react";
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
import runThread from "./examples/run-thread.graphql";
import runThreadVariables from "./examples/run-thread.variables.json";
import "./main.css";

// `WORKERS` is filled in by bundle.mjs: Monaco's name of a worker to its file.
globalThis.MonacoEnvironment = {
  getWorker: (_id, label) => new Worker(new URL(WORKERS[label] ?? WORKERS.editor, import.meta.url)),
};

const endpoint = new URL(location.pathname, location.href);
const live = new URL(endpoint);
live.protocol = location.protocol === "https:" ? "wss:" : "ws:";

const overHttp = createGraphiQLFetcher({ url: endpoint.href, enableIncrementalDelivery: false });

/**
 * Follow a subscription; what the header editor holds goes into `connection_init`.
 *
 * It never connects again by itself: a refusal would be sent again and again, and after a break what was told meanwhile
 * would be missed without a word. Why it ended is shown as the errors of a request are.
 */
async function* follow(params, headers) {
  const client = createClient({ url: live.href, connectionParams: headers, retryAttempts: 0 });
  try {
    yield* client.iterate(params);
  } catch (error) {
    if (Array.isArray(error)) yield { errors: error };
    else if (typeof error?.code === "number") yield { errors: [ended(error)] };
    else throw error;
  } finally {
    client.dispose();
  }
}

/** Tell why a WebSocket was closed; what never opened, or broke, has no reason. */
const ended = ({ code, reason }) => ({
  message: reason || "The connection was lost. Run it again with the last cursor as `after`.",
  extensions: { code },
});

const ANY_THREAD = '"thread_"'; // stands in the variables of the examples for the newest thread
let variableEditor;

/** Let the code outside of React reach the editor of variables, and show at once why the schema cannot be read. */
function Reach() {
  variableEditor = useGraphiQL((state) => state.variableEditor);
  const responseEditor = useGraphiQL((state) => state.responseEditor);
  const fetchError = useGraphiQL((state) => state.fetchError);
  useEffect(() => {
    if (fetchError && responseEditor?.getValue() === "") responseEditor.setValue(fetchError);
  }, [fetchError, responseEditor]);
  return null;
}

/** Put the id of the newest thread where an example has none, in the editor too; give errors where that fails. */
async function withNewestThread(params, options) {
  const variables = JSON.stringify(params.variables);
  if (!variables?.includes(ANY_THREAD)) return { ...params };
  const query = "query NewestThread { threads(first: 1) { nodes { id } } }";
  const { data, errors } = await overHttp({ query, operationName: "NewestThread" }, { headers: options?.headers });
  if (errors) return { errors };
  const [newest] = data.threads.nodes;
  if (!newest) return { errors: [{ message: "There is no thread yet. Run MakeThread, or put an id into the variables." }] };
  const id = JSON.stringify(newest.id);
  variableEditor?.setValue(variableEditor.getValue().replaceAll(ANY_THREAD, id));
  return { ...params, variables: JSON.parse(variables.replaceAll(ANY_THREAD, id)) };
}

/** Find the operation that is meant: GraphiQL notices a moment after a tab was changed which name is in it. */
function operationIn({ query, operationName }) {
  try {
    const document = parse(query);
    return getOperationAST(document, operationName) ?? getOperationAST(document);
  } catch {
    return null; // the server says what is wrong with it
  }
}

async function fetcher(given, options) {
  const params = await withNewestThread(given, options);
  if (params.errors) return params;
  const operation = operationIn(params);
  if (operation) params.operationName = operation.name?.value;
  return operation?.operation === "subscription" ? follow(params, options?.headers) : overHttp(params, options);
}

// What JSON a scalar of ours takes, for the editor of variables: without it, an object would be marked as wrong.
const scalars = {
  DateTime: { type: "string", format: "date-time" },
  JSON: { type: ["object", "null"] },
  Metadata: { type: ["object", "null"], additionalProperties: { type: ["string", "null"] } },
};

const examples = [
  { query: newestThreads },
  { query: makeThread, variables: makeThreadVariables },
  { query: readMessages, variables: readMessagesVariables },
  { query: addMessage, variables: addMessageVariables },
  { query: followThread, variables: followThreadVariables },
  { query: runThread, variables: runThreadVariables },
];

// A link may bring an operation, by the names that it would have as a request; it is shown, and run by a person only.
const link = new URLSearchParams(location.search);
const linked = link.has("query") && { query: link.get("query"), variables: link.get("variables") ?? "" };

/** Choose the operation that a link names, where it brings more than one. */
function Choose({ operationName }) {
  const { setOperationName } = useGraphiQLActions();
  useEffect(() => setOperationName(operationName), []);
  return null;
}

createRoot(document.getElementById("graphiql")).render(
  <GraphiQL
    fetcher={fetcher}
    customScalarSchemas={scalars}
    initialQuery={linked ? linked.query : undefined}
    initialVariables={linked ? linked.variables : undefined}
    defaultTabs={linked ? [linked, ...examples] : examples}
    defaultEditorToolsVisibility="variables"
  >
    <GraphiQL.Logo>
      <Reach />
      {linked && link.has("operationName") && <Choose operationName={link.get("operationName")} />}
      Threads
    </GraphiQL.Logo>
  </GraphiQL>,
);
