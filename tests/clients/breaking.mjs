// Compare two schemas with GraphQL Inspector, and print what would break clients as JSON: path to message.
//
// `node breaking.mjs OLD NEW`

import { readFile } from "node:fs/promises";
import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

const [older, newer] = await Promise.all(process.argv.slice(2).map((file) => readFile(file, "utf8")));
const changes = await diff(buildSchema(older), buildSchema(newer));
const breaking = changes.filter(({ criticality }) => criticality.level === CriticalityLevel.Breaking);
console.log(JSON.stringify(Object.fromEntries(breaking.map(({ path, message }) => [path, message]))));
