// Lint schemas by all rules that @graphql-eslint has for schemas, and print what it says of each file as JSON.
//
// `node lint_schema.mjs FILE …`: below stands each exception, with its reason.

import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import plugin from "@graphql-eslint/eslint-plugin";
import { ESLint } from "eslint";

const rules = {
  ...plugin.configs["flat/schema-recommended"].rules,
  ...plugin.configs["flat/schema-all"].rules,
  ...plugin.configs["flat/schema-relay"].rules,

  // Fields stand in the order in which one wants to know of them, as REST has them.
  "@graphql-eslint/alphabetize": "off",
  // It forbids mutations and subscriptions, which are what this schema is for.
  "@graphql-eslint/no-root-type": "off",
  // What a mutation changed is in its payload; the rest is another request, and another cost.
  "@graphql-eslint/require-field-of-type-query-in-mutation-result": "off",
  // A mutation that is refused has nothing to give but its error, and the list of threads is always there.
  "@graphql-eslint/require-nullable-result-in-root": "off",
  // Stricter than recommended, but for @oneOf, which is the specification's own and printed for older tools.
  "@graphql-eslint/require-description": [
    "error",
    {
      types: true,
      rootField: true,
      DirectiveDefinition: true,
      EnumValueDefinition: true,
      FieldDefinition: true,
      InputValueDefinition: true,
      ignoredSelectors: ["[type=DirectiveDefinition][name.value=oneOf]"],
    },
  ],
  "@graphql-eslint/strict-id-in-types": [
    "error",
    {
      exceptions: {
        suffixes: ["Payload", "Connection", "Edge"], // ways to what has an id
        types: [
          "PageInfo", // Relay's, whose fields are given
          ...["MessageCreated", "MessageUpdated", "MessageDelta", "MessageDeleted"], // told once, and found by a cursor
          ...["ThreadCreated", "ThreadMoved", "ThreadUpdated", "ThreadDeleted", "ThreadRead", "ThreadRemoved"],
          ...["RunCreated", "RunUpdated"],
          ...["UnreadCount", "ForkedFrom"], // parts of one thread
          ...["RunError", "RunUsage"], // parts of one run
          ...["TextContent", "ImageFileContent", "ImageUrlContent", "RefusalContent"], // parts of one message
          ...["Text", "ImageFile", "ImageUrl", "FileCitation", "FilePath", "UrlCitation", "Attachment"],
        ],
      },
    },
  ],
  // `nodes` next to `edges` saves typing, and the parts of a message are a short list that nobody pages.
  "@graphql-eslint/relay-edge-types": [
    "error",
    { withEdgeSuffix: true, shouldImplementNode: true, listTypeCanWrapOnlyEdgeType: false },
  ],
};

const told = {};
for (const file of process.argv.slice(2)) {
  const eslint = new ESLint({
    cwd: dirname(resolve(file)),
    overrideConfigFile: true, // and no other
    overrideConfig: {
      files: ["**/*.graphql"],
      languageOptions: { parser: plugin.parser, parserOptions: { graphQLConfig: { schema: resolve(file) } } },
      plugins: { "@graphql-eslint": plugin },
      rules,
    },
  });
  const [{ messages }] = await eslint.lintText(await readFile(file, "utf8"), { filePath: resolve(file) });
  told[file] = messages.map(({ line, ruleId, message }) => `${line}: ${ruleId}: ${message}`);
}
console.log(JSON.stringify(told));
