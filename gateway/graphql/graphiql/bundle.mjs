/**
 * Bundle GraphiQL into a folder: `node bundle.mjs FOLDER` writes index.html, beside it assets with hashed names, each
 * also compressed where that helps, and the licences of all that went in.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const folder = process.argv[2];
const assets = path.join(folder, "assets");
const packages = new Set(); // the folders of those that went in

// graphiql/style.css holds Monaco's styles already, with its icons; a second copy of each would weigh half a megabyte.
const leaveOutStylesOfMonaco = {
  name: "leave-out-styles-of-monaco",
  setup: ({ onLoad }) => onLoad({ filter: /monaco-editor[/\\].*\.css$/ }, () => ({ contents: "", loader: "empty" })),
};

/** Bundle entry points, and tell what their files are called. */
async function bundle(entryPoints, options) {
  const { metafile } = await build({
    entryPoints,
    outdir: assets,
    entryNames: "[name]-[hash]",
    assetNames: "[name]-[hash]",
    chunkNames: "[name]-[hash]",
    bundle: true,
    minify: true,
    metafile: true,
    legalComments: "none", // licences.txt holds them whole
    target: "es2022",
    define: { "process.env.NODE_ENV": '"production"' },
    loader: { ".graphql": "text", ".variables.json": "text" },
    plugins: [leaveOutStylesOfMonaco],
    logLevel: "warning",
    ...options,
  });
  for (const input of Object.keys(metafile.inputs)) {
    const [home] = input.match(/^.*node_modules\/(@[^/]+\/)?[^/]+/) ?? [];
    if (home) packages.add(home);
  }
  const names = {};
  for (const [file, { entryPoint, cssBundle }] of Object.entries(metafile.outputs)) {
    if (!entryPoint) continue;
    names[entryPoint] = path.basename(file);
    if (cssBundle) names[`${entryPoint}.css`] = path.basename(cssBundle);
  }
  return (entryPoint) => names[entryPoint];
}

const workers = {
  editor: "node_modules/monaco-editor/esm/vs/editor/editor.worker.js",
  json: "node_modules/monaco-editor/esm/vs/language/json/json.worker.js",
  graphql: "node_modules/monaco-graphql/esm/graphql.worker.js",
};
const worker = await bundle(Object.values(workers), { format: "iife" });
const names = Object.fromEntries(Object.entries(workers).map(([label, file]) => [label, worker(file)]));

const main = await bundle(["main.jsx"], {
  format: "esm",
  splitting: true,
  jsx: "automatic",
  define: { "process.env.NODE_ENV": '"production"', WORKERS: JSON.stringify(names) },
});

for (const file of await readdir(assets)) {
  const content = await readFile(path.join(assets, file));
  const compressed = gzipSync(content, { level: 9 });
  if (compressed.length < 0.9 * content.length) await writeFile(path.join(assets, `${file}.gz`), compressed);
}

const page = await readFile("index.html", "utf8");
await writeFile(
  path.join(folder, "index.html"),
  page.replace("{{main.js}}", main("main.jsx")).replace("{{main.css}}", main("main.jsx.css")),
);

const licences = [];
for (const home of [...packages].sort()) {
  const { name, version, license } = JSON.parse(await readFile(path.join(home, "package.json"), "utf8"));
  const files = (await readdir(home)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  const texts = await Promise.all(files.map((file) => readFile(path.join(home, file), "utf8")));
  licences.push([`${name} ${version} (${license})`, ...texts].join("\n\n"));
}
await writeFile(path.join(folder, "licences.txt"), licences.join(`\n\n${"-".repeat(80)}\n\n`));
