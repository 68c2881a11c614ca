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
  type Message { id: ID! role: MessageRole! createdAt: DateTime! metadata: Metadata! content: [ContentPart!]! }
  type MessageEdge { cursor: String! node: Message! }
  type MessageConnection { edges: [MessageEdge!]! pageInfo: PageInfo! }
  type Thread { id: ID! messages(limit: Int, after: String): MessageConnection! }
  type CreateMessagePayload { edge: MessageEdge! }
  input MessageContentInput { text: String! }
  input CreateMessageInput {
    threadId: ID!
    role: MessageRole!
    content: MessageContentInput!
    metadata: Metadata
  }
  type Query { thread(id: ID!): Thread }
  type Mutation { createMessage(input: CreateMessageInput!): CreateMessagePayload! }
`;

const COLUMNS = "id, role, created_at, metadata, content";
// Named statements are prepared once by each connection.
const THREAD = { name: "thread", text: "SELECT id FROM threads WHERE project_id = $1 AND id = $2" };
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

// `kindOf` is how the server calls the function that tells the type of an object of a union.
export function resolversOn(url, kindOf) {
  const pool = new pg.Pool({ connectionString: url, max: 10 });
  const rows = async (statement, values) => (await pool.query({ ...statement, values })).rows;

  async function messages({ id }, { limit, after }) {
    const asked = limit ?? 20;
    const values = [PROJECT, id, asked + 1];
    const found = after ? await rows(PAGE_AFTER, [...values, after]) : await rows(PAGE, values);
    const hasNextPage = found.length > asked;
    const edges = found.slice(0, asked).map(asEdge);
    const [startCursor, endCursor] = [edges.at(0)?.cursor, edges.at(-1)?.cursor];
    return { edges, pageInfo: { hasNextPage, hasPreviousPage: Boolean(after), startCursor, endCursor } };
  }

  async function createMessage(_root, { input: { threadId, role, content, metadata } }) {
    const parts = [{ type: "text", text: { value: content.text, annotations: [] } }];
    const [id, second] = [`msg_${randomBytes(12).toString("hex")}`, Math.floor(Date.now() / 1000)];
    const json = [JSON.stringify(parts), JSON.stringify(metadata ?? {})];
    const [row] = await rows(ADD, [PROJECT, threadId, id, role.toLowerCase(), second, ...json]);
    return { edge: asEdge(row) };
  }

  return {
    Query: { thread: async (_root, { id }) => (await rows(THREAD, [PROJECT, id]))[0] },
    Mutation: { createMessage },
    Thread: { messages },
    Message: {
      role: (row) => row.role.toUpperCase(),
      createdAt: (row) => new Date(row.created_at * 1000).toISOString().replace(".000Z", "Z"),
      metadata: (row) => JSON.parse(row.metadata),
      content: (row) => JSON.parse(row.content),
    },
    ContentPart: { [kindOf]: (part) => (part.type === "text" ? "TextContent" : "ImageFileContent") },
    Annotation: { [kindOf]: (part) => (part.type === "file_citation" ? "FileCitation" : "FilePath") },
  };
}

const asEdge = (row) => ({ cursor: row.id, node: row });

// The program that measures reads this line.
export const say = (port) => console.error(`Listening on http://127.0.0.1:${port}/graphql`);
