// Audit a GraphQL endpoint with npm's graphql-http, and print what each audit says as JSON.
//
// `node audits.mjs http://127.0.0.1:8000/graphql`

import { auditServer } from "graphql-http";

const results = await auditServer({ url: process.argv[2], fetchFn: fetch });
const told = results.map(({ id, name, status, reason }) => [id, { name, status, reason }]);
console.log(JSON.stringify(Object.fromEntries(told)));
