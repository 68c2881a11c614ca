// Bundle a file of a page with all that it imports, for a browser: `node bundle.mjs FILE BUNDLE`.

import { build } from "esbuild";

const [file, bundle] = process.argv.slice(2);
const define = { "process.env.NODE_ENV": '"production"' };
await build({ entryPoints: [file], outfile: bundle, bundle: true, format: "esm", define, logLevel: "warning" });
