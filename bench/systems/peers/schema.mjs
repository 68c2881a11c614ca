// The part of our schema that the benchmark asks for, as SDL and resolvers, for the servers that want both by hand.
// An ordinary developer's work: one statement a list, one that adds, JSON parsed where a selection walks it.
import { randomBytes } from "node:crypto";
import pg from "pg";

export const PROJECT = "default";

export const typeDefs = /* GraphQL */ `
  scalar DateTime
  scalar Metadata
  enum MessageRole { USER ASSISTANT }
  type PageInfo { hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String }
  type FileCitation { text: String! startIndex: Int! endIndex: Int! fileId: String! quote: String }
  type FilePath { text: String! startIndex: Int! endIndex: Int! fileId: String! }
  union Annotation = FileCitation | FilePath
  type Text { value: String! annotations: [Annotation!]! }
  type TextContent { type: String! text: Text! }
  type ImageFile { fileId: String! detail: String! }
  type ImageFileContent { type: String! imageFile: ImageFile! }
  union ContentPart = TextContent | ImageFileContent
  interface Node { id: ID! }
  type Message implements Node { id: ID! role: MessageRole! createdAt: DateTime! metadata: Metadata! content: [ContentPart!]! text: String! }
  type MessageEdge { cursor: String! node: Message! }
  type MessageConnection { edges: [MessageEdge!]! nodes: [Message!]! pageInfo: PageInfo! }
  type Thread implements Node {
    id: ID!
    metadata: Metadata!
    messages(limit: Int, first: Int, after: String): MessageConnection!
  }
  type ThreadConnection { nodes: [Thread!]! }
  type CreateMessagePayload { edge: MessageEdge! }
  input MessageContentInput { text: String! }
  input CreateMessageInput {
    threadId: ID!
    role: MessageRole!
    content: MessageContentInput!
    metadata: Metadata
  }
  type Query { thread(id: ID!): Thread threads(first: Int): ThreadConnection! node(id: ID!): Node }
  type Mutation { createMessage(input: CreateMessageInput!): CreateMessagePayload! }
`;

const COLUMNS = "id, role, created_at, metadata, content";
// Named statements are prepared once by each connection.
const THREAD = { name: "thread", text: "SELECT id, metadata FROM threads WHERE project_id = $1 AND id = $2" };
const MESSAGE = { name: "message", text: `SELECT ${COLUMNS} FROM messages WHERE project_id = $1 AND id = $2` };
const LISTED = "SELECT seq, created_at, id, metadata FROM threads WHERE project_id = $1 ORDER BY created_at DESC, seq DESC LIMIT $2";
const THREADS = { name: "threads", text: LISTED };
// Newest messages of several threads: numbered, as a loader has it, or read with the threads by a lateral join.
const NEWEST_OF = {
  name: "newest-of",
  text: `SELECT * FROM (
      SELECT thread_id, ${COLUMNS}, row_number() OVER (PARTITION BY thread_id ORDER BY position DESC) AS place
      FROM messages WHERE project_id = $1 AND thread_id = ANY($2)) numbered
    WHERE place <= $3 ORDER BY place`,
};
const JOINED = {
  name: "joined",
  text: `SELECT t.id AS thread_id, t.metadata AS thread_metadata, m.* FROM (${LISTED}) t LEFT JOIN LATERAL (
      SELECT ${COLUMNS} FROM messages WHERE project_id = $1 AND thread_id = t.id ORDER BY position DESC LIMIT $3) m ON true
    ORDER BY t.created_at DESC, t.seq DESC`,
};
const PAGE = {
  name: "page",
  text: `SELECT ${COLUMNS} FROM messages WHERE project_id = $1 AND thread_id = $2 ORDER BY position DESC LIMIT $3`,
};
const PAGE_AFTER = {
  name: "page-after",
  text: `SELECT ${COLUMNS} FROM messages WHERE project_id = $1 AND thread_id = $2 AND position <
    (SELECT position FROM messages WHERE project_id = $1 AND thread_id = $2 AND id = $4)
    ORDER BY position DESC LIMIT $3`,
};
const ADD = {
  name: "add",
  text: `WITH taken AS (
      UPDATE threads SET last_position = last_position + 1, message_count = message_count + 1, last_created_at = $5
      WHERE project_id = $1 AND id = $2 RETURNING last_position)
    INSERT INTO messages
      (project_id, thread_id, position, id, created_at, role, status, content, attachments, metadata, completed_at)
    SELECT $1, $2, last_position, $3, $5, $4, 'completed', $6, '[]', $7, $5 FROM taken RETURNING ${COLUMNS}`,
};

