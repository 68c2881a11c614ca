"""The database, and the only place with SQL.

`store` is the entry point: it lends connections and runs transactions. What can be done with these are the methods of
`RunReads` and `RunWrites` (`runs`), which have all of `message_reads` and `reads`, and of `writes`, `erasing` and
`filling`. Their statements are in `statements`, each built once (`statement_cache`); `rows` and `thread_changes` say
what rows mean. A statement goes through `connections`, a transaction through `transactions` or `group_commit`; `turns`
says who waits, and `faults` what went wrong. `engines` has what differs between both databases, `schema` the tables and
their migrations, `files` the files of SQLite, `maintenance` what operators do, `staging` what an import collects.
"""
