// Run the checks of sdk_checks.py by the Node SDK, unchanged but for its address, and tell what became of each.
//
// `node node_sdk.mjs http://127.0.0.1:8000` prints JSON: the SDK's version, and for each client and check "ok" or what
// went wrong.

import assert from "node:assert/strict";

import OpenAI, { AzureOpenAI, BadRequestError, NotFoundError } from "openai";
import { VERSION } from "openai/version";

const baseURL = process.argv[2];
const UNKNOWN_THREAD = "thread_000000000000000000000000";

const CHECKS = {
  "a thread is made of nothing": async ({ threads }) => {
    const thread = await threads.create();

    assert.match(thread.id, /^thread_/);
    assert.equal(thread.object, "thread");
    assert.deepEqual(thread.metadata, {});
    assert.ok(thread.created_at > 1_700_000_000);
  },

  "a thread is made with messages metadata and tool resources": async ({ threads }) => {
    const thread = await threads.create({
      messages: [
        { role: "user", content: "first" },
        { role: "assistant", content: [{ type: "text", text: "second" }], metadata: { n: "2" } },
      ],
      metadata: { topic: "weather" },
      tool_resources: { code_interpreter: { file_ids: ["file-1"] } },
    });

    const said = await all(threads.messages.list(thread.id, { order: "asc" }));
    assert.deepEqual(
      said.map((each) => [each.role, textOf(each), each.metadata]),
      [["user", "first", {}], ["assistant", "second", { n: "2" }]],
    );
    assert.deepEqual(thread.metadata, { topic: "weather" });
    assert.deepEqual(thread.tool_resources, { code_interpreter: { file_ids: ["file-1"] } });
  },

  "a thread is retrieved": async ({ threads }) => {
    const made = await threads.create({ metadata: { a: "1" } });

    const found = await threads.retrieve(made.id);

    assert.deepEqual([found.id, found.created_at, found.metadata], [made.id, made.created_at, made.metadata]);
  },

  "a thread is updated": async ({ threads }) => {
    const made = await threads.create({ metadata: { kept: "1", changed: "1" } });

    const changed = await threads.update(made.id, {
      metadata: { changed: "2" },
      tool_resources: { file_search: { vector_store_ids: ["vs_1"] } },
    });

    assert.deepEqual(changed.metadata, { kept: "1", changed: "2" });
    assert.deepEqual(changed.tool_resources, { file_search: { vector_store_ids: ["vs_1"] } });
    assert.deepEqual((await threads.retrieve(made.id)).metadata, changed.metadata);
  },

  "a thread is deleted": async ({ threads }) => {
    const made = await threads.create({ messages: [{ role: "user", content: "hi" }] });

    const deleted = await threads.delete(made.id);

    assert.deepEqual({ ...deleted }, { id: made.id, object: "thread.deleted", deleted: true });
    const refusal = await refused(NotFoundError, threads.retrieve(made.id));
    assert.ok(refusal.message.includes(`No thread found with id '${made.id}'.`));
  },

  "a message is made of a string": async ({ threads }) => {
    const thread = await threads.create();

    const made = await threads.messages.create(thread.id, { role: "user", content: 'Grüße \u{1f642} \u2028 "\\' });

    assert.match(made.id, /^msg_/);
    assert.deepEqual(
      [made.object, made.thread_id, made.role, made.status],
      ["thread.message", thread.id, "user", "completed"],
    );
    assert.deepEqual([made.run_id, made.assistant_id, made.attachments, made.metadata], [null, null, [], {}]);
    assert.equal(textOf(made), 'Grüße \u{1f642} \u2028 "\\');
  },

  "a message is made of parts": async ({ threads }) => {
    const thread = await threads.create();

    const made = await threads.messages.create(thread.id, {
      role: "user",
      content: [
        { type: "text", text: "look" },
        { type: "image_url", image_url: { url: "https://example.com/a.png" } },
        { type: "image_file", image_file: { file_id: "file-1", detail: "low" } },
      ],
    });

    assert.deepEqual(made.content, [
      { type: "text", text: { value: "look", annotations: [] } },
      { type: "image_url", image_url: { url: "https://example.com/a.png", detail: "auto" } },
      { type: "image_file", image_file: { file_id: "file-1", detail: "low" } },
    ]);
  },

  "a message keeps its attachments and metadata": async ({ threads }) => {
    const thread = await threads.create();
    const attachments = [{ file_id: "file-1", tools: [{ type: "file_search" }, { type: "code_interpreter" }] }];

    const made = await threads.messages.create(thread.id, {
      role: "assistant",
      content: "see there",
      attachments,
      metadata: { source: "test" },
    });

    const found = await threads.messages.retrieve(made.id, { thread_id: thread.id });
    assert.deepEqual({ ...found }, { ...made });
    assert.deepEqual(found.attachments, attachments);
    assert.deepEqual(found.metadata, { source: "test" });
  },

  "a message is updated": async ({ threads }) => {
    const thread = await threads.create();
    const made = await threads.messages.create(thread.id, { role: "user", content: "hi", metadata: { kept: "1" } });

    const changed = await threads.messages.update(made.id, { thread_id: thread.id, metadata: { new: "2" } });

    assert.deepEqual(changed.metadata, { kept: "1", new: "2" });
    assert.deepEqual([changed.id, changed.content], [made.id, made.content]);
  },

  "a message is deleted": async ({ threads }) => {
    const thread = await threads.create();
    const made = await threads.messages.create(thread.id, { role: "user", content: "hi" });

    const deleted = await threads.messages.delete(made.id, { thread_id: thread.id });

    assert.deepEqual({ ...deleted }, { id: made.id, object: "thread.message.deleted", deleted: true });
    assert.deepEqual(await all(threads.messages.list(thread.id)), []);
    const refusal = await refused(NotFoundError, threads.messages.retrieve(made.id, { thread_id: thread.id }));
    assert.ok(refusal.message.includes(`No message found with id '${made.id}'.`));
  },

  "paging walks 250 messages forwards each once": async ({ threads }) => {
    const threadId = await threadOf(threads, 250);

    const said = await all(threads.messages.list(threadId, { order: "asc", limit: 30 }));

    assert.deepEqual(said.map(textOf), numbers(250));
  },

  "paging walks 250 messages backwards each once": async ({ threads }) => {
    const threadId = await threadOf(threads, 250);

    const said = await all(threads.messages.list(threadId));

    assert.deepEqual(said.map(textOf), numbers(250).reverse());
  },

  "a page lies between after and before": async ({ threads }) => {
    const threadId = await threadOf(threads, 10);
    const ids = (await all(threads.messages.list(threadId, { order: "asc" }))).map((each) => each.id);
    const page = async (query) => {
      const found = await threads.messages.list(threadId, { order: "asc", ...query });
      return [found.data.map(textOf), found.hasNextPage()];
    };

    assert.deepEqual(await page({ limit: 4 }), [["0", "1", "2", "3"], true]);
    assert.deepEqual(await page({ after: ids[3], limit: 2 }), [["4", "5"], true]);
    assert.deepEqual(await page({ after: ids[7], limit: 2 }), [["8", "9"], false]);
    assert.deepEqual((await page({ before: ids[5], limit: 2 }))[0], ["3", "4"]);
    assert.deepEqual((await page({ after: ids[2], before: ids[6] }))[0], ["3", "4", "5"]);
  },

  "a list may be of one run": async ({ threads }) => {
    const threadId = await threadOf(threads, 3);
    const answer = await addAnswerOfRun(threadId, "run_1");

    const found = await all(threads.messages.list(threadId, { run_id: "run_1" }));

    assert.deepEqual(
      found.map((each) => [each.id, each.run_id, each.assistant_id]),
      [[answer, "run_1", "asst_1"]],
    );
    assert.deepEqual(await all(threads.messages.list(threadId, { run_id: "run_2" })), []);
  },

  "what cannot be accepted is a bad request error": async ({ threads }) => {
    const thread = await threads.create();

    const refusal = await refused(
      BadRequestError,
      threads.messages.create(thread.id, { role: "human", content: "hi" }),
    );

    assert.ok(refusal.message.includes("Invalid value: 'human'. Supported values are: 'user' and 'assistant'."));
    assert.deepEqual([refusal.code, refusal.param, refusal.type], ["invalid_value", "role", "invalid_request_error"]);
    assert.match(refusal.requestID, /^req_/);
  },

  "what is not there is a not found error": async ({ threads }) => {
    const refusal = await refused(
      NotFoundError,
      threads.messages.create(UNKNOWN_THREAD, { role: "user", content: "hi" }),
    );

    assert.ok(refusal.message.includes(`No thread found with id '${UNKNOWN_THREAD}'.`));
    assert.deepEqual([refusal.code, refusal.param, refusal.type], [null, null, "invalid_request_error"]);
    assert.match(refusal.requestID, /^req_/);
  },
};

