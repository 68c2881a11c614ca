// Mercurius under Fastify, with graphql-jit from the first request on.
import Fastify from "fastify";
import mercurius from "mercurius";
import { resolversOn, say, typeDefs } from "./schema.mjs";

const app = Fastify();
app.register(mercurius, { schema: typeDefs, resolvers: resolversOn(process.env.PEER_DATABASE_URL, "resolveType"), jit: 1 });
await app.listen({ host: "127.0.0.1", port: 0 });
say(app.server.address().port);
