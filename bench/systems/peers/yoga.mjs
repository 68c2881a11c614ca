// GraphQL Yoga on Node's own HTTP server, as its guide sets it up; parsed and validated documents are kept by default.
// DataLoader reads messages of a list of threads.
import DataLoader from "dataloader";
import { createServer } from "node:http";
import { createSchema, createYoga } from "graphql-yoga";
import { resolversOn, say, typeDefs } from "./schema.mjs";

const { resolvers, newestOf } = resolversOn(process.env.PEER_DATABASE_URL, "__resolveType");
const messages = resolvers.Thread.messages;
resolvers.Thread.messages = (thread, given, context) =>
  given.first ? context.newest.load({ id: thread.id, count: given.first }) : messages(thread, given);
const context = () => ({
  newest: new DataLoader((keys) => newestOf(keys.map((key) => key.id), keys[0].count), { cache: false }),
});
const schema = createSchema({ typeDefs, resolvers });
const server = createServer(createYoga({ schema, context, logging: false, graphiql: false }));
server.keepAliveTimeout = 75_000; // others are measured meanwhile
server.listen(0, "127.0.0.1", () => say(server.address().port));
