// Says of each document whether graphql-js finds it valid for a schema, and which rules it has.
import { readFileSync } from "node:fs";
import { buildSchema, parse, specifiedRules, validate } from "graphql";
const [schema, documents] = process.argv.slice(2).map((file) => readFileSync(file, "utf8"));
const built = buildSchema(schema);
const valid = JSON.parse(documents).map((text) => validate(built, parse(text)).length === 0);
console.log(JSON.stringify({ valid, rules: specifiedRules.map((rule) => rule.name) }));
