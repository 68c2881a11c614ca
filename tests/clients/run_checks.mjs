// Run the checks of run_checks.py by the helpers of the Node SDK, and tell what became of each.
//
// `node run_checks.mjs http://127.0.0.1:8000` prints JSON: for each check "ok" or what went wrong.

import assert from "node:assert/strict";

import OpenAI from "openai";

const client = new OpenAI({ apiKey: "any", baseURL: `${process.argv[2]}/v1`, maxRetries: 0 });
const { assistants, threads } = client.beta;
const WEATHER = { type: "function", function: { name: "weather", parameters: { type: "object" } } };
const ANSWER = "You said: Hello there ";

const CHECKS = {
  "a run is created and polled": async () => {
    const { thread, assistant } = await asked();

    const run = await threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });

    assert.equal(run.status, "completed");
    const { data } = await threads.messages.list(thread.id, { run_id: run.id });
    assert.equal(data[0].content[0].text.value, ANSWER);
  },

  "a run is streamed": async () => {
    const { thread, assistant } = await asked();
    let text = "";

    const stream = threads.runs
      .stream(thread.id, { assistant_id: assistant.id })
      .on("textDelta", (delta) => (text += delta.value));
    const [message] = await stream.finalMessages();

    assert.equal(message.content[0].text.value, ANSWER);
    assert.equal(text, ANSWER);
    assert.equal((await stream.finalRun()).status, "completed");
    assert.deepEqual((await stream.finalRunSteps()).map((step) => step.type), ["message_creation"]);
  },

  "a thread is created and run as a stream": async () => {
    const { assistant } = await asked();
    const thread = { messages: [{ role: "user", content: "Hello there" }] };

    const events = [];
    for await (const { event } of threads.createAndRunStream({ assistant_id: assistant.id, thread })) events.push(event);

    assert.deepEqual(events.slice(0, 2), ["thread.created", "thread.run.created"]);
    assert.equal(events.at(-1), "thread.run.completed");
  },

  "a function is called and its output submitted as a stream": async () => {
    const { thread, assistant } = await asked();
    const stream = threads.runs.stream(thread.id, { assistant_id: assistant.id, tools: [WEATHER] });
    const waiting = await stream.finalRun();
    assert.equal(waiting.status, "requires_action");

    const submitted = threads.runs.submitToolOutputsStream(waiting.id, {
      thread_id: thread.id,
      tool_outputs: waiting.required_action.submit_tool_outputs.tool_calls.map(({ id }) => ({
        tool_call_id: id,
        output: "It rains.",
      })),
    });

    const [message] = await submitted.finalMessages();
    assert.equal(message.content[0].text.value, "You said: It rains. ");
  },

  "a run is cancelled": async () => {
    const { thread, assistant } = await asked("hanging");
    const run = await threads.runs.create(thread.id, { assistant_id: assistant.id });

    await threads.runs.cancel(run.id, { thread_id: thread.id });

    assert.equal((await threads.runs.poll(run.id, { thread_id: thread.id })).status, "cancelled");
  },

  "a failure of the model ends the stream": async () => {
    const { thread, assistant } = await asked("failing");

    const stream = threads.runs.stream(thread.id, { assistant_id: assistant.id });

    assert.equal((await stream.finalRun()).status, "failed");
  },
};

async function asked(model = "any") {
  return {
    assistant: await assistants.create({ model }),
    thread: await threads.create({ messages: [{ role: "user", content: "Hello there" }] }),
  };
}

const outcomes = {};
for (const [name, check] of Object.entries(CHECKS)) {
  outcomes[name] = await check().then(
    () => "ok",
    (error) => error.stack,
  );
}
console.log(JSON.stringify(outcomes));
