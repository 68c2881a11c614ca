// GraphQL Yoga on Node's own HTTP server, as its guide sets it up; parsed and validated documents are kept by default.
import { createServer } from "node:http";
import { createSchema, createYoga } from "graphql-yoga";
import { resolversOn, say, typeDefs } from "./schema.mjs";

const schema = createSchema({ typeDefs, resolvers: resolversOn(process.env.PEER_DATABASE_URL, "__resolveType") });
const server = createServer(createYoga({ schema, logging: false, graphiql: false }));
server.keepAliveTimeout = 75_000; // under valgrind nobody asks for a while
server.listen(0, "127.0.0.1", () => say(server.address().port));
