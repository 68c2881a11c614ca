// PostGraphile 5: the schema comes from the tables; content, which they keep as text, gets types by a plugin.
// Creating takes a position too, so it is a function in the database, as PostGraphile's guide has it.
import { createServer } from "node:http";
import pg from "pg";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { lambda } from "postgraphile/grafast";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { extendSchema } from "postgraphile/utils";
import { say } from "./schema.mjs";

const url = process.env.PEER_DATABASE_URL;
const FUNCTION = /* SQL */ `
  CREATE SCHEMA IF NOT EXISTS bench_peers;
  CREATE OR REPLACE FUNCTION bench_peers.add_message(thread text, role text, content text, metadata text)
  RETURNS public.messages LANGUAGE sql VOLATILE AS $$
    WITH taken AS (
      UPDATE public.threads SET last_position = last_position + 1, message_count = message_count + 1,
        last_created_at = extract(epoch FROM now())::bigint
      WHERE project_id = 'default' AND id = thread RETURNING last_position, last_created_at)
    INSERT INTO public.messages
      (project_id, thread_id, position, id, created_at, role, status, content, attachments, metadata, completed_at)
    SELECT 'default', thread, last_position, 'msg_' || replace(gen_random_uuid()::text, '-', ''), last_created_at,
      role, 'completed', content, '[]', metadata, last_created_at FROM taken RETURNING *
  $$;`;

// `true` says that it never throws: what is stored is JSON. So it costs the least.
const parsed = (column) => ($message) => lambda($message.get(column), (text) => JSON.parse(text), true);
const textOf = (content) => JSON.parse(content).filter((part) => part.text).map((part) => part.text.value).join("\n");
const TypedContent = extendSchema({
  typeDefs: /* GraphQL */ `
    type MessageText { value: String! annotations: [JSON!]! }
    type MessagePart { type: String! text: MessageText }
    extend type Message { parts: [MessagePart!]! notes: JSON! text: String! }
  `,
  objects: { Message: { plans: { parts: parsed("content"), notes: parsed("metadata"), text: ($message) => lambda($message.get("content"), textOf, true) } } },
});

const client = new pg.Client({ connectionString: url });
await client.connect();
await client.query(FUNCTION);
await client.end();

const preset = {
  extends: [PostGraphileAmberPreset],
  plugins: [TypedContent],
  pgServices: [makePgService({ connectionString: url, schemas: ["public", "bench_peers"] })],
  grafserv: { graphiql: false, watch: false },
  grafast: { explain: false },
};
const server = createServer();
await postgraphile(preset).createServ(grafserv).addTo(server);
server.keepAliveTimeout = 75_000; // others are measured meanwhile
server.listen(0, "127.0.0.1", () => say(server.address().port));