export const joins = process.env.PEER_PREVIEWS === "join";

// `kindOf` is how the server calls the function that names the type of an object of a union. `newestOf` is for a loader:
// the newest messages of several threads at once.
export function resolversOn(url, kindOf) {
  const pool = new pg.Pool({ connectionString: url, max: 10 });
  const rows = async (statement, values) => (await pool.query({ ...statement, values })).rows;

  async function messages({ id, newest }, { limit, first, after }) {
    const asked = limit ?? first ?? 20;
    if (newest) return asConnection(newest, asked);
    const values = [PROJECT, id, asked + 1];
    return asConnection(after ? await rows(PAGE_AFTER, [...values, after]) : await rows(PAGE, values), asked, after);
  }

  async function newestOf(ids, count) {
    const of = new Map(ids.map((id) => [id, []]));
    for (const row of await rows(NEWEST_OF, [PROJECT, ids, count + 1])) of.get(row.thread_id).push(row);
    return ids.map((id) => asConnection(of.get(id), count));
  }

  async function threads(_root, { first }, _context, info) {
    const count = joins && previewCount(info);
    if (!count) return { nodes: await rows(THREADS, [PROJECT, first ?? 20]) };
    const of = new Map();
    for (const { thread_id: id, thread_metadata: metadata, ...row } of await rows(JOINED, [PROJECT, first ?? 20, count + 1])) {
      if (!of.has(id)) of.set(id, { id, metadata, newest: [] });
      if (row.id) of.get(id).newest.push(row);
    }
    return { nodes: [...of.values()] };
  }

  async function node(_root, { id }) {
    const isMessage = id.startsWith("msg_");
    const [row] = await rows(isMessage ? MESSAGE : THREAD, [PROJECT, id]);
    return row;
  }

  async function createMessage(_root, { input: { threadId, role, content, metadata } }) {
    const parts = [{ type: "text", text: { value: content.text, annotations: [] } }];
    const [id, second] = [`msg_${randomBytes(12).toString("hex")}`, Math.floor(Date.now() / 1000)];
    const json = [JSON.stringify(parts), JSON.stringify(metadata ?? {})];
    const [row] = await rows(ADD, [PROJECT, threadId, id, role.toLowerCase(), second, ...json]);
    return { edge: asEdge(row) };
  }

  const resolvers = {
    Query: { threads, node, thread: async (_root, { id }) => (await rows(THREAD, [PROJECT, id]))[0] },
    Mutation: { createMessage },
    Thread: { messages, metadata: (row) => JSON.parse(row.metadata) },
    Node: { [kindOf]: (row) => (row.id.startsWith("msg_") ? "Message" : "Thread") },
    Message: {
      role: (row) => row.role.toUpperCase(),
      createdAt: (row) => new Date(row.created_at * 1000).toISOString().replace(".000Z", "Z"),
      metadata: (row) => JSON.parse(row.metadata),
      content: (row) => JSON.parse(row.content),
      text: (row) => JSON.parse(row.content).filter((part) => part.type === "text").map((part) => part.text.value).join("\n"),
    },
    ContentPart: { [kindOf]: (part) => (part.type === "text" ? "TextContent" : "ImageFileContent") },
    Annotation: { [kindOf]: (part) => (part.type === "file_citation" ? "FileCitation" : "FilePath") },
  };
  return { resolvers, newestOf };
}

const asEdge = (row) => ({ cursor: row.id, node: row });

function asConnection(found, asked, after) {
  const hasNextPage = found.length > asked;
  const edges = found.slice(0, asked).map(asEdge);
  const [startCursor, endCursor] = [edges.at(0)?.cursor, edges.at(-1)?.cursor];
  const pageInfo = { hasNextPage, hasPreviousPage: Boolean(after), startCursor, endCursor };
  return { edges, nodes: edges.map((edge) => edge.node), pageInfo };
}

// How many messages of each thread a list selects, by the document.
function previewCount({ fieldNodes, variableValues }) {
  const within = (fields, name) => fields.flatMap((field) => field.selectionSet.selections.filter((each) => each.name?.value === name));
  const [messages] = within(within(fieldNodes, "nodes"), "messages");
  const given = messages?.arguments.find((each) => each.name.value === "first")?.value;
  return given && Number(given.value ?? variableValues[given.name.value]);
}

// The program that measures reads this line.
export const say = (port) => console.error(`Listening on http://127.0.0.1:${port}/graphql`);