const all = (list) => Array.fromAsync(list);
const numbers = (count) => Array.from({ length: count }, (_, n) => String(n));

function textOf(message) {
  assert.equal(message.content.length, 1);
  return message.content[0].text.value;
}

async function threadOf(threads, count) {
  const thread = await threads.create({ messages: numbers(count).map((content) => ({ role: "user", content })) });
  return thread.id;
}

async function refused(kind, call) {
  const error = await call.then(() => assert.fail("nothing was thrown"), (thrown) => thrown);
  assert.ok(error instanceof kind, error);
  return error;
}

// Record an answer the way the worker that called a model does: the wire has no call for it.
async function addAnswerOfRun(threadId, runId) {
  const query = "mutation($input: CreateMessageInput!) { createMessage(input: $input) { message { id } } }";
  const input = { threadId, role: "ASSISTANT", content: { text: "answer" }, runId, assistantId: "asst_1" };
  const answer = await fetch(`${baseURL}/graphql`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ query, variables: { input } }),
  });
  return (await answer.json()).data.createMessage.message.id;
}

async function outcomes(client) {
  const found = {};
  for (const [name, check] of Object.entries(CHECKS)) {
    found[name] = await check(client.beta).then(() => "ok", (error) => error.stack);
  }
  return found;
}

// No retries: a fault of the server's must show, not be tried again until it passes.
const shared = { apiKey: "any", maxRetries: 0 };
const clients = {
  plain: new OpenAI({ ...shared, baseURL: `${baseURL}/v1` }),
  azure: new AzureOpenAI({ ...shared, endpoint: baseURL, apiVersion: "2024-05-01-preview" }),
};
const summary = { sdk: VERSION, outcomes: {} };
for (const [kind, client] of Object.entries(clients)) {
  summary.outcomes[kind] = await outcomes(client);
}
console.log(JSON.stringify(summary));
