// Make types of a schema as GraphQL Code Generator does by a `codegen.js`, with the documents in the folder's .ts files.
//
// `node codegen.mjs FOLDER`: what its command line would do besides is to look for files, and to pluck documents.

import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { preset } from "@graphql-codegen/client-preset";
import { codegen } from "@graphql-codegen/core";
import { buildSchema, parse } from "graphql";

const folder = process.argv[2];
const { default: given } = await import(pathToFileURL(join(folder, "codegen.js")));
const source = await readFile(join(folder, given.schema), "utf8");
const documents = [];
for (const file of (await readdir(folder)).filter((name) => name.endsWith(".ts"))) {
  for (const [, rawSDL] of (await readFile(join(folder, file), "utf8")).matchAll(/graphql\(`([^`]*)`\)/g)) {
    documents.push({ location: join(folder, file), document: parse(rawSDL), rawSDL });
  }
}
for (const [place, { preset: name, config = {} }] of Object.entries(given.generates)) {
  if (name !== "client") throw new Error(`Unknown preset: ${name}`);
  await mkdir(join(folder, place), { recursive: true });
  const files = await preset.buildGeneratesSection({
    baseOutputDir: join(folder, place),
    schema: parse(source),
    schemaAst: buildSchema(source),
    ...{ documents, config, presetConfig: {}, plugins: [], pluginMap: {}, profiler: { run: (made) => made() } },
  });
  for (const each of files) await writeFile(each.filename, await codegen(each));
}
