"""What a browser sees at `/graphql`; GraphiQL will stand here.

Must not be here: anything from a foreign host.
"""

from __future__ import annotations

from typing import Final

HTML: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Threads: GraphQL</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
  pre { background: #f3f3f5; padding: 1rem; overflow-x: auto; border-radius: 6px }
</style>
<h1>Threads and messages over GraphQL</h1>
<p>This is the endpoint: send queries here by POST, with any GraphQL client.</p>
<pre>curl http://HOST/graphql -H 'Content-Type: application/json' \\
  -d '{"query": "{ threads(first: 5) { nodes { id createdAt messages(last: 3) { nodes { role text } } } } }"}'</pre>
<p><code>gateway schema</code> prints the schema. The REST face is at <code>/v1/threads</code>.</p>
</html>
"""
