// Mercurius under Fastify, with graphql-jit from the first request on. A loader reads the messages of a list of threads,
// unless they are joined.
import Fastify from "fastify";
import mercurius from "mercurius";
import { joins, resolversOn, say, typeDefs } from "./schema.mjs";

const { resolvers, newestOf } = resolversOn(process.env.PEER_DATABASE_URL, "resolveType");
const { messages, ...ofThread } = resolvers.Thread;

async function loader(queries) {
  if (queries.length === 1) return [await messages(queries[0].obj, queries[0].params)];
  return newestOf(queries.map((query) => query.obj.id), queries[0].params.first);
}

const app = Fastify();
app.register(mercurius, {
  schema: typeDefs,
  resolvers: joins ? resolvers : { ...resolvers, Thread: ofThread },
  loaders: joins ? {} : { Thread: { messages: { loader, opts: { cache: false } } } },
  jit: 1,
});
await app.listen({ host: "127.0.0.1", port: 0 });
say(app.server.address().port);
